{{/* Name of the objects. */}}
{{- define "kmesh.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What all objects carry. */}}
{{- define "kmesh.labels" -}}
app: {{ include "kmesh.name" . }}
app.kubernetes.io/name: kmesh
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kmesh
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "kmesh.image" -}}
{{ .Values.deploy.kmesh.image.repository }}:{{ .Values.deploy.kmesh.image.tag }}
{{- end -}}
