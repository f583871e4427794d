package janitor_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// staleImages are images that nothing keeps.
func staleImages(n int) []object {
	var images []object
	for i := 1; i <= n; i++ {
		images = append(images, image(i, 400, 300, i))
	}
	return images
}

// told runs a janitor and has it tell of the run. It returns the record, and the subject and the
// text of the digest, which are empty if nobody is told.
func told(t *testing.T, account *emulator.Account, doer emulator.Doer, on config.NotifyOn, more settings, dry bool) (record record.Run, subject, text string) {
	t.Helper()
	chosen := settings{"KEEP_NEWEST": "0", "TOPIC_ARN": mailTopic, "NOTIFY_ON": string(on)}
	maps.Copy(chosen, more)
	j := newJanitor(t, doer, chosen)
	before := len(account.Published())
	record = j.Run(t.Context(), "20261123T020000Z-aaaaaa", dry)
	if err := j.Tell(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	for _, mail := range account.Published()[before:] {
		subject, text = mail.Subject, mail.Message
	}
	return record, subject, text
}

// eachWay runs a test for each occasion on which a digest is sent but "always", dry and not.
func eachWay(t *testing.T, name string, test func(t *testing.T, on config.NotifyOn, dry bool)) {
	t.Helper()
	for _, on := range []config.NotifyOn{config.NotifyChanges, config.NotifyFailures} {
		for _, dry := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, %s, dry run %v", name, on, dry), func(t *testing.T) {
				bubble(t, func(t *testing.T) { test(t, on, dry) })
			})
		}
	}
}

// Where every image stays because a lookup is denied, somebody is told, and told which.
func TestWhoCouldProveNothingSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		world         world
		denied        string
		subject, text string
	}{
		"references":  {world{}, "DescribeImageReferences", "ec2:DescribeImageReferences denied - ", "Allow ec2:DescribeImageReferences to the role"},
		"parameters":  {world{}.parameter("/app", "x", nil), "GetParameters", "SSM parameter unreadable - ", "Allow ssm:GetParameters on it to the role"},
		"permissions": {world{}, "DescribeImageAttribute", "ec2:DescribeImageAttribute denied - ", "Allow ec2:DescribeImageAttribute to the role"},
		"templates": {
			world{versions: []object{templateVersion(1, imageID(77))}},
			"DescribeLaunchTemplateVersions",
			"ec2:DescribeLaunchTemplateVersions denied - ", "Allow ec2:DescribeLaunchTemplateVersions to the role",
		},
		"groups": {world{}, "DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups denied - ", "Allow autoscaling:DescribeAutoScalingGroups to the role"},
		"a parameter of another account": {
			world{versions: []object{templateVersion(1, "resolve:ssm:arn:aws:ssm:us-east-1:999988887777:parameter/golden")}},
			"",
			"SSM parameter of a launch template unreadable - ", "version 1, names SSM parameter arn:aws:ssm:us-east-1:999988887777:parameter/golden",
		},
	} {
		c.world.images = staleImages(5)
		eachWay(t, name, func(t *testing.T, on config.NotifyOn, dry bool) {
			account := c.world.load(t)
			record, subject, text := told(t, account, disturb.Deny(account.Client(), c.denied), on, nil, dry)
			if !strings.HasPrefix(subject, c.subject) {
				t.Errorf("subject %q", subject)
			}
			lead, _, _ := strings.Cut(text, "\n\n")
			if lead = strings.Join(strings.Fields(lead), " "); !strings.Contains(lead, c.text) {
				t.Errorf("the digest does not lead with the cause:\n%s", text)
			}
			wantsProof(t, record, 5, true)
		})
	}
}

// wantsProof checks what a record and the metrics say of what could not be proven.
func wantsProof(t *testing.T, run record.Run, unproven int, nothing bool) {
	t.Helper()
	var metrics map[string]any
	if err := json.Unmarshal(record.Metrics(run, "ami-janitor", true), &metrics); err != nil {
		t.Fatal(err)
	}
	count := 0.0
	if nothing {
		count = 1
	}
	if run.Totals.Unproven != unproven || metrics["Unproven"] != float64(unproven) || metrics["NothingProven"] != count {
		t.Errorf("%d unproven; Unproven %v, NothingProven %v; want %d, %v", run.Totals.Unproven, metrics["Unproven"], metrics["NothingProven"], unproven, count)
	}
	if run.LacksProof() != (unproven > 0) {
		t.Errorf("lacks proof: %v", run.LacksProof())
	}
}

