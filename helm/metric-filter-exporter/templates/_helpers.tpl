{{- define "metric-filter-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "metric-filter-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- /* A StatefulSet's pods carry its name and a hash in labels of at most 63 characters. */}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "metric-filter-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "metric-filter-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "metric-filter-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metric-filter-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "metric-filter-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* metadata of an object; takes a list: the root, the name, and a mapping with namespace, labels and
annotations, all optional. */}}
{{- define "metric-filter-exporter.metadata" -}}
{{- $root := index . 0 }}
{{- $more := index . 2 -}}
name: {{ index . 1 }}
namespace: {{ default (include "metric-filter-exporter.namespace" $root) $more.namespace }}
labels:
  {{- $labels := include "metric-filter-exporter.labels" $root | fromYaml }}
  {{- toYaml (mustMergeOverwrite $labels (default dict $more.labels)) | nindent 2 }}
{{- with $more.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "metric-filter-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "metric-filter-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "metric-filter-exporter.image" -}}
{{- $image := .Values.image }}
{{- $name := $image.repository }}
{{- if $image.registry }}
{{- $name = printf "%s/%s" $image.registry $image.repository }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- /* Items of a list that may be mappings or text, each given to tpl, as a YAML list. */}}
{{- define "metric-filter-exporter.tplText" -}}
{{- $root := index . 0 }}
{{- $value := index . 1 }}
{{- tpl (kindIs "string" $value | ternary $value (toYaml $value)) $root }}
{{- end }}
