package wire_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Without a key EC2 would take off all the tags that users have set.
func TestNoKeyTakesNothingOff(t *testing.T) {
	for _, keys := range [][]string{nil, {""}, {"Owner", ""}} {
		none := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%q: %s", keys, r.URL)
			return nil, http.ErrHandlerTimeout
		})
		if err := wire.Untag(t.Context(), client(none).ec2, []string{imageID}, keys); err != nil {
			t.Errorf("%q: %v", keys, err)
		}
	}
}

func TestTagsComeAndGo(t *testing.T) {
	api := client(account(t).Client()).ec2
	tags := func() string {
		_, image, err := wire.FindImage(t.Context(), api, imageID)
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, tag := range image.Tags {
			said += fmt.Sprint(*tag.Key, "=", *tag.Value, " ")
		}
		return said
	}
	if err := wire.Tag(t.Context(), api, []string{imageID}, map[string]string{"b": "2", "a": "1"}); err != nil || tags() != "a=1 b=2 " {
		t.Errorf("%v, %q", err, tags())
	}
	if err := wire.Untag(t.Context(), api, []string{imageID}, []string{"a"}); err != nil || tags() != "b=2 " {
		t.Errorf("%v, %q", err, tags())
	}
}
