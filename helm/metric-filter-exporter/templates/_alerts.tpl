{{- /* The alerts of files/alerts, with the switches and changes of `prometheusRule`. */}}

{{- /* Names of the files in use, as JSON: {"names": […]}. */}}
{{- define "metric-filter-exporter.alertFiles" -}}
{{- $known := list }}
{{- range $path, $_ := .Files.Glob "files/alerts/*.yaml" }}
{{- $known = append $known (base $path | trimSuffix ".yaml") }}
{{- end }}
{{- if not $known }}
{{- fail "This copy of the chart has no files/alerts: it is incomplete. Take the whole folder of the chart, or run `make chart` in its repository." }}
{{- end }}
{{- $names := list }}
{{- if .Values.prometheusRule.files }}
{{- range .Values.prometheusRule.files }}
{{- if not (has . $known) }}
{{- fail (printf "`prometheusRule.files`: there is no file %q of alerts; there are %s." . (join ", " $known)) }}
{{- end }}
{{- $names = append $names . }}
{{- end }}
{{- else }}
{{- range append (include "metric-filter-exporter.packs" . | fromJson).names "exporter" }}
{{- if has . $known }}
{{- $names = append $names . }}
{{- end }}
{{- if regexMatch "^(cis-aws-|cloudtrail-|aws-findings)" . }}
{{- $names = append $names "security-overview" }}
{{- end }}
{{- end }}
{{- end }}
{{- dict "names" ($names | uniq | sortAlpha) | toJson }}
{{- end }}

{{- /* Fails where a switch or change names an alert that is in none of the files in use; takes a list:
the root and the names of the files. */}}
{{- define "metric-filter-exporter.checkAlertNames" -}}
{{- $root := index . 0 }}
{{- $known := list }}
{{- range index . 1 }}
{{- range ($root.Files.Get (printf "files/alerts/%s.yaml" .) | fromYaml).groups }}
{{- range .rules }}
{{- $known = append $known (default .record .alert) }}
{{- if .alert }}
{{- $known = append $known (printf "%s/%s" .alert .labels.severity) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $root.Values.prometheusRule.disabled }}
{{- if not (has . $known) }}
{{- fail (printf "`prometheusRule.disabled`: there is no alert %q in the files %s." . (join ", " (index $ 1))) }}
{{- end }}
{{- end }}
{{- range $name, $_ := $root.Values.prometheusRule.overrides }}
{{- if not (has $name $known) }}
{{- fail (printf "`prometheusRule.overrides`: there is no alert %q in the files %s." $name (join ", " (index $ 1))) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* One rule as JSON, changed as the values say; takes a list: the values and the rule. */}}
{{- define "metric-filter-exporter.rule" -}}
{{- $values := index . 0 }}
{{- $rule := deepCopy (index . 1) }}
{{- if $rule.alert }}
{{- $exact := printf "%s/%s" $rule.alert $rule.labels.severity }}
{{- $change := mustMerge (deepCopy (default dict (index $values.overrides $exact))) (default dict (index $values.overrides $rule.alert)) }}
{{- $comparison := "([<>=!]=|[<>])\\s*-?[0-9][0-9.eE+-]*\\s*$" }}
{{- if $change.expr }}
{{- $_ := set $rule "expr" $change.expr }}
{{- else if hasKey $change "threshold" }}
{{- /* What stands behind `unless` is another alert's, or a state. */}}
{{- if or (regexMatch "(?m)^unless " $rule.expr) (not (regexMatch $comparison $rule.expr)) }}
{{- fail (printf "`prometheusRule.overrides`: the expression of %s does not end in a comparison with a number, so it has no `threshold`; set `thresholds` of its rule pack if it uses one, or `expr`." $rule.alert) }}
{{- end }}
{{- $_ := set $rule "expr" (regexReplaceAll $comparison $rule.expr (printf "${1} %v" $change.threshold)) }}
{{- end }}
{{- with $change.for }}
{{- $_ := set $rule "for" . }}
{{- end }}
{{- with $change.keepFiringFor }}
{{- $_ := set $rule "keep_firing_for" . }}
{{- end }}
{{- with $change.severity }}
{{- $_ := set $rule.labels "severity" . }}
{{- end }}
{{- $_ := set $rule "labels" (mustMergeOverwrite $rule.labels $values.extraLabels (default dict $change.labels)) }}
{{- if and $values.runbookUrl $rule.annotations.runbook_url }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s" (trimSuffix "/" $values.runbookUrl) (base $rule.annotations.runbook_url)) }}
{{- end }}
{{- $_ := set $rule "annotations" (mustMergeOverwrite $rule.annotations $values.extraAnnotations (default dict $change.annotations)) }}
{{- end }}
{{- toJson $rule }}
{{- end }}

{{- /* The groups of a file as JSON: {"groups": […]}; takes a list: the root and the file's name. */}}
{{- define "metric-filter-exporter.ruleGroups" -}}
{{- $root := index . 0 }}
{{- $values := $root.Values.prometheusRule }}
{{- $groups := list }}
{{- range ($root.Files.Get (printf "files/alerts/%s.yaml" (index . 1)) | fromYaml).groups }}
{{- $rules := list }}
{{- range .rules }}
{{- $name := default .record .alert }}
{{- $exact := printf "%s/%s" $name (default dict .labels).severity }}
{{- if not (or (has $name $values.disabled) (has $exact $values.disabled)) }}
{{- $rules = append $rules (include "metric-filter-exporter.rule" (list $values .) | fromJson) }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $groups = append $groups (mustMergeOverwrite (deepCopy .) (dict "rules" $rules)) }}
{{- end }}
{{- end }}
{{- dict "groups" $groups | toJson }}
{{- end }}
