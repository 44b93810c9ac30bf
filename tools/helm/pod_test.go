package helm

import (
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// The exporter needs no privilege and no token, and nothing of the host.
func TestNoPrivileges(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		pod, container := r.pod().SecurityContext, r.container().SecurityContext
		if !*pod.RunAsNonRoot || pod.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("the pod's security is %+v", pod)
		}
		if *container.AllowPrivilegeEscalation || !*container.ReadOnlyRootFilesystem || !slices.Equal(container.Capabilities.Drop, []core.Capability{"ALL"}) || container.Capabilities.Add != nil || container.Privileged != nil {
			t.Errorf("the container's security is %+v", container)
		}
		if *r.pod().AutomountServiceAccountToken || *r.pod().EnableServiceLinks || r.pod().HostNetwork || r.pod().HostPID || r.pod().HostIPC {
			t.Error("it has a token, the services' environment, or a namespace of the host")
		}
		if r.account != nil && *r.account.AutomountServiceAccountToken {
			t.Error("the service account has a token")
		}
		for _, name := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory} {
			if request := r.container().Resources.Requests[name]; request.IsZero() {
				t.Errorf("it asks for no %s", name)
			}
		}
		if limit := r.container().Resources.Limits[core.ResourceMemory]; limit.IsZero() {
			t.Error("its memory has no limit")
		}
	})
}

// By default the user is fixed. OpenShift's restricted-v2 refuses any fixed user or
// group: its values leave them to the platform.
func TestUser(t *testing.T) {
	pod := render(t, "").pod().SecurityContext
	if *pod.RunAsUser != 65532 || *pod.RunAsGroup != 65532 || *pod.FSGroup != 65532 {
		t.Errorf("the pod's security is %+v", pod)
	}
	r := render(t, matrix["openshift"])
	pod = r.pod().SecurityContext
	if pod.RunAsUser != nil || pod.RunAsGroup != nil || pod.FSGroup != nil || pod.SupplementalGroups != nil || strings.Contains(r.text, "65532") {
		t.Errorf("the pod's security is %+v", pod)
	}
	if container := r.container().SecurityContext; container.RunAsUser != nil || container.RunAsGroup != nil {
		t.Errorf("the container's security is %+v", container)
	}
	r = render(t, "podSecurityContext: null\nsecurityContext: null")
	if r.pod().SecurityContext != nil || r.container().SecurityContext != nil {
		t.Errorf("with null: %+v, %+v", r.pod().SecurityContext, r.container().SecurityContext)
	}
}

func TestServiceAccount(t *testing.T) {
	for values, want := range map[string]string{
		"":                                "petra-petra-exporter",
		"serviceAccount: {name: mine}":    "mine",
		"serviceAccount: {create: false}": "default",
		"serviceAccount: {create: false, name: mine}":              "mine",
		"serviceAccount: {annotations: {a: b}}\nnameOverride: abc": "petra-abc",
	} {
		r := render(t, values)
		if r.pod().ServiceAccountName != want || (r.account == nil) != strings.Contains(values, "create: false") || r.account != nil && r.account.Name != want {
			t.Errorf("%s: the pod has %q, the account is %+v", values, r.pod().ServiceAccountName, r.account)
		}
		if strings.Contains(values, "annotations") && r.account.Annotations["a"] != "b" {
			t.Errorf("%s: the account is %+v", values, r.account)
		}
	}
}

func TestImage(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for values, want := range map[string]string{
		"":                                   "ghcr.io/petra-exporter/petra_exporter:" + strings.TrimSpace(read(t, "VERSION")),
		"image: {repository: a/b}":           "a/b:" + strings.TrimSpace(read(t, "VERSION")),
		"image: {repository: a/b, tag: c}":   "a/b:c",
		"image: {tag: c, digest: DIGEST}":    "ghcr.io/petra-exporter/petra_exporter@" + digest,
		"image: {digest: DIGEST, tag: null}": "ghcr.io/petra-exporter/petra_exporter@" + digest,
	} {
		if got := render(t, strings.ReplaceAll(values, "DIGEST", digest)).container().Image; got != want {
			t.Errorf("%s: %s, want %s", values, got, want)
		}
	}
}

// What is added comes after the chart's own, and takes nothing away.
func TestExtras(t *testing.T) {
	r := render(t, matrix["everything"])
	pod := r.pod()
	if len(pod.Containers) != 2 || pod.Containers[1].Name != "proxy" {
		t.Errorf("the containers are %+v", pod.Containers)
	}
	if len(pod.InitContainers) != 1 || pod.DNSPolicy != core.DNSNone || len(pod.DNSConfig.Nameservers) != 1 || r.deployment.Annotations["c"] != "d" {
		t.Errorf("the pod is %+v, the deployment's annotations are %v", pod, r.deployment.Annotations)
	}
	last := pod.Volumes[len(pod.Volumes)-1]
	if mounts := r.container().VolumeMounts; last.Name != "ca" || mounts[len(mounts)-1].Name != "ca" || len(mounts) != len(pod.Volumes) {
		t.Errorf("the volumes are %+v, mounted as %+v", pod.Volumes, mounts)
	}
	if args := r.container().Args; args[len(args)-1] != "--web.max-requests=10" || r.container().Env[0].Name != "HTTPS_PROXY" {
		t.Errorf("the flags are %q, the environment %+v", args, r.container().Env)
	}
	if len(r.extra) != 2 || r.extra[0].Name != "petra-object" || r.extra[1].Name != "petra-text" {
		t.Errorf("the extra manifests are %+v", r.extra)
	}
	if pod.PriorityClassName != "high" || len(pod.HostAliases) != 1 || len(pod.TopologySpreadConstraints) != 1 || len(pod.Tolerations) != 1 || pod.Affinity == nil || len(pod.NodeSelector) != 1 || len(pod.ImagePullSecrets) != 1 || *r.deployment.Spec.RevisionHistoryLimit != 0 {
		t.Errorf("the pod is %+v", pod)
	}
	if template := r.deployment.Spec.Template; template.Annotations["a"] != "b" || template.Labels["team"] != "soc" || r.service.Spec.Type != core.ServiceTypeNodePort {
		t.Errorf("the pod's metadata is %+v, the service %+v", template.ObjectMeta, r.service.Spec)
	}
}
