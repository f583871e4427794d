package wire_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
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

func TestFindTags(t *testing.T) {
	account := account(t)
	api := client(account.Client()).ec2
	if err := wire.Tag(t.Context(), api, []string{imageID}, map[string]string{"a": "1", "b": "", "c": "3"}); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		imageID:                 "map[" + imageID + ":map[a:1 b:]]",
		"ami-0123456789abcdef9": "map[]",
	} {
		these := types.Filter{Name: aws.String("resource-id"), Values: []string{value}}
		if found, err := wire.FindTags(t.Context(), api, these, "a", "b", "d"); err != nil || fmt.Sprint(found) != want {
			t.Errorf("%v, %v, want %s", err, found, want)
		}
		denied := client(disturb.Deny(account.Client(), "DescribeTags")).ec2
		if found, err := wire.FindTags(t.Context(), denied, these, "a"); err == nil || found != nil {
			t.Errorf("%v, %v", err, found)
		}
	}
}
