package janitor_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// pacedRun makes a dry run at half of AWS's rates, where every call takes so long. Without a limit
// it has all the time that it needs.
func pacedRun(t *testing.T, w world, s settings, latency, limit time.Duration) (record record.Run, account *emulator.Account, took time.Duration) {
	t.Helper()
	return pacedRunOf(t, true, w, s, latency, limit)
}

func pacedRunOf(t *testing.T, dryRun bool, w world, s settings, latency, limit time.Duration) (record record.Run, account *emulator.Account, took time.Duration) {
	t.Helper()
	account, err := emulator.Load(w.files(t), emulator.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	next := account.Client()
	j := newJanitor(t, emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(latency):
			return next.Do(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}), s)
	pace.New(0.5).Apply(&j.AWS)
	j.Clock = time.Now
	ctx := t.Context()
	if limit > 0 {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = limited
	}
	began := time.Now()
	return j.Run(ctx, "20261123T020000Z-aaaaaa", dryRun), account, time.Since(began)
}

// orphans are snapshots of images that are gone, in a world with so many images.
func orphans(images, orphans int) world {
	w := stale(images)
	for n := range orphans {
		w.snapshots = append(w.snapshots, object{
			"SnapshotId": snapshotID(100_000 + n), "OwnerId": accountID, "State": "completed", "VolumeSize": 8, "StartTime": daysAgo(400),
			"Description": "Created by CreateImage(i-0123456789abcdef0) for " + imageID(500_000+n),
		})
	}
	return w
}

// However many orphans there are, EC2 is asked about as many as a digest can use, and about the
// snapshot of a candidate; a region without images does not fail.
func TestManyOrphans(t *testing.T) {
	for images := range 2 {
		t.Run(fmt.Sprint(images), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				record, account, took := pacedRun(t, orphans(images, 6000), nil, 50*time.Millisecond, 15*time.Minute)
				called := callsOf(account)
				if called["DescribeSnapshotAttribute"] != 50+images || called["DescribeImages"] > 110 || took > time.Minute || record.Failed() {
					t.Errorf("after %s: %v, %v", took, record.Regions[0].Error, called)
				}
				if got := record.Totals; got.OrphanedSnapshots != 6000 || got.OrphansNotLookedAt != 5950 {
					t.Errorf("%+v", got)
				}
				if text := digest.Text(record); !strings.Contains(text, "5,950") || !strings.Contains(text, "not looked at") {
					t.Error(text)
				}
			})
		})
	}
}

// parameters are so many, in a world with one stale image.
func parameters(n int) world {
	w := stale(1)
	var list []object
	for i := range n {
		list = append(list, object{"Name": fmt.Sprintf("/app/%05d", i), "Type": "String", "Value": "x", "Version": 1})
	}
	w.more = map[string]object{"get-parameters.json": {"Parameters": list}}
	return w
}

// The values of parameters come at half of the 40 calls a second that an account has for them, so
// that applications have the other half.
func TestManyParameters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		record, account, took := pacedRun(t, parameters(3000), settings{"KEEP_NEWEST": "0"}, 15*time.Millisecond, 15*time.Minute)
		if calls := callsOf(account)["GetParameters"]; calls != 300 || took < 300/20*time.Second-time.Second || took > 30*time.Second {
			t.Errorf("%d calls in %s", calls, took)
		}
		if record.Totals.WouldDeregister != 1 {
			t.Errorf("%+v", record.Totals)
		}
	})
}

// More candidates than can be looked up in half of the time are no failure of a lookup. The digest
// says what helps, and counts them among the images left.
func TestMoreCandidatesThanTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		record, _, _ := pacedRun(t, stale(1200), settings{"KEEP_NEWEST": "0", "MAX_DEREGISTRATIONS": "1000", "DELETE_SNAPSHOTS": "false"}, 50*time.Millisecond, 100*time.Second)
		unseen := 0
		for _, i := range allImages(record) {
			if i.Reasons[0].Code == "unknown-use" && strings.Contains(i.Reasons[0].Detail, ami.NotReached) {
				unseen++
			}
		}
		text := digest.Text(record)
		if unseen < 200 || record.Totals.WouldDeregister < 400 || record.Totals.Deferred < 10 || record.Totals.Left != record.Totals.Deferred+unseen {
			t.Errorf("%d were not looked up: %+v", unseen, record.Totals)
		}
		saysWhatHelps(t, text, "EC2_SHARE", "NAMES")
	})
}

