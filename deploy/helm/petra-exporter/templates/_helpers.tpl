{{- define "petra-exporter.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "petra-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "petra-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "petra-exporter.selectorLabels" . }}
{{- end -}}

{{- /* A resource's metadata, with labels of its own from a dict of root and labels. */ -}}
{{- define "petra-exporter.metadata" -}}
name: {{ include "petra-exporter.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- mergeOverwrite (deepCopy (.labels | default dict)) (include "petra-exporter.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "petra-exporter.secretName" -}}
{{- if .Values.apiKey.value }}{{ include "petra-exporter.fullname" . }}{{ else }}{{ .Values.apiKey.existingSecret }}{{ end -}}
{{- end -}}

{{- /* Behind a password or a client certificate, only a connection can be tried. */ -}}
{{- define "petra-exporter.probe" -}}
{{- if .root.Values.webConfigSecret -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http
{{- end }}
periodSeconds: 10
timeoutSeconds: 5
{{- end -}}