// A region is one in which nothing was proven only if there was something to prove, and none of it
// was.
func TestWhatWasProven(t *testing.T) {
	unknown := func(next emulator.Doer, ids ...string) emulator.Doer {
		return on(next, func(q emulator.Request, _ int) bool {
			return q.Action == "DescribeImageAttribute" && strings.Contains(strings.Join(ids, " "), q.Form.Get("ImageId"))
		}, readFaults["denied"])
	}
	for name, c := range map[string]struct {
		world    world
		unknown  []string
		unproven int
		nothing  bool
	}{
		"no images":                       {world{}, nil, 0, false},
		"no candidates":                   {world{images: []object{image(1, 20, 0, 1)}}, []string{imageID(1)}, 0, false},
		"one, which goes":                 {world{images: staleImages(1)}, nil, 0, false},
		"one, which is in use":            {world{images: staleImages(1), reservations: []object{instance(1, imageID(1), "running")}}, nil, 0, false},
		"one, of unknown use":             {world{images: staleImages(1)}, []string{imageID(1)}, 1, true},
		"two, one of which goes":          {world{images: staleImages(2)}, []string{imageID(1)}, 1, false},
		"two, one of which is in use":     {world{images: staleImages(2), reservations: []object{instance(1, imageID(2), "running")}}, []string{imageID(1)}, 1, false},
		"two, one of which is young":      {world{images: append(staleImages(1), image(2, 20, 0, 2))}, []string{imageID(1)}, 1, true},
		"one, unknown, with a use on top": {world{images: staleImages(1), reservations: []object{instance(1, imageID(1), "running")}}, []string{imageID(1)}, 0, false},
	} {
		for _, dry := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, dry run %v", name, dry), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					account := c.world.load(t)
					record, _, _ := told(t, account, unknown(account.Client(), c.unknown...), config.NotifyChanges, nil, dry)
					wantsProof(t, record, c.unproven, c.nothing)
				})
			})
		}
	}
}

// What the Recycle Bin would hold for too short a time stays, and somebody is told.
func TestShortRulesAreTold(t *testing.T) {
	eachWay(t, "rules of 7 days", func(t *testing.T, on config.NotifyOn, dry bool) {
		account := world{images: staleImages(5)}.load(t)
		account.KeepRemoved(7)
		record, subject, text := told(t, account, account.Client(), on, settings{"REQUIRE_RECYCLE_BIN": "true", "RECYCLE_BIN_DAYS": "14"}, dry)
		if !strings.HasPrefix(subject, "Recycle Bin rules too short - ") || !strings.Contains(text, "- 5 AMIs: the Recycle Bin would hold it for 7 days only, and not for 14") ||
			!strings.Contains(text, "RECYCLE_BIN_DAYS") {
			t.Errorf("subject %q\n%s", subject, text)
		}
		wantsProof(t, record, 5, true)
	})
}

// That an image is shared is a proof, and nobody is woken up for it.
func TestSharedImagesAreNothingToTell(t *testing.T) {
	eachWay(t, "shared", func(t *testing.T, on config.NotifyOn, dry bool) {
		w := world{images: staleImages(5), permissions: object{}}
		for n := 1; n <= 5; n++ {
			w.permissions[imageID(n)] = []object{{"OrganizationArn": "arn:aws:organizations::123456789012:organization/o-123"}}
		}
		account := w.load(t)
		record, subject, _ := told(t, account, account.Client(), on, nil, dry)
		if subject != "" {
			t.Errorf("subject %q", subject)
		}
		wantsProof(t, record, 0, false)
	})
}

// Where EC2 shows no launches, nothing is proven by there being none on record.
func TestMissingLaunchDataIsTold(t *testing.T) {
	eachWay(t, "no launches", func(t *testing.T, on config.NotifyOn, dry bool) {
		running := instance(1, imageID(2), "running")
		running["Instances"].([]object)[0]["LaunchTime"] = daysAgo(9)
		account := world{images: []object{image(1, 400, 0, 1), image(2, 30, 0, 2)}, reservations: []object{running}}.load(t)
		record, subject, text := told(t, account, account.Client(), on, nil, dry)
		if !strings.HasPrefix(subject, "Launch data missing - ") || !strings.HasPrefix(text, "Launch data is missing in us-east-1: ") {
			t.Errorf("subject %q\n%s", subject, text)
		}
		wantsProof(t, record, 1, true)
	})
}

