{{/* Names and labels. */}}
{{- define "pfpnas.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Of everything of this release; a dict of root and component. */}}
{{- define "pfpnas.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{ include "pfpnas.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pfpnas
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "pfpnas.selector" -}}
app.kubernetes.io/name: pfpnas
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Of pods: without versions, so that an upgrade which changes nothing of a pod doesn't restart it. */}}
{{- define "pfpnas.podLabels" -}}
{{ include "pfpnas.selector" . }}
app.kubernetes.io/part-of: pfpnas
{{- end }}

{{/* An image reference; a dict of image, registry and tag (the default one). */}}
{{- define "pfpnas.image" -}}
{{- with .registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{- define "pfpnas.operatorImage" -}}
{{ include "pfpnas.image" (dict "image" .Values.image.operator "registry" .Values.image.registry "tag" .Chart.AppVersion) }}
{{- end }}

{{- define "pfpnas.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What Pod Security `restricted` asks for, and a numeric user beyond the host's own. */}}
{{- define "pfpnas.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pfpnas.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Where a pod may run; the values of operator, artifacts or redis. */}}
{{- define "pfpnas.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}
