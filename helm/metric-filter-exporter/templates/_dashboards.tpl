{{- /* Names of the dashboards in use, as JSON: {"names": […]}. */}}
{{- define "metric-filter-exporter.dashboardFiles" -}}
{{- $known := list }}
{{- range $path, $_ := .Files.Glob "files/grafana-dashboards/*.json" }}
{{- $known = append $known (base $path | trimSuffix ".json") }}
{{- end }}
{{- if not $known }}
{{- fail "This copy of the chart has no files/grafana-dashboards: it is incomplete. Take the whole folder of the chart, or run `make chart` in its repository." }}
{{- end }}
{{- range .Values.dashboards.files }}
{{- if not (has . $known) }}
{{- fail (printf "`dashboards.files`: there is no dashboard %q; there are %s." . (join ", " $known)) }}
{{- end }}
{{- end }}
{{- dict "names" (default $known .Values.dashboards.files) | toJson }}
{{- end }}
