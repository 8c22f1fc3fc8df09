{{- /* Other than the exporter's, so that neither the Service nor a monitor takes the test for one. */}}
{{- define "metric-filter-exporter.testLabels" -}}
app.kubernetes.io/name: {{ include "metric-filter-exporter.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
