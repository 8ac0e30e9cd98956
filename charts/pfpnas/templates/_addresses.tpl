{{/* Who finds what where. */}}
{{- define "pfpnas.keySecret" -}}
{{ .Values.key.existingSecret | default (printf "%s-key" (include "pfpnas.fullname" .)) }}
{{- end }}

{{/* Not empty when the chart runs Redis itself. */}}
{{- define "pfpnas.ownRedis" -}}
{{- if not .Values.redis.external.url }}yes{{ end -}}
{{- end }}

{{/* Not empty when the chart runs the artifact store itself. */}}
{{- define "pfpnas.ownStore" -}}
{{- if not .Values.artifacts.external.url }}yes{{ end -}}
{{- end }}

{{- define "pfpnas.redisHost" -}}
{{ printf "%s-redis.%s.svc" (include "pfpnas.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "pfpnas.redisScheme" -}}
{{ ternary "rediss" "redis" .Values.redis.tls.enabled }}
{{- end }}

{{/* The operator's own address of Redis. */}}
{{- define "pfpnas.redisUrl" -}}
{{- .Values.redis.external.url | default (printf "%s://operator@%s:6379/0" (include "pfpnas.redisScheme" .) (include "pfpnas.redisHost" .)) -}}
{{- end }}

{{/* The address that join strings carry: agents bring a user of their own. */}}
{{- define "pfpnas.agentUrl" -}}
{{- .Values.redis.agents.url | default (regexReplaceAll "//[^@/]*@" (include "pfpnas.redisUrl" .) "//") -}}
{{- end }}

{{- define "pfpnas.redisSecret" -}}
{{- if include "pfpnas.ownRedis" . -}}
{{ .Values.redis.existingSecret | default (printf "%s-redis-auth" (include "pfpnas.fullname" .)) }}
{{- else -}}
{{ .Values.redis.external.existingSecret }}
{{- end -}}
{{- end }}

{{- define "pfpnas.tlsSecret" -}}
{{ .Values.redis.tls.existingSecret | default (printf "%s-redis-tls" (include "pfpnas.fullname" .)) }}
{{- end }}

{{/* The certificate authority of Redis, as far as it is known while rendering. */}}
{{- define "pfpnas.redisCA" -}}
{{- if not (include "pfpnas.ownRedis" .) -}}
{{ .Values.redis.external.ca }}
{{- else if .Values.redis.tls.ca -}}
{{ .Values.redis.tls.ca }}
{{- else if .Values.redis.tls.enabled -}}
{{- with lookup "v1" "Secret" .Release.Namespace (include "pfpnas.tlsSecret" .) -}}
{{ get (.data | default dict) "ca.crt" | b64dec }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Not empty when the operator has a certificate authority to trust. */}}
{{- define "pfpnas.redisHasCA" -}}
{{- if ternary .Values.redis.tls.enabled (not (empty .Values.redis.external.ca)) (not (empty (include "pfpnas.ownRedis" .))) }}yes{{ end -}}
{{- end }}

{{- define "pfpnas.artifactsAddress" -}}
{{- .Values.artifacts.external.url | default (printf "http://%s-artifacts.%s.svc:8080" (include "pfpnas.fullname" .) .Release.Namespace) -}}
{{- end }}

{{/* Not empty when cert-manager makes the certificate of the chart's own Redis. */}}
{{- define "pfpnas.redisIssuer" -}}
{{- if and (include "pfpnas.ownRedis" .) .Values.redis.tls.enabled (not .Values.redis.tls.existingSecret) }}yes{{ end -}}
{{- end }}

{{- define "pfpnas.agentHost" -}}
{{- (urlParse (include "pfpnas.agentUrl" .)).hostname -}}
{{- end }}

{{/* Not empty when the certificate has the name under which agents find Redis; a wildcard stands for one label. */}}
{{- define "pfpnas.certified" -}}
{{- $host := include "pfpnas.agentHost" . -}}
{{- $service := include "pfpnas.redisHost" . -}}
{{- $names := concat (list $service (printf "%s.cluster.local" $service)) .Values.redis.tls.dnsNames -}}
{{- if or (has $host $names) (has (regexReplaceAll "^[^.]+" $host "*") $names) }}yes{{ end -}}
{{- end }}

{{/* Values that are each right and wrong together: one message that names them. */}}
{{- define "pfpnas.checked" -}}
{{- $redis := .Values.redis -}}
{{- if and $redis.external.url (not $redis.external.existingSecret) -}}
{{- fail "redis.external.existingSecret is missing: the Secret whose key `password` is the operator's password" -}}
{{- end -}}
{{- if and $redis.tls.enabled (include "pfpnas.ownRedis" .) (not (or $redis.tls.existingSecret $redis.tls.issuer.name)) -}}
{{- fail "redis.tls.enabled needs redis.tls.existingSecret (keys tls.crt, tls.key, ca.crt) or redis.tls.issuer.name (of cert-manager)" -}}
{{- end -}}
{{- if and $redis.tls.enabled (include "pfpnas.ownRedis" .) (hasPrefix "redis://" $redis.agents.url) -}}
{{- fail (printf "redis.agents.url is %s, and with redis.tls.enabled Redis speaks TLS only: write rediss://" $redis.agents.url) -}}
{{- end -}}
{{- if and (include "pfpnas.redisIssuer" .) $redis.agents.url (not (include "pfpnas.certified" .)) -}}
{{- fail (printf "redis.tls.dnsNames lacks %s, the host of redis.agents.url: agents would refuse the certificate" (include "pfpnas.agentHost" .)) -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- fail "networkPolicy.metricsFrom is empty: with metrics.serviceMonitor.enabled name the peers that may scrape, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}], or Prometheus would be denied" -}}
{{- end -}}
{{- if and $redis.agents.service.enabled (not $redis.agents.service.sourceRanges) -}}
{{- fail "redis.agents.service.sourceRanges is empty: name the networks that agents connect from, such as 203.0.113.0/24" -}}
{{- end -}}
{{- if and $redis.agents.service.enabled (not $redis.agents.url) -}}
{{- fail "redis.agents.url is missing: the address under which agents outside find redis.agents.service, such as rediss://redis.example.org:6379/0" -}}
{{- end -}}
{{- if and $redis.agents.service.enabled (not (include "pfpnas.ownRedis" .)) -}}
{{- fail "redis.agents.service is of the chart's own Redis, and redis.external.url names another: leave one of them out" -}}
{{- end -}}
{{- end }}
