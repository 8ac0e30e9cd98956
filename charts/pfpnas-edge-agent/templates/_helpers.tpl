{{- define "agent.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "agent.selector" -}}
app.kubernetes.io/name: pfpnas-edge-agent
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "agent.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pfpnas
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "agent.image" -}}
{{- with .Values.image.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- define "agent.checked" -}}
{{- if not .Values.pool -}}
{{- fail "pool is missing: the pool that these devices join, such as bench-cpu" -}}
{{- end -}}
{{- if not .Values.join.existingSecret -}}
{{- fail "join.existingSecret is missing: the Secret whose key `join` holds the string that `pfpnas agents add` printed" -}}
{{- end -}}
{{- if and .Values.data.existingClaim .Values.data.hostPath -}}
{{- fail "data.existingClaim and data.hostPath are both set: the data come from one of them" -}}
{{- end -}}
{{- if and .Values.state.existingClaim .Values.state.hostPath -}}
{{- fail "state.existingClaim and state.hostPath are both set: the state lies in one of them" -}}
{{- end -}}
{{- end }}
