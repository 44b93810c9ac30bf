package helm

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// missing lists the fields of an API's value that must be there and are not: in the
// types of Kubernetes and of the Prometheus Operator, those without omitempty.
func missing(path string, value reflect.Value) (paths []string) {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() {
			return missing(path, value.Elem())
		}
	case reflect.Slice:
		for i := range value.Len() {
			paths = append(paths, missing(fmt.Sprintf("%s[%d]", path, i), value.Index(i))...)
		}
	case reflect.Map:
		for _, key := range value.MapKeys() {
			paths = append(paths, missing(fmt.Sprintf("%s[%v]", path, key), value.MapIndex(key))...)
		}
	case reflect.Struct:
		for i := range value.NumField() {
			field := value.Type().Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || name == "-" {
				continue
			}
			inner := path
			if name != "" {
				inner += "." + name
			}
			if name != "" && !strings.Contains(options, "omit") && field.Type.Kind() != reflect.Struct && field.Type.Kind() != reflect.Bool && value.Field(i).IsZero() {
				paths = append(paths, inner)
			}
			paths = append(paths, missing(inner, value.Field(i))...)
		}
	}
	return paths
}

func TestRequired(t *testing.T) {
	each(t, func(t *testing.T, r resources) {
		for _, object := range r.all {
			if paths := missing(object.GetObjectKind().GroupVersionKind().Kind, reflect.ValueOf(object)); len(paths) > 0 {
				t.Errorf("missing: %v", paths)
			}
		}
	})
}

func TestFindsMissing(t *testing.T) {
	pod := core.Pod{Spec: core.PodSpec{Containers: []core.Container{{Image: "a", Ports: []core.ContainerPort{{Name: "b"}}}}}}
	if got, want := fmt.Sprint(missing("Pod", reflect.ValueOf(pod))), "[Pod.spec.containers[0].name Pod.spec.containers[0].ports[0].containerPort]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
