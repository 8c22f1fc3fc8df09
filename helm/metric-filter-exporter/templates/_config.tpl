{{- /* What the exporter is told: its configuration, rules and web configuration. */}}

{{- define "metric-filter-exporter.configDirectory" -}}
/etc/metric-filter-exporter
{{- end }}

{{- define "metric-filter-exporter.configMapName" -}}
{{- default (printf "%s-config" (include "metric-filter-exporter.fullname" .)) .Values.existingConfigMap }}
{{- end }}

{{- define "metric-filter-exporter.config" -}}
{{- if .Values.config }}
{{- include "metric-filter-exporter.tplText" (list . .Values.config) | trimAll "\n" }}
{{- else -}}
sources:
  - name: history
    type: event_history
{{- if not (or .Values.rulePacks .Values.ruleFiles .Values.ruleConfigMaps) }}
rule_packs: [cis-aws-foundations]
{{- end }}
{{- end }}
{{- end }}

{{- /* A second configuration file: what `rulePacks`, `ruleFiles` and `ruleConfigMaps` add. */}}
{{- define "metric-filter-exporter.rules" -}}
{{- $rules := printf "%s/rules" (include "metric-filter-exporter.configDirectory" .) }}
{{- with .Values.rulePacks -}}
rule_packs:
  {{- toYaml . | nindent 2 }}
{{ end }}
{{- if or .Values.ruleFiles .Values.ruleConfigMaps -}}
rule_files:
  {{- range $name, $_ := .Values.ruleFiles }}
  - {{ $rules }}/{{ $name }}
  {{- end }}
  {{- range .Values.ruleConfigMaps }}
  - {{ $rules }}-{{ . }}/*.yaml
  {{- end }}
{{- end }}
{{- end }}

{{- /* The rule files of the values by name, as a YAML mapping of text. */}}
{{- define "metric-filter-exporter.ruleFiles" -}}
{{- $files := dict }}
{{- range $name, $content := .Values.ruleFiles }}
{{- $_ := set $files $name (printf "%s\n" (include "metric-filter-exporter.tplText" (list $ $content) | trimAll "\n")) }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{- /* Changes with the chart's own part of the configuration; what the exporter reads again by itself
(`web`) and what the chart cannot see (existing ConfigMaps) has no part in it. */}}
{{- define "metric-filter-exporter.checksum" -}}
{{- $config := .Values.existingConfigMap | empty | ternary (include "metric-filter-exporter.config" .) "" }}
{{- list $config (include "metric-filter-exporter.rules" .) (include "metric-filter-exporter.ruleFiles" .) | toJson | sha256sum }}
{{- end }}

{{- /* Names of the rule packs in use, as JSON: {"names": […]}. */}}
{{- define "metric-filter-exporter.packs" -}}
{{- $packs := .Values.rulePacks }}
{{- if not .Values.existingConfigMap }}
{{- $config := include "metric-filter-exporter.config" . | fromYaml }}
{{- $packs = concat $packs (default list $config.rule_packs) }}
{{- end }}
{{- $names := list }}
{{- range $packs }}
{{- $names = append $names (kindIs "string" . | ternary . (kindIs "map" . | ternary . dict).name) }}
{{- end }}
{{- dict "names" (uniq $names) | toJson }}
{{- end }}

{{- /* The content of --web.config.file, with the certificate of `web.tlsSecret` where it names none. */}}
{{- define "metric-filter-exporter.webConfig" -}}
{{- $config := deepCopy .Values.web.config }}
{{- if and .Values.web.tlsSecret (not .Values.web.existingSecret) }}
{{- $tls := dict "cert_file" "/etc/metric-filter-exporter/tls/tls.crt" "key_file" "/etc/metric-filter-exporter/tls/tls.key" }}
{{- $config = mustMerge $config (dict "tls_server_config" $tls) }}
{{- end }}
{{- if $config }}
{{- toYaml $config }}
{{- end }}
{{- end }}

{{- define "metric-filter-exporter.scheme" -}}
{{- if .Values.web.scheme }}
{{- .Values.web.scheme }}
{{- else if (include "metric-filter-exporter.webConfig" . | fromYaml).tls_server_config -}}
HTTPS
{{- else -}}
HTTP
{{- end }}
{{- end }}

{{- define "metric-filter-exporter.probes" -}}
{{- $tls := default dict .Values.web.config.tls_server_config }}
{{- if .Values.web.probes }}
{{- .Values.web.probes }}
{{- else if or .Values.web.existingSecret .Values.web.config.basic_auth_users .Values.web.config.rate_limit (hasPrefix "Require" (default "" $tls.client_auth_type)) -}}
tcp
{{- else -}}
http
{{- end }}
{{- end }}

{{- /* A probe; takes a list: the root, its timing and its path. */}}
{{- define "metric-filter-exporter.probe" -}}
{{- $root := index . 0 }}
{{- if eq (include "metric-filter-exporter.probes" $root) "tcp" -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 2 }}
  port: http
  scheme: {{ include "metric-filter-exporter.scheme" $root }}
{{- end }}
{{- with index . 1 }}
{{ toYaml . }}
{{- end }}
{{- end }}