// A region that can only be planned is told of, in a dry run too.
func TestARegionOnHoldIsTold(t *testing.T) {
	eachWay(t, "no rules", func(t *testing.T, on config.NotifyOn, dry bool) {
		account := world{images: staleImages(2)}.load(t)
		record, subject, text := told(t, account, account.Client(), on, settings{"REQUIRE_RECYCLE_BIN": "true"}, dry)
		if !strings.HasPrefix(subject, "Recycle Bin rules missing - ") || !strings.Contains(text, "recycle-bin.yaml") || !strings.Contains(text, "REQUIRE_RECYCLE_BIN=false") || !record.LacksProof() {
			t.Errorf("subject %q\n%s", subject, text)
		}
	})
}

// A region that is left to another run is nothing to tell of, unless that one began more than a day
// ago.
func TestARegionLeftToAnotherRunForMoreThanADayIsTold(t *testing.T) {
	for run, long := range map[string]bool{"20261121T020000Z-010203": true, "20261122T015959Z-010203": true, "20261122T020001Z-010203": false, "20261123T015500Z-010203": false} {
		eachWay(t, run, func(t *testing.T, on config.NotifyOn, dry bool) {
			records := t.TempDir()
			keep(t, records, "account.json", object{"account": accountID})
			keep(t, records, "locks/us-east-1.json", object{"run": run, "region": "us-east-1", "at": "2026-11-23T01:59:00Z", "nonce": "x"})
			keep(t, records, "runs/20261101T020000Z-010203/record.json", object{"run": "20261101T020000Z-010203"})
			account := world{images: staleImages(2)}.load(t)
			record, subject, text := told(t, account, account.Client(), on, settings{"RECORDS": records}, dry)
			if isTold := subject != ""; isTold != long || record.LacksProof() != long {
				t.Fatalf("told %v, lacks proof %v; want %v: %q", isTold, record.LacksProof(), long, subject)
			}
			if long && (!strings.HasPrefix(subject, "Region left to a run for over a day - ") || !strings.Contains(text, "run "+run+" ") || !strings.Contains(text, "locks/us-east-1.json")) {
				t.Errorf("subject %q\n%s", subject, text)
			}
		})
	}
}

// keep writes a document into a directory of records.
func keep(t *testing.T, records, name string, content object) {
	t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(records, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The first run on record is told of, whatever it found; without records no run knows that it is
// the first.
func TestTheFirstRunIsTold(t *testing.T) {
	eachWay(t, "nothing to do", func(t *testing.T, on config.NotifyOn, dry bool) {
		records := t.TempDir()
		account := world{images: []object{image(1, 20, 0, 1)}}.load(t)
		for night, first := range []bool{true, false} {
			j := newJanitor(t, account.Client(), settings{"TOPIC_ARN": mailTopic, "NOTIFY_ON": string(on), "RECORDS": records})
			record := j.Run(t.Context(), ami.RunID(fmt.Sprintf("2026112%dT020000Z-aaaaaa", 3+night)), dry)
			before := len(account.Published())
			if err := j.Tell(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			if isTold := len(account.Published()) > before; record.FirstRun != first || isTold != first || strings.Contains(digest.Text(record), "the first run on record") != first {
				t.Errorf("night %d: first %v, told %v, want %v\n%s", night, record.FirstRun, isTold, first, digest.Text(record))
			}
			if record.LacksProof() || record.Failed() {
				t.Errorf("night %d is no night of which nothing is to be told", night)
			}
		}
		if record, subject, _ := told(t, account, account.Client(), on, nil, dry); record.FirstRun || subject != "" {
			t.Errorf("without records: first %v, subject %q", record.FirstRun, subject)
		}
	})
}

// That the records cannot be listed is no sign of a first run.
func TestARunIsTheFirstOnlyForSure(t *testing.T) {
	account := world{images: []object{image(1, 20, 0, 1)}}.load(t)
	denied := disturb.Fail(account.Client(), "ListObjectsV2", func(_ int, q emulator.Request) bool { return q.Form.Get("prefix") == "runs/" }, 403, "AccessDenied", "Access Denied")
	for _, night := range []struct {
		doer  emulator.Doer
		first bool
	}{{denied, false}, {account.Client(), true}, {account.Client(), true}} {
		record := newJanitor(t, night.doer, settings{"RECORDS": "s3://amzn-s3-demo-bucket"}).Run(t.Context(), "20261123T020000Z-aaaaaa", true)
		if record.FirstRun != night.first || record.RecordError != "" {
			t.Errorf("first %v, want %v; %s", record.FirstRun, night.first, record.RecordError)
		}
	}
}
