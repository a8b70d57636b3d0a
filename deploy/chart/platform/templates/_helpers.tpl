{{/* The name of the server and of everything of it: that of the release, with flink-platform in it. */}}
{{- define "platform.name" -}}
{{- if contains "flink-platform" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-flink-platform{{ end }}
{{- end }}

{{- define "platform.labels" -}}
app.kubernetes.io/name: flink-platform
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: Helm
app.kubernetes.io/part-of: flink-platform
{{- end }}

{{/* The labels by which servers are selected. The recommended ones are in no selector: selectors cannot change, and other tools write those. */}}
{{- define "platform.server" -}}
app: flink-platform
component: server
release: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of workers, of all versions of Flink. */}}
{{- define "platform.workers" -}}
app: flink-platform
component: workbench
release: {{ .Release.Name | quote }}
{{- end }}

{{/* The URL under which clusters reach the server. */}}
{{- define "platform.url" -}}
{{- if .Values.url }}{{ .Values.url }}{{ else }}http://{{ include "platform.name" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port | int }}{{ end }}
{{- end }}

{{/* The namespace of the clusters. */}}
{{- define "platform.clusters" -}}
{{ .Values.clusters.namespace | default .Release.Namespace }}
{{- end }}

{{- define "platform.adminSecret" -}}
{{ .Values.adminToken.secretName | default (printf "%s-admin" (include "platform.name" .)) }}
{{- end }}

{{- define "platform.adminKey" -}}
{{ ternary .Values.adminToken.secretKey "token" (ne .Values.adminToken.secretName "") }}
{{- end }}

{{- define "platform.workbenchSecret" -}}
{{ .Values.workbench.tokenSecretName | default (printf "%s-workbench" (include "platform.name" .)) }}
{{- end }}

{{/* The name of a worker: a dot of the version is not for names of Services. */}}
{{- define "platform.worker" -}}
{{ include "platform.name" .root }}-workbench-{{ .version | replace "." "-" }}
{{- end }}

{{/* The claim with the SQLite database; empty with PostgreSQL. */}}
{{- define "platform.claim" -}}
{{- if not .Values.store.postgres.secretName }}{{ .Values.store.sqlite.existingClaim | default (printf "%s-data" (include "platform.name" .)) }}{{ end }}
{{- end }}

{{/* What Kubernetes' restricted profile asks of a pod, and of a container. */}}
{{- define "platform.podSecurity" -}}
runAsNonRoot: true
runAsUser: 9999
runAsGroup: 9999
fsGroup: 9999
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "platform.containerSecurity" -}}
{readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
{{- end }}

{{/* What pods of servers and workers have in common. */}}
{{- define "platform.pod" -}}
enableServiceLinks: false
securityContext:
  {{- include "platform.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A Secret that is made once: an upgrade finds it in the Kubernetes cluster and keeps it. */}}
{{- define "platform.keptToken" -}}
{{- $old := lookup "v1" "Secret" .root.Release.Namespace .name }}
{{- if and $old $old.data $old.data.token }}{{ $old.data.token }}{{ else }}{{ printf "%s%s" .prefix (randAlphaNum 43) | b64enc }}{{ end }}
{{- end }}

{{/* Variables with the address of the database, which no argument may have. */}}
{{- define "platform.storeEnv" -}}
{{- with .Values.store.postgres }}
{{- if .secretName }}
- {name: FLINK_PLATFORM_STORE, valueFrom: {secretKeyRef: {name: {{ .secretName | quote }}, key: {{ .secretKey | quote }}}}}
{{- end }}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "platform.settings" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* The ConfigMap with the Kustomize component. A digest in the name: the server reads it at its start. */}}
{{- define "platform.kustomize" -}}
{{ include "platform.name" . }}-kustomize-{{ .Values.clusters.kustomize | toJson | sha256sum | trunc 10 }}
{{- end }}
