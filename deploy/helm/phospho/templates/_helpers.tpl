{{- define "phospho.name" -}}
{{- if contains "phospho" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-phospho" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that select the pods of one process: (dict "root" $ "process" NAME). */}}
{{- define "phospho.selector" -}}
app.kubernetes.io/name: phospho
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .process }}
{{- end }}

{{- define "phospho.labels" -}}
{{ include "phospho.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "phospho.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "phospho.bootstrapServers" -}}
{{- if .Values.strimzi.enabled -}}
{{ include "phospho.name" . }}-kafka-bootstrap:9092
{{- else -}}
{{ required "Set kafka.bootstrapServers, or strimzi.enabled with Strimzi's operator in the cluster." .Values.kafka.bootstrapServers }}
{{- end -}}
{{- end }}

{{/* Each process: its command, its port, and the keys of the Secret that it reads. */}}
{{- define "phospho.processes" -}}
gateway:
  command: [phospho, gateway, --host, 0.0.0.0, --port, "8420"]
  port: 8420
  secretKeys: [PHOSPHO_CLICKHOUSE, PHOSPHO_KAFKA_SASL_PASSWORD, PHOSPHO_ADMIN_KEY, PHOSPHO_SECRET_KEY, PHOSPHO_SMTP_PASSWORD]
dashboard:
  command: [phospho, dashboard, --host, 0.0.0.0, --port, "8421"]
  port: 8421
  secretKeys: [PHOSPHO_CLICKHOUSE, PHOSPHO_KAFKA_SASL_PASSWORD, PHOSPHO_ADMIN_KEY, PHOSPHO_SECRET_KEY, PHOSPHO_SMTP_PASSWORD]
extraction:
  command: [phospho, worker, extraction, --metrics-host, 0.0.0.0, --metrics-port, "9100"]
  port: 9100
  topics: [phospho.raw-logs]
  secretKeys: [PHOSPHO_KAFKA_SASL_PASSWORD]
detection:
  command: [phospho, worker, detection, --metrics-host, 0.0.0.0, --metrics-port, "9100"]
  port: 9100
  topics: [phospho.tasks]
  secretKeys: [PHOSPHO_CLICKHOUSE, PHOSPHO_KAFKA_SASL_PASSWORD]
sink:
  command: [phospho, worker, sink, --metrics-host, 0.0.0.0, --metrics-port, "9100"]
  port: 9100
  topics: [phospho.tasks, phospho.analyses, phospho.feedback, phospho.steps, phospho.parts, phospho.receipts, phospho.dead-letter]
  secretKeys: [PHOSPHO_CLICKHOUSE, PHOSPHO_KAFKA_SASL_PASSWORD]
jobs:
  command: [phospho, worker, jobs, --metrics-host, 0.0.0.0, --metrics-port, "9100"]
  port: 9100
  secretKeys: [PHOSPHO_CLICKHOUSE, PHOSPHO_SECRET_KEY, PHOSPHO_LLM_API_KEY, PHOSPHO_SMTP_PASSWORD]
{{- end }}

{{/* Variables from the Secret: (dict "root" $ "keys" LIST). Only ClickHouse's URL has to be there. */}}
{{- define "phospho.secrets" -}}
{{- range .keys }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $.root.Values.secretName }}
      key: {{ . }}
      {{- if ne . "PHOSPHO_CLICKHOUSE" }}
      optional: true
      {{- end }}
{{- end }}
{{- end }}

{{- define "phospho.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "phospho.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What all pods have in common, under `spec`. */}}
{{- define "phospho.pod" -}}
serviceAccountName: {{ include "phospho.name" . }}
automountServiceAccountToken: false
# Variables such as PHOSPHO_GATEWAY_PORT=tcp:… are not settings.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "phospho.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 256Mi
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "phospho.mounts" -}}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
