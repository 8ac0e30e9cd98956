{{/* What the operator may do in a namespace that it watches, verb by verb. Secrets it can make and remove, never read. */}}
{{- define "pfpnas.rules" -}}
- apiGroups: [pfpnas.io]
  resources: [supernets, nasexperiments, trials]
  verbs: [get, list, watch, patch]
- apiGroups: [pfpnas.io]
  resources: [trials]
  verbs: [create]
- apiGroups: [pfpnas.io]
  resources: [supernets/status, nasexperiments/status, trials/status]
  verbs: [patch]
# Owners of children that block their deletion, where the cluster checks who may say so.
- apiGroups: [pfpnas.io]
  resources: [supernets/finalizers, nasexperiments/finalizers, trials/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Why a Job's pod waits, and how it ended. Its log stays closed.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# By which the pods of a distributed training find one another.
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}
