{{/*
The name of the ConfigMap with the definition. It ends in a digest of its content, as Kustomize's does, so a changed definition
replaces all pods, and no pod sees half of a change.
*/}}
{{- define "flink.definition" -}}
{{ .Release.Name }}-flink-definition-{{ .Values.definition | toJson | sha256sum | trunc 10 }}
{{- end }}
