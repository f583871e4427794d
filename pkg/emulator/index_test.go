package emulator

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A document finds and removes what a walk over its items would, whenever its index is made, and
// whatever comes after that.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d, plain := &document{}, []object{}
		name := func(kind string) string { return fmt.Sprint(kind, rapid.IntRange(0, 3).Draw(r, kind)) }
		r.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				mappings := []any{}
				for range rapid.IntRange(0, 2).Draw(r, "mappings") {
					mappings = append(mappings, object{"Ebs": object{"SnapshotId": name("snap")}})
				}
				o := object{"ImageId": name("ami"), "Name": name("name"), "BlockDeviceMappings": mappings}
				d.add(o)
				plain = append(plain, o)
			},
			"remove": func(*rapid.T) {
				path := rapid.SampledFrom([]string{"ImageId", "Name"}).Draw(r, "path")
				value := name(map[string]string{"ImageId": "ami", "Name": "name"}[path])
				d.removeWith(path, value)
				plain = slices.DeleteFunc(plain, func(o object) bool { return slices.Contains(values(o, path), value) })
			},
			"": func(*rapid.T) {
				if !slices.EqualFunc(d.items, plain, func(a, b object) bool { return reflect.DeepEqual(a, b) }) {
					r.Fatalf("%v, want %v", d.items, plain)
				}
				for path, value := range map[string]string{"ImageId": name("ami"), "Name": name("name"), mappedPath: name("snap")} {
					want := slices.DeleteFunc(slices.Clone(plain), func(o object) bool { return !slices.Contains(values(o, path), value) })
					if got := d.with(path, value); !slices.EqualFunc(got, want, func(a, b object) bool { return reflect.DeepEqual(a, b) }) {
						r.Fatalf("%s %s: %v, want %v", path, value, got, want)
					}
				}
			},
		})
	})
}
