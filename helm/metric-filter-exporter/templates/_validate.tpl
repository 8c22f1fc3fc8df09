{{- /* Contradictions that the schema cannot tell. */}}
{{- define "metric-filter-exporter.validate" -}}
{{- with .Values }}
{{- if and .config .existingConfigMap }}
{{- fail "`config` and `existingConfigMap` are both set: choose one." }}
{{- end }}
{{- if le (int .terminationGracePeriodSeconds) (int .shutdownTimeoutSeconds) }}
{{- fail (printf "`terminationGracePeriodSeconds` (%d) must be more than `shutdownTimeoutSeconds` (%d): Kubernetes would kill the exporter while it commits." (int .terminationGracePeriodSeconds) (int .shutdownTimeoutSeconds)) }}
{{- end }}
{{- if and .web.config .web.existingSecret }}
{{- fail "`web.config` and `web.existingSecret` are both set: choose one." }}
{{- end }}
{{- if and .web.existingSecret (not .web.scheme) }}
{{- fail "`web.scheme` is needed with `web.existingSecret`: say HTTP or HTTPS, since the chart cannot look into the Secret." }}
{{- end }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
{{- fail "`serviceMonitor.enabled` and `podMonitor.enabled` are both set: the exporter would be scraped twice." }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hosts) }}
{{- fail "`ingress.hosts` is needed with `ingress.enabled`: say under which name the exporter is reached." }}
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
{{- fail "`httpRoute.parentRefs` is needed with `httpRoute.enabled`: name the Gateway that the route belongs to." }}
{{- end }}
{{- if and (eq .dnsPolicy "None") (not .dnsConfig.nameservers) }}
{{- fail "`dnsConfig.nameservers` is needed with `dnsPolicy: None`." }}
{{- end }}
{{- if and .persistence.existingClaim (not .persistence.enabled) }}
{{- fail "`persistence.existingClaim` is set, but `persistence.enabled` is false." }}
{{- end }}
{{- range $name, $_ := .ruleFiles }}
{{- if not (regexMatch "^[A-Za-z0-9][-._A-Za-z0-9]*\\.(yaml|yml|json)$" $name) }}
{{- fail (printf "`ruleFiles`: %q is no name of a rule file: letters, digits and . _ - that end in .yaml, .yml or .json." $name) }}
{{- end }}
{{- if eq $name "chart.yaml" }}
{{- fail "`ruleFiles` cannot have a file `chart.yaml`: the chart uses that name." }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
