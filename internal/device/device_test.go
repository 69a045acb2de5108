package device

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, name := range []string{"", "gpu", "vulkan:", "cuda:-1", "vulkan:x", "vulkan:-1", "cpu:0", "auto:1"} {
		if _, err := Open(name, 1); err == nil || !strings.Contains(err.Error(), "vulkan:N") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if b, err := Open(CPU, 1); err != nil || !strings.HasPrefix(b.Name(), "cpu") {
		t.Errorf("cpu: %v", err)
	}
	if _, err := Open("vulkan:999", 1); err == nil {
		t.Error("vulkan:999 opens")
	}
}

func TestList(t *testing.T) {
	all, missing := List()
	if len(all) == 0 || all[0].Name != CPU {
		t.Fatalf("no processor in %v", all)
	}
	if len(all) == 1 && len(missing) != 2 {
		t.Error("no other device, and no reason")
	}
	for _, d := range all {
		b, err := Open(d.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Open(d.Name, 1); d.Name != CPU && again != b {
			t.Errorf("%s is opened twice", d.Name)
		}
	}
	name, why := Resolve(Auto)
	if (name == CPU) == (why == "") {
		t.Errorf("auto is %s because of %q", name, why)
	}
}
