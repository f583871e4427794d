package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// Kept is an image whose keep tag a command writes or removes.
type Kept struct {
	ImageID, Name, Region string

	Changed bool   // The tag was written, or removed; else there was nothing to do.
	KeptBy  string // What keeps the image now, such as "tagged Env=prod"; empty if no tag does.
	Err     error  // Why the tag could not be written or removed; nil if it was.
}

// maxTagValue is how long the value of a tag may be (EC2 User Guide, "Tag restrictions").
const maxTagValue = 256

// KeepValue returns the value of the keep tag that carries a reason. The error says why there is
// none.
func KeepValue(reason string) (string, error) {
	switch reason = strings.TrimSpace(reason); {
	case reason == "":
		return "true", nil
	case strings.EqualFold(reason, "false"):
		return "", fmt.Errorf("%s=%s does not keep an image", ami.KeepTag, reason)
	case utf8.RuneCountInString(reason) > maxTagValue:
		return "", fmt.Errorf("it has %d characters, and the value of a tag at most %d", utf8.RuneCountInString(reason), maxTagValue)
	case plain.Printable(reason) != reason:
		return "", errors.New("it has characters that do not show, such as a line break")
	default:
		return reason, nil
	}
}

// KeepImages writes the keep tag with a value to images, each given by id or name, wherever they
// are in some regions. Without a reason of its own, the value true, it leaves a tag that keeps
// already. The error is about images that could not be searched for or found; all others have been
// dealt with.
func KeepImages(ctx context.Context, account aws.Config, regions, given []string, value string) ([]Kept, error) {
	found, err := findNamed(ctx, account, regions, given)
	results := make([]Kept, len(found))
	for i, image := range found {
		result := Kept{ImageID: image.ID, Name: image.Name, Region: image.region}
		if len(retention.KeepTagKeys(image.Image)) == 0 || value != "true" && image.Tags[ami.KeepTag] != value {
			result.Changed = true
			result.Err = explained(wire.Tag(ctx, image.client, []string{image.ID}, map[string]string{ami.KeepTag: value}))
			image.Tags = maps.Clone(image.Tags)
			if image.Tags == nil {
				image.Tags = map[string]string{}
			}
			image.Tags[ami.KeepTag] = value
		}
		result.KeptBy = retention.Policy{}.KeptByTag(image.Image)
		results[i] = result
	}
	return results, err
}

// UnkeepImages removes the keep tag, however it is spelt, from images, as KeepImages writes it.
// Other tags by which a policy keeps stay.
func UnkeepImages(ctx context.Context, account aws.Config, regions, given []string, policy retention.Policy) ([]Kept, error) {
	found, err := findNamed(ctx, account, regions, given)
	results := make([]Kept, len(found))
	for i, image := range found {
		result := Kept{ImageID: image.ID, Name: image.Name, Region: image.region}
		if keys := retention.KeepTagKeys(image.Image); len(keys) > 0 {
			result.Changed = true
			result.Err = explained(wire.Untag(ctx, image.client, []string{image.ID}, keys))
			image.Tags = maps.Clone(image.Tags)
			for _, key := range keys {
				delete(image.Tags, key)
			}
		}
		result.KeptBy = policy.KeptByTag(image.Image)
		results[i] = result
	}
	return results, err
}

// explained puts an error of the SDK into a line; nil stays nil.
func explained(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(wire.ExplainLookup(err))
}
