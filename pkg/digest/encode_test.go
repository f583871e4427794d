package digest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

func TestEncodeWritesWhatMarshalDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRun(t)
		r.Policy = map[string]string{"regions": `"regions":[]`, "images": untrusted(t)}
		for _, indent := range []string{"", "  ", "\t"} {
			want := marshalled(t, r)
			if indent != "" {
				var err error
				if want, err = json.MarshalIndent(r, "", indent); err != nil {
					t.Fatal(err)
				}
			}
			var got bytes.Buffer
			if err := r.Encode(&got, indent); err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want)+"\n" {
				t.Fatalf("indented by %q:\n%s\n%s", indent, got.String(), want)
			}
		}
	})
}

// full has room for so many bytes.
type full int

var errFull = errors.New("no space left on device")

func (f *full) Write(data []byte) (int, error) {
	if *f -= full(len(data)); *f < 0 {
		return 0, errFull
	}
	return len(data), nil
}

func TestEncodeSaysThatARecordIsNotWhole(t *testing.T) {
	for _, room := range []full{0, 10, 70_000, 200_000} {
		if err := many(1000, 0).Encode(&room, "  "); !errors.Is(err, errFull) {
			t.Errorf("%v", err)
		}
	}
	if err := (record.Run{}).Encode(new(bytes.Buffer), ""); err != nil {
		t.Error(err)
	}
}
