{{/* The pods that the operator starts in the namespaces it watches. */}}
{{- define "pfpnas.workloadPeers" -}}
- namespaceSelector:
    {{- with .Values.watch.namespaces }}
    matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
    {{- else }} {}
    {{- end }}
  podSelector: {matchLabels: {app.kubernetes.io/managed-by: pfpnas}}
{{- end }}

{{/* Port of a URL; a list of the URL and the port where it names none. */}}
{{- define "pfpnas.port" -}}
{{- $host := (urlParse (index . 0)).host -}}
{{- if regexMatch ":[0-9]+$" $host }}{{ regexFind "[0-9]+$" $host }}{{ else }}{{ index . 1 }}{{ end -}}
{{- end }}
