package helm

import (
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// One process at a time on the key's limit and on the state file.
func TestOneReplica(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		if spec := r.deployment.Spec; spec.Replicas == nil || *spec.Replicas != 1 || spec.Strategy.Type != apps.RecreateDeploymentStrategyType {
			t.Errorf("replicas %v, strategy %+v", spec.Replicas, spec.Strategy)
		}
	})
}

// What selects finds the pod, or the service; no user's label gets into its way.
func TestSelectors(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		pod := labels.Set(r.deployment.Spec.Template.Labels)
		selectors := map[string]map[string]string{"deployment": r.deployment.Spec.Selector.MatchLabels, "service": r.service.Spec.Selector}
		if r.policy != nil {
			selectors["policy"] = r.policy.Spec.PodSelector.MatchLabels
			for _, rule := range r.policy.Spec.Ingress {
				if len(rule.From) == 0 || len(rule.Ports) != 1 || rule.Ports[0].Port.StrVal != "http" {
					t.Errorf("the policy lets in %+v", rule)
				}
			}
		}
		for name, selector := range selectors {
			if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(pod) {
				t.Errorf("%s: %v does not select %v", name, selector, pod)
			}
		}
		if r.monitor != nil && !labels.SelectorFromSet(r.monitor.Spec.Selector.MatchLabels).Matches(labels.Set(r.service.Labels)) {
			t.Errorf("%v does not select %v", r.monitor.Spec.Selector, r.service.Labels)
		}
		if port := r.container().Ports[0]; port.Name != "http" || port.ContainerPort != 10984 || r.service.Spec.Ports[0].TargetPort.StrVal != "http" || r.service.Spec.Ports[0].Name != "http" {
			t.Errorf("the ports are %+v and %+v", port, r.service.Spec.Ports)
		}
		names := map[string]bool{}
		for _, object := range r.all {
			name, _ := name(object)
			if name = object.GetObjectKind().GroupVersionKind().Kind + " " + name; names[name] {
				t.Errorf("%s is there twice", name)
			}
			names[name] = true
		}
	})
}

// Each file that a flag names lies on a volume that is there, as a folder, so that a
// new key is seen; only the state's can be written.
func TestFiles(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		volume := func(flag string) core.VolumeSource {
			t.Helper()
			for _, mount := range r.container().VolumeMounts {
				if mount.MountPath != filepath.Dir(r.flag(flag)) {
					continue
				}
				if mount.SubPath != "" || mount.ReadOnly == (flag == "state.file") {
					t.Errorf("--%s: the mount is %+v", flag, mount)
				}
				for _, volume := range r.pod().Volumes {
					if volume.Name == mount.Name {
						return volume.VolumeSource
					}
				}
			}
			t.Fatalf("--%s=%s lies on no volume", flag, r.flag(flag))
			return core.VolumeSource{}
		}
		if source := volume("config.file").ConfigMap; source.Name != r.config.Name || r.config.Data[filepath.Base(r.flag("config.file"))] == "" {
			t.Errorf("the configuration is of %+v", source)
		}
		secret := volume("petra.api-key-file").Secret
		if *secret.DefaultMode&0o007 != 0 {
			t.Errorf("everybody may read the key: %o", *secret.DefaultMode)
		}
		if r.secret != nil && (r.secret.Name != secret.SecretName || r.secret.StringData[filepath.Base(r.flag("petra.api-key-file"))] != `a key: with "quotes"`) {
			t.Errorf("the key is of %+v, the secret is %+v", secret, r.secret)
		}
		if strings.Contains(r.text, "a key: with") && r.secret == nil {
			t.Error("the key is elsewhere too")
		}
		switch state := volume("state.file"); {
		case r.claim != nil:
			if state.PersistentVolumeClaim.ClaimName != r.claim.Name || r.claim.Spec.Resources.Requests.Storage().IsZero() || len(r.claim.Spec.AccessModes) != 1 {
				t.Errorf("the state is on %+v, the claim is %+v", state, r.claim)
			}
		case state.EmptyDir == nil && state.PersistentVolumeClaim.ClaimName != "mine":
			t.Errorf("the state is on %+v", state)
		}
		if r.flag("web.config.file") != "" && volume("web.config.file").Secret.SecretName != "petra-web" {
			t.Error("web.yml is of another secret")
		}
	})
}

// The exporter takes its flags and its configuration.
func TestExporter(t *testing.T) {
	exporter := build(t)
	each(t, func(t *testing.T, r resources) {
		dir := t.TempDir()
		config := filepath.Join(dir, "petra_exporter.yml")
		ca := filepath.Join(dir, "ca.pem") // which is on a volume too
		content := strings.ReplaceAll(r.config.Data["petra_exporter.yml"], "/etc/petra_exporter_web/ca.pem", ca)
		if err := errors.Join(os.WriteFile(config, []byte(content), 0o600), os.WriteFile(ca, certificate(), 0o600)); err != nil {
			t.Fatal(err)
		}
		args := []string{"--config.check"}
		for _, arg := range r.container().Args {
			switch name, _, _ := strings.Cut(arg, "="); name {
			case "--config.file":
				arg = "--config.file=" + config
			case "--state.file": // on a volume
				arg = "--state.file=" + filepath.Join(dir, "state.json")
			case "--web.config.file":
				continue
			}
			args = append(args, arg)
		}
		if out, err := exec.Command(exporter, args...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, r.config.Data["petra_exporter.yml"])
		}
	})
}

// certificate is any valid one, as PEM.
func certificate() []byte {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// Another configuration is another pod.
func TestConfigRestarts(t *testing.T) {
	sum := func(values string) string {
		return render(t, values).deployment.Spec.Template.Annotations["checksum/config"]
	}
	if a, b := sum(""), sum("config: {max_staleness: 2h}"); a == "" || a == b {
		t.Errorf("%q and %q", a, b)
	}
}

// Kubernetes' own schemas, with the fields that a resource must have; of what lies
// deeper, TestRequired finds what is missing. They lack the operator's types.
func TestSchemas(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		dir := t.TempDir()
		for i, object := range r.all {
			if strings.HasPrefix(object.GetObjectKind().GroupVersionKind().Group, "monitoring.") {
				continue
			}
			file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
			if err := os.WriteFile(file, r.documents[i], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command(root+".cache/bin/kubectl-validate", "--version=1.30", dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
