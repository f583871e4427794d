package retention_test

import (
	"testing"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Text in one region may name the images of all.
func TestTextInAnotherRegion(t *testing.T) {
	gap := func(source string) ami.Evidence {
		return ami.Evidence{Gaps: []ami.Gap{{Source: source, Err: "denied"}}}
	}
	for name, test := range map[string]struct {
		elsewhere ami.Evidence
		reason    string
	}{
		"names it":       {ami.Evidence{Images: findings{subject: {Use: ami.Used, References: []ami.Reference{{Source: ami.TextSource, ARN: "arn:of:it"}}}}}, "in-use"},
		"cannot be read": {gap(ami.TextSource), "unknown-use"},
		"names another":  {ami.Evidence{Images: findings{"ami-00000000000000002": {Use: ami.Used}}}, "stale"},
		"something else": {gap("instances"), "stale"},
		// The region could not be read at all: docs/design/0007.
		"nothing was said": {ami.Evidence{}, "stale"},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := inventory(region, idle(subject)), inventory("us-east-1")
			evidence := unused(here, there)
			evidence["us-east-1"] = test.elsewhere
			got := verdicts(policy().Open([]ami.Inventory{here, there}, now).Plan(evidence))[subject]
			if len(got.Reasons) != 1 || string(got.Reasons[0].Code) != test.reason {
				t.Errorf("%v", got.Reasons)
			}
		})
	}
}
