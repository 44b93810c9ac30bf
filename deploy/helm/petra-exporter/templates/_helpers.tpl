{{- define "petra-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "petra-exporter.fullname" -}}
{{- $name := include "petra-exporter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "petra-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "petra-exporter.serviceAccountName" -}}
{{- $default := ternary (include "petra-exporter.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{- define "petra-exporter.secretName" -}}
{{- if .Values.apiKey.value }}{{ include "petra-exporter.fullname" . }}{{ else }}{{ .Values.apiKey.existingSecret }}{{ end -}}
{{- end -}}

{{- define "petra-exporter.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* The port the exporter listens on; the service's is service.port. */ -}}
{{- define "petra-exporter.port" -}}10984{{- end -}}

{{- define "petra-exporter.scheme" -}}
{{- if and .Values.webConfigSecret .Values.webTLS }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "petra-exporter.job" -}}
{{- if .Values.standby }}petra-standby{{ else }}petra{{ end -}}
{{- end -}}

{{- define "petra-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "petra-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The chart's labels over a resource's own over the common ones, from a dict of root and labels. */ -}}
{{- define "petra-exporter.labels" -}}
{{- with .root -}}
{{- $chart := include "petra-exporter.selectorLabels" . | fromYaml -}}
{{- $_ := set $chart "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- $_ := set $chart "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $chart "app.kubernetes.io/managed-by" .Release.Service -}}
{{- mergeOverwrite (deepCopy (default dict .Values.commonLabels)) (default dict $.labels) $chart | toYaml -}}
{{- end -}}
{{- end -}}

{{- /* A resource's metadata, from a dict of root and, where it needs them, name or suffix, namespace, labels and annotations. */ -}}
{{- define "petra-exporter.metadata" -}}
name: {{ default (include "petra-exporter.fullname" .root) .name }}{{ .suffix }}
namespace: {{ default (include "petra-exporter.namespace" .root) .namespace }}
labels:
  {{- include "petra-exporter.labels" . | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The probes. One without a handler gets the best one that needs no password. */ -}}
{{- define "petra-exporter.probes" -}}
{{- range $name, $path := dict "livenessProbe" "/-/healthy" "readinessProbe" "/-/ready" "startupProbe" "/-/healthy" }}
{{- with index $.Values $name }}
{{- $handler := dict }}
{{- if or .exec .grpc .tcpSocket }}
{{- else if and $.Values.webConfigSecret $.Values.webAuthentication (not .httpGet) }}
{{- $handler = dict "tcpSocket" (dict "port" "http") }}
{{- else }}
{{- $handler = dict "httpGet" (dict "path" $path "port" "http" "scheme" (include "petra-exporter.scheme" $ | upper)) }}
{{- end }}
{{ $name }}:
  {{- mergeOverwrite $handler . | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