// However many snapshots a plan would delete, asking with whom they are shared leaves time to
// remove: also in a short run, which keeps almost a minute for its end.
func TestMoreSnapshotsThanTimeToRemove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		record, _, _ := pacedRunOf(t, false, stale(3000), settings{"KEEP_NEWEST": "0", "MAX_DEREGISTRATIONS": "3000"}, 50*time.Millisecond, 3*time.Minute)
		// Of 40 seconds, half are for asking. EC2 deregisters 5 a second: half are for this run.
		if least := 50; record.Totals.Deregistered < least || record.Totals.Failed > 0 || record.Totals.Unproven == 0 {
			t.Errorf("want %d: %+v", least, record.Totals)
		}
	})
}

// With whom snapshots are shared is asked when half of the time may be over, and until half of the
// rest is. An image that was not reached stays, and the digest says what helps.
func TestMoreSnapshotsThanTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		account, err := emulator.Load(stale(30).files(t), emulator.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		slow := emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			if q, err := emulator.Inspect(r); err == nil && q.Action == sharingOfSnapshots {
				select {
				// Some are asked at once, and answered in time. The others are not.
				case <-time.After(25 * time.Second):
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			}
			return account.Client().Do(r)
		})
		j := newJanitor(t, slow, settings{"KEEP_NEWEST": "0"})
		j.Clock = time.Now
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		record := j.Run(ctx, "20261123T020000Z-aaaaaa", true)
		unseen := 0
		for _, i := range allImages(record) {
			if strings.HasSuffix(i.Reasons[0].Detail, ": with whom it is shared is not known: "+ami.SharingNotReached) {
				unseen++
			}
		}
		totals := record.Totals
		if unseen == 0 || totals.WouldDeregister == 0 || totals.WouldDeregister+unseen != 30 || totals.Unproven != unseen || totals.Left != unseen {
			t.Errorf("%d were not reached: %+v", unseen, totals)
		}
		text := unwrapped(digest.Text(record))
		for _, want := range []string{
			fmt.Sprint(unseen, " stale AMIs stayed: the time for lookups was up"), "If it is so again, raise EC2_SHARE, or lower MAX_DEREGISTRATIONS",
			fmt.Sprint("- ", unseen, " AMIs: a snapshot of it: with whom it is shared is not known: not reached in the time for snapshots"),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("not in the digest: %q\n%s", want, text)
			}
		}
	})
}

// So it is with more launch templates than can be read.
func TestTemplatesTakeTooLong(t *testing.T) {
	w := stale(2)
	var templates []object
	for n := range 600 {
		id := fmt.Sprintf("lt-%017x", n)
		for v := 1; v <= 4; v++ {
			w.versions = append(w.versions, object{
				"LaunchTemplateId": id, "LaunchTemplateName": id, "VersionNumber": v, "DefaultVersion": v == 1, "LaunchTemplateData": object{"ImageId": imageID(77)},
			})
		}
		templates = append(templates, object{"LaunchTemplateId": id, "LaunchTemplateName": id, "DefaultVersionNumber": 1, "LatestVersionNumber": 4})
	}
	w.more = map[string]object{"describe-launch-templates.json": {"LaunchTemplates": templates}}
	bubble(t, func(t *testing.T) {
		record, _, _ := pacedRun(t, w, settings{"KEEP_NEWEST": "0"}, 50*time.Millisecond, 60*time.Second)
		for _, i := range allImages(record) {
			if want := (retention.Reason{Code: "unknown-use", Detail: "launch-templates: " + ami.NotReached}); i.Reasons[0] != want {
				t.Errorf("%s: %+v", i.ImageID, i.Reasons)
			}
		}
		if record.Totals.Left > 0 {
			t.Errorf("%+v", record.Totals)
		}
		saysWhatHelps(t, digest.Text(record), "EC2_SHARE", "LAUNCH_TEMPLATE_VERSIONS")
	})
}

