{{/* Every template here takes (dict "root" $ "role" ROLE), with the role "run", "receive" or "feeds",
but callstitch.disk and callstitch.port. */}}

{{- define "callstitch.name" -}}
{{ if eq .role "run" }}{{ .root.Release.Name }}{{ else }}{{ .root.Release.Name }}-{{ .role }}{{ end }}
{{- end }}

{{- define "callstitch.selector" -}}
app.kubernetes.io/name: callstitch
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "callstitch.metadata" -}}
name: {{ include "callstitch.name" . }}{{ .suffix | default "" }}
labels:
  {{- include "callstitch.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{/* Reports, by being empty or not, whether the configuration has such a workload. */}}
{{- define "callstitch.has" -}}
{{- $receive := .root.Values.config.receive | default dict -}}
{{- if eq .role "run" }}yes{{ end -}}
{{- if and (eq .role "receive") $receive.endpoints }}yes{{ end -}}
{{- if and (eq .role "feeds") $receive.feeds }}yes{{ end -}}
{{- end }}

{{/* The workload's callstitch.yaml. What the manifests decide is not the user's to set: addresses and directories. */}}
{{- define "callstitch.config" -}}
{{- $config := deepCopy .root.Values.config -}}
{{- $receive := get $config "receive" | default dict -}}
{{- if eq .role "run" -}}
  {{- $config = merge (dict "http" (dict "listen" ":8080")) (omit $config "receive" "http" "instance_id" "state_dir") -}}
{{- else -}}
  {{- $own := dict "http" (dict "listen" ":8086") -}}
  {{- $dir := dict "spool" (dict "dir" "/var/lib/callstitch/spool") -}}
  {{- $config = omit $config "http" "instance_id" "state_dir" -}}
  {{- if eq .role "receive" -}}
    {{- $own = set $own "listen" ":8085" -}}
    {{- $receive = omit $receive "feeds" -}}
    {{- if .root.Values.receive.spool.size -}}
      {{- $own = merge $own $dir -}}
    {{- else -}}
      {{- $receive = omit $receive "spool" -}}
    {{- end -}}
  {{- else -}}
    {{- $own = merge $own $dir -}}
    {{- $receive = omit $receive "listen" "endpoints" "tls" "trusted_proxies" -}}
    {{- $config = set $config "state_dir" "/var/lib/callstitch/state" -}}
  {{- end -}}
  {{- $config = set $config "receive" (merge $own $receive) -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{- define "callstitch.configmap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "callstitch.metadata" . | nindent 2 }}
data:
  callstitch.yaml: |
    {{- include "callstitch.config" . | nindent 4 }}
{{- end }}

{{/* A rolling update, or the drain of a node, takes one instance at a time. One that
cannot get ready does not hold up the drain of its node. */}}
{{- define "callstitch.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "callstitch.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "callstitch.selector" . | nindent 6 }}
{{- end }}

{{/* What a StatefulSet must name. No traffic comes through it. */}}
{{- define "callstitch.headless" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "callstitch.metadata" (dict "root" .root "role" .role "suffix" "-pods") | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "callstitch.selector" . | nindent 4 }}
  ports:
    - {name: http, port: {{ eq .role "run" | ternary 8080 8086 }}, targetPort: http}
{{- end }}

{{/* The bytes of a quantity such as 12Gi, or of a size of the configuration such as 10GiB. */}}
{{- define "callstitch.bytes" -}}
{{- $units := dict "" 1.0 "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{ mulf (regexFind "^[0-9]+" .) (index $units (regexFind "[KMGTPE]i?" .)) }}
{{- end }}

{{/* Fails where a disk, (dict … "value" NAME "size" SIZE), is too small for the spool: what fills the
disk before the spool is full is lost in an outage. A tenth is the file system's. */}}
{{- define "callstitch.roomy" -}}
{{- $max := (((.root.Values.config.receive).spool).max) | default "10GiB" -}}
{{- if lt (include "callstitch.bytes" (toString .size) | float64) (include "callstitch.bytes" (toString $max) | float64 | mulf 1.1) -}}
{{- fail (printf "%s is %s, and config.receive.spool.max %s: the disk must have a tenth more at least" .value .size $max) -}}
{{- end -}}
{{- end }}

{{/* The pod template of all workloads. */}}
{{- define "callstitch.pod" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .role -}}
{{- $disk := or (eq .role "feeds") (and (eq .role "receive") $values.receive.spool.size) -}}
metadata:
  labels:
    {{- include "callstitch.selector" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "callstitch.config" . | sha256sum }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  # The variables of a Service named callstitch-… would look like keys of the configuration.
  enableServiceLinks: false
  serviceAccountName: {{ $values.serviceAccountName }}
  automountServiceAccountToken: false
  {{- if eq .role "run" }}
  terminationGracePeriodSeconds: 30 # it ends within 10
  {{- else }}
  terminationGracePeriodSeconds: 150 # hold and probe_period are 60 at most, and 25 come on top
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "callstitch.selector" . | nindent 10 }}
  containers:
    - name: callstitch
      image: "{{ $values.image.repository }}:{{ $values.image.tag | default .root.Chart.AppVersion }}"
      args: [{{ eq .role "run" | ternary "run" "receive" }}, -c, /etc/callstitch/callstitch.yaml]
      env:
        - name: CALLSTITCH_INSTANCE_ID
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        {{- range $name, $value := $values.env }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
      ports:
        - {name: http, containerPort: {{ eq .role "run" | ternary 8080 8086 }}}
        {{- if eq .role "receive" }}
        - {name: webhooks, containerPort: 8085}
        {{- end }}
      # Not /readyz: an outage of Kafka is no reason to restart.
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Ready is who has restored its state: a rolling update waits for that.
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/callstitch, readOnly: true}
        {{- if $values.secret }}
        - {name: secret, mountPath: /run/secrets/callstitch, readOnly: true}
        {{- end }}
        {{- range $values.volumes }}
        - {name: {{ .name }}, mountPath: /run/secrets/{{ .name }}, readOnly: true}
        {{- end }}
        {{- if $disk }}
        - {name: disk, mountPath: /var/lib/callstitch}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "callstitch.name" . }}}
    {{- with $values.secret }}
    - name: secret
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- with $values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The spool and a feed's session outlive the pod. */}}
{{- define "callstitch.disk" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: disk
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests: {storage: {{ .size }}}
{{- end }}

{{/* The port of an address such as kafka:9092 or https://registry. */}}
{{- define "callstitch.port" -}}
{{- regexFind ":[0-9]+$" (regexReplaceAll "^([a-z]+://[^/]*).*$" . "${1}") | trimPrefix ":" | default (regexMatch "^(http|ws)://" . | ternary "80" "443") -}}
{{- end }}
