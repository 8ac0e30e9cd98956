{{/* What the operator may do in a namespace that it watches, verb by verb. It neither lists nor gets Secrets. Yet whoever may patch
     one is answered with all of it: that verb lets the operator's token see a Secret whose name it knows. */}}
{{- define "pfpnas.rules" -}}
- apiGroups: [pfpnas.io]
  resources: [supernets, nasexperiments, trials]
  verbs: [get, list, watch]
# The finalizer of a Supernet that is in use; a Trial made by hand becomes its experiment's child.
- apiGroups: [pfpnas.io]
  resources: [supernets, trials]
  verbs: [patch]
- apiGroups: [pfpnas.io]
  resources: [trials]
  verbs: [create]
- apiGroups: [pfpnas.io]
  resources: [supernets/status, nasexperiments/status, trials/status]
  verbs: [patch]
# Owners of children that block their deletion, where the cluster checks who may say so.
- apiGroups: [pfpnas.io]
  resources: [supernets/finalizers, nasexperiments/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# Why a Job's pod waits, and how it ended. Its log stays closed.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# By which the pods of a distributed training find one another.
- apiGroups: [""]
  resources: [services]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, patch]
# Its own, and those that say why a Job has no pod: a quota, a policy.
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch, list]
{{- end }}