func saysWhatHelps(t *testing.T, text string, settings ...string) {
	t.Helper()
	for _, setting := range settings {
		if !strings.Contains(text, setting) {
			t.Errorf("the digest does not speak of %s:\n%s", setting, text)
		}
	}
	text, _, _ = strings.Cut(text, "\nPolicy ") // That names whatever is set.
	for _, wrong := range []string{"lookup failed", "MAX_DEREGISTRATIONS", "timeout", "time ran out"} {
		if strings.Contains(text, wrong) {
			t.Errorf("the digest speaks of %q:\n%s", wrong, text)
		}
	}
}

// A launch template that names a parameter of another account, or one that SSM does not allow, is
// what the digest and the explanation name. Whatever else is read counts.
func TestAParameterThatCannotBeRead(t *testing.T) {
	const malformed = "/not valid/%%%:a:b:c"
	for name, test := range map[string]struct{ parameter, says string }{
		"foreign":   {"arn:aws:ssm:us-east-1:111122223333:parameter/golden/al2023", "names SSM parameter arn:aws:ssm:us-east-1:111122223333:parameter/golden/al2023, which is not shared"},
		"malformed": {malformed, "names SSM parameter " + malformed + ", which cannot be read: ssm:GetParameters: ValidationException"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{images: []object{image(1, 400, 300, 1), image(2, 400, 300, 2), image(3, 400, 300, 3)}}
			w.versions = []object{templateVersion(1, "resolve:ssm:"+test.parameter), templateVersion(2, "resolve:ssm:/golden")}
			w = w.parameter("/golden", imageID(2), object{"DataType": "aws:ec2:image"})
			j := newJanitor(t, w.load(t).Client(), nil)
			record := j.Run(t.Context(), "run", true)
			wantVerdicts(t, record, map[string]string{imageID(1): "keep", imageID(2): "keep", imageID(3): "keep"})
			for n, code := range map[int]retention.Code{1: "unknown-use", 2: "in-use", 3: "unknown-use"} {
				if got := codes(record, imageID(n)); got[0] != code {
					t.Errorf("%s: %v, want %s first", imageID(n), got, code)
				}
			}
			explanations, err := j.Explain(t.Context(), []string{imageID(1)})
			if err != nil {
				t.Fatal(err)
			}
			for kind, text := range map[string]string{"digest": digest.Text(record), "explanation": digest.ExplainText(explanations, 0)} {
				text = strings.Join(strings.Fields(text), " ")
				for _, part := range []string{"launch template lt-", ", version 1, " + test.says} {
					if !strings.Contains(text, part) {
						t.Errorf("the %s does not say %q:\n%s", kind, part, text)
					}
				}
			}
			if text := digest.Text(record); !strings.Contains(text, "Delete that version") {
				t.Error(text)
			}
		})
	}
}

// One parameter that the role may not read is named, and the others are searched.
func TestOneParameterIsDenied(t *testing.T) {
	w := world{images: []object{image(1, 400, 300, 1), image(2, 400, 300, 2)}}
	for n := range 26 {
		w = w.parameter(fmt.Sprintf("/app/%02d", n), "x", nil)
	}
	w = w.parameter("/app/ami", imageID(2), nil).parameter("/secure/db", "x", nil)
	doer := on(w.load(t).Client(), func(q emulator.Request, _ int) bool {
		return q.Action == "GetParameters" && strings.Contains(fmt.Sprint(q.Form), "/secure/")
	}, readFaults["denied"])
	record := run(t, doer, nil, true)
	if one, two := codes(record, imageID(1)), codes(record, imageID(2)); one[0] != "unknown-use" || two[0] != "in-use" {
		t.Errorf("%v, %v", one, two)
	}
	text := strings.Join(strings.Fields(digest.Text(record)), " ")
	if !strings.Contains(text, "SSM parameter /secure/db cannot be read: ssm:GetParameters: AccessDeniedException") || strings.Contains(text, "/app/") {
		t.Error(text)
	}
}
