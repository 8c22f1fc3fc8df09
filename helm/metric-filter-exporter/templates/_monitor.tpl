{{- /* The endpoint of a ServiceMonitor or PodMonitor; takes a list: the root and its values. */}}
{{- define "metric-filter-exporter.endpoint" -}}
{{- $root := index . 0 }}
{{- $monitor := index . 1 }}
{{- $scheme := include "metric-filter-exporter.scheme" $root | lower }}
- port: http
  path: {{ $root.Values.web.telemetryPath }}
  scheme: {{ $scheme }}
  honorLabels: {{ $monitor.honorLabels }}
  {{- with $monitor.interval }}
  interval: {{ . }}
  {{- end }}
  {{- with $monitor.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- if $monitor.tlsConfig }}
  tlsConfig:
    {{- toYaml $monitor.tlsConfig | nindent 4 }}
  {{- else if eq $scheme "https" }}
  tlsConfig:
    insecureSkipVerify: true
  {{- end }}
  {{- with $monitor.basicAuth }}
  basicAuth:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $monitor.relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* What the spec of both has beside the endpoint. */}}
{{- define "metric-filter-exporter.monitorSpec" -}}
{{- $root := index . 0 }}
{{- $monitor := index . 1 }}
jobLabel: {{ $monitor.jobLabel }}
selector:
  matchLabels:
    {{- include "metric-filter-exporter.selectorLabels" $root | nindent 4 }}
namespaceSelector:
  matchNames:
    - {{ include "metric-filter-exporter.namespace" $root }}
{{- with $monitor.scrapeProtocols }}
scrapeProtocols:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $monitor.sampleLimit }}
sampleLimit: {{ int . }}
{{- end }}
{{- end }}
