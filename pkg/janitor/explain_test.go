package janitor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// What is explained of an image is what a run decides, for every image of the sample account and in
// any order. Nothing is changed.
func TestExplanationsAgreeWithThePlan(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{
		"default": {}, "all regions": {"REGIONS": "all"}, "grace": {"GRACE": "14d", "GRACE_ACTION": "disable", "OWNER_TAG": "Team"}, "reports": {"SHARED_IMAGES": "report"},
		"cap": {"MAX_DEREGISTRATIONS": "3", "REGIONS": "all"}, "keep list": {"KEEP_LIST": "ssm:/golden/rhel-9/current"}, "few sources": {"USAGE_SOURCES": "instances"},
		"newest versions": {"LAUNCH_TEMPLATE_VERSIONS": "1", "DELETE_SNAPSHOTS": "false"},
	} {
		t.Run(name, func(t *testing.T) {
			account, err := sample.Load(emulator.Options{Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			j := newJanitor(t, account.Client(), s)
			j.Complete = true // What is explained is looked up.
			planned := map[string]record.Image{}
			var ids []string
			for _, i := range allImages(j.Run(t.Context(), "run", true)) {
				planned[i.ImageID] = i
				ids = append(ids, i.ImageID)
			}
			slices.Reverse(ids)
			explained, err := j.Explain(t.Context(), ids)
			if err != nil || len(explained) != len(ids) || len(writes(account)) > 0 {
				t.Fatalf("%d explanations, %v, %v", len(explained), err, writes(account))
			}
			for n, e := range explained {
				if e.Image.ImageID != ids[n] {
					t.Fatalf("%s in the place of %s", e.Image.ImageID, ids[n])
				}
				if got, want := fmt.Sprintf("%+v", e.Image), fmt.Sprintf("%+v", planned[ids[n]]); got != want {
					t.Errorf("explained %s\n  planned %s", got, want)
				}
				checkExplanation(t, j, e)
			}
			text := digest.ExplainText(explained, 0)
			for _, id := range ids {
				if !strings.Contains(text, id) {
					t.Errorf("the text does not name %s", id)
				}
			}
		})
	}
}

// checkExplanation checks what holds for every explanation: each rule and each source is there
// once, the rules that speak are those of the verdict and those that the plan does not come to, and
// a kept image says until when.
func checkExplanation(t *testing.T, j *janitor.Janitor, e digest.Explanation) {
	t.Helper()
	var rules []string
	speaking := map[retention.Code]string{}
	for _, rule := range e.Rules {
		rules = append(rules, string(rule.Code))
		if rule.Detail != "" {
			speaking[rule.Code] = rule.Detail
		}
	}
	var want []string
	for _, rule := range retention.Rules() {
		if rule.Until != "" && rule.Code != "announced" {
			want = append(want, string(rule.Code))
		}
	}
	if !slices.Equal(rules, want) {
		t.Errorf("rules %v, want %v", rules, want)
	}
	keeps := 0
	for _, reason := range e.Image.Reasons {
		if _, ok := speaking[reason.Code]; ok {
			keeps++
			if speaking[reason.Code] != reason.Detail {
				t.Errorf("%s: %s says %q, and %q", e.Image.ImageID, reason.Code, speaking[reason.Code], reason.Detail)
			}
		}
	}
	if kept := e.Image.Verdict == retention.Keep && e.Image.Reasons[0].Code != "announced"; kept != (len(speaking) > 0) || kept && keeps != len(e.Image.Reasons) {
		t.Errorf("%s: %s for %v; %v speak", e.Image.ImageID, e.Image.Verdict, e.Image.Reasons, speaking)
	}
	if len(e.Changes) == 0 {
		t.Errorf("%s: nothing would change the verdict", e.Image.ImageID)
	}
	var sources []string
	for _, source := range e.Sources {
		sources = append(sources, source.Source)
		off := slices.Contains(usage.Sources(), source.Source) && !slices.Contains(j.Config.UsageSources, source.Source) || source.Source == "usage-reports" && !j.Config.Policy.JudgeShared
		if source.Source == usage.S3TextSource && len(j.Config.TextObjects) == 0 || source.Source == usage.ImageBuilderSource && !j.Config.Policy.JudgeImageBuilder || source.Source == beanstalk && !slices.Contains(j.Config.UsageSources, beanstalk) {
			off = source.Answer != "not asked"
		}
		if (source.Answer == "switched off") != off {
			t.Errorf("%s: %s is %s", e.Image.ImageID, source.Source, source.Answer)
		}
	}
	if want := append(usage.Sources(), "usage-reports", "launch permissions"); !slices.Equal(sources, want) {
		t.Errorf("sources %v, want %v", sources, want)
	}
}

// answer is what an explanation says of one source.
func answer(e digest.Explanation, source string) string {
	for _, s := range e.Sources {
		if s.Source == source {
			return strings.TrimSuffix(s.Answer+", "+s.Detail, ", ")
		}
	}
	return "not there"
}

func explain(t *testing.T, j *janitor.Janitor, id string) digest.Explanation {
	t.Helper()
	explained, err := j.Explain(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	return explained[0]
}

// What each source says is what it has found.
func TestWhatSourcesSay(t *testing.T) {
	for source, c := range namedBy() {
		s := settings{"TEXT_OBJECTS": "s3://states/", "IMAGE_BUILDER_IMAGES": "judge", "USAGE_SOURCES": "all," + beanstalk}
		if source != usage.S3TextSource {
			c.world = c.world.and("s3/states/other", "resources", object{"image_id": imageID(9)})
		}
		e := explain(t, newJanitor(t, c.wrap(c.world.load(t).Client()), s), imageID(1))
		for _, s := range e.Sources {
			want := "unused"
			switch s.Source {
			case source:
				want = "used, " + c.arn
			case "usage-reports":
				want = "switched off"
			case "launch permissions":
				want = "not shared"
			}
			if got := answer(e, s.Source); got != want {
				t.Errorf("%s: %s says %q, want %q", source, s.Source, got, want)
			}
		}
		denied := on(c.world.load(t).Client(), func(q emulator.Request, _ int) bool {
			return isRead(q.Action) && slices.Contains(readBy[source], q.Action)
		}, readFaults["denied"])
		e = explain(t, newJanitor(t, denied, s), imageID(2))
		if got := answer(e, source); !strings.HasPrefix(got, "unknown, ") || !strings.Contains(got, "Said so") {
			t.Errorf("%s, denied: %s", source, got)
		}
	}
}

// readBy are the actions by source: one that fails is enough to leave the source in doubt.
var readBy = map[string][]string{
	"references": {"DescribeImageReferences"}, "instances": {"DescribeInstances"}, "launch-templates": {"DescribeLaunchTemplates"},
	"launch-configurations": {"DescribeLaunchConfigurations"}, "auto-scaling-groups": {"DescribeAutoScalingGroups"}, "spot-fleets": {"DescribeSpotFleetRequests"},
	"spot-requests": {"DescribeSpotInstanceRequests"}, "ssm-text": {"DescribeParameters"}, "fast-launch": {"DescribeFastLaunchImages"},
	"fast-snapshot-restore": {"DescribeFastSnapshotRestores"}, "s3-text": {"ListObjectsV2"},
	"instance-refreshes": {"DescribeAutoScalingGroups"}, "image-tasks": {"DescribeStoreImageTasks"},
	"cloudformation": {"DescribeStacks"}, "batch": {"DescribeComputeEnvironments"}, "pcs": {"GetComputeNodeGroup", "ListComputeNodeGroups"},
	"rds-custom": {"DescribeDBEngineVersions"}, "emr": {"DescribeCluster", "ListClusters"}, "hyperpod": {"ListClusters"},
	"image-builder": {"ListImageRecipes"}, beanstalk: {"DescribeApplications"},
}

// The lookups are made of an image that is explained, whether or not a plan would come to them.
func TestExplainingWhatIsNoCandidate(t *testing.T) {
	w := world{
		images:       []object{image(1, 5, 3, 1), with(image(2, 400, 0, 2), "SourceImageId", imageID(1)), tagged(image(3, 400, 0, 3), "ami-janitor:keep", "true")},
		reservations: []object{instance(1, imageID(1), "running")},
		permissions:  object{imageID(3): []object{{"UserId": "111122223333"}}},
	}
	w.images[1]["DeregistrationProtection"] = "enabled-without-cooldown"
	j := newJanitor(t, w.load(t).Client(), nil)
	for n, want := range map[int][]string{1: {"recently-used", "in-use"}, 2: {"protected", "copy-of-used"}, 3: {"keep-tag", "shared"}} {
		e := explain(t, j, imageID(n))
		var speaking []string
		for _, rule := range e.Rules {
			if rule.Detail != "" {
				speaking = append(speaking, string(rule.Code))
			}
		}
		if !slices.Equal(speaking, want) || len(e.Changes) != 2 {
			t.Errorf("image %d: %v speak, want %v; %q", n, speaking, want, e.Changes)
		}
		if reasons := e.Image.Reasons; len(reasons) != 1 || string(reasons[0].Code) != want[0] {
			t.Errorf("image %d: %v", n, reasons)
		}
	}
	if got := answer(explain(t, j, imageID(1)), "instances"); !strings.HasPrefix(got, "used, arn:aws:ec2:us-east-1:123456789012:instance/") {
		t.Errorf("instances: %s", got)
	}
	if got := answer(explain(t, j, imageID(3)), "launch permissions"); got != "shared, account 111122223333" {
		t.Errorf("launch permissions: %s", got)
	}
}

// What a text in another region names is told where the other findings are.
func TestWhatATextElsewhereSays(t *testing.T) {
	account := inTwo(t, world{images: []object{image(1, 400, 0, 1)}}, world{}.parameter("/deploy", imageID(1), nil))
	e := explain(t, newJanitor(t, account.Client(), settings{"REGIONS": "all"}), imageID(1))
	if e.Image.Reasons[0].Code != "in-use" {
		t.Errorf("%+v", e.Image.Reasons)
	}
	if got := answer(e, "ssm-text"); !strings.HasPrefix(got, "used, arn:aws:ssm:eu-west-1:") {
		t.Errorf("ssm-text says %q", got)
	}
}

// A report that is not there, or not yet, does not say that nobody uses the image.
func TestWhatAMissingReportSays(t *testing.T) {
	for name, c := range map[string]struct {
		world world
		says  string // What must not be said.
	}{
		"none": {others["shared"], "unused"},
		"pending": {others["shared"].and("describe-image-usage-reports.json", "ImageUsageReports", func() object {
			o := usageReport(7, imageID(1), 0)
			o["State"] = "pending"
			return o
		}()), "unused"},
		"not shared": {world{images: []object{image(1, 400, 0, 1)}}, "unused"},
	} {
		e := explain(t, newJanitor(t, c.world.load(t).Client(), judgingShared), imageID(1))
		if got := answer(e, "usage-reports"); got == c.says {
			t.Errorf("%s: the usage reports say %q", name, got)
		}
	}
	e := explain(t, newJanitor(t, others["shared"].and("describe-image-usage-reports.json", "ImageUsageReports", usageReport(7, imageID(1), 1)).load(t).Client(), judgingShared), imageID(1))
	if got := answer(e, "usage-reports"); got != "unused" || e.Image.Verdict != retention.Deregister {
		t.Errorf("a fresh report says %q: %s", got, e.Image.Verdict)
	}
	if got := answer(e, "launch permissions"); got != "shared, account 111122223333" {
		t.Errorf("launch permissions: %q", got)
	}
}

// An image that is not there is an error that says where it was looked for, and where it could not
// be. The others are explained nevertheless, in the order in which they were given.
func TestExplainingWhatIsNotThere(t *testing.T) {
	account := inTwo(t, world{images: []object{image(1, 400, 0, 1)}}, world{images: []object{image(2, 400, 0, 2)}})
	j := newJanitor(t, account.Client(), settings{"REGIONS": "all"})
	for _, c := range []struct{ given, found, missing []string }{
		{[]string{imageID(9)}, nil, []string{imageID(9)}},
		{[]string{imageID(1), imageID(9)}, []string{imageID(1)}, []string{imageID(9)}},
		{[]string{"web", imageID(2), imageID(9), imageID(1), imageID(2)}, []string{imageID(2), imageID(1), imageID(2)}, []string{"web", imageID(9)}},
		{[]string{""}, nil, []string{`""`}},
		{[]string{imageID(1)[:20]}, nil, []string{imageID(1)[:20]}},
	} {
		explained, err := j.Explain(t.Context(), c.given)
		var found []string
		for _, e := range explained {
			found = append(found, e.Image.ImageID)
		}
		if err == nil || !slices.Equal(found, c.found) {
			t.Fatalf("%q: explained %v, %v", c.given, found, err)
		}
		lines := strings.Split(err.Error(), "\n")
		for i, missing := range c.missing {
			if len(lines) != len(c.missing) || !strings.Contains(lines[i], missing) || !strings.Contains(lines[i], "eu-west-1, us-east-1") {
				t.Errorf("%q: %v", c.given, err)
			}
		}
	}
	j.AWS.HTTPClient = on(account.Client(), func(q emulator.Request, _ int) bool { return q.Region == "eu-west-1" && q.Action == "DescribeImages" }, readFaults["denied"])
	if _, err := j.Explain(t.Context(), []string{imageID(2)}); err == nil || !strings.Contains(err.Error(), "eu-west-1 could not be read: listing images") {
		t.Errorf("%v", err)
	}
	if e := explain(t, j, imageID(1)); e.Image.ImageID != imageID(1) {
		t.Errorf("%+v", e.Image)
	}
}

// A name will do where one image has it. An id goes before a name; of several images with a name
// the ids are given, with their regions.
func TestExplainingByName(t *testing.T) {
	named := func(n int, name string) object { return with(image(n, 400, 0, n), "Name", name) }
	account := inTwo(t,
		world{images: []object{named(1, "web"), named(3, "golden"), named(5, imageID(3)), named(6, "")}},
		world{images: []object{named(2, "db"), named(4, "golden")}})
	j := newJanitor(t, account.Client(), settings{"REGIONS": "all"})
	for given, want := range map[string]string{"web": imageID(1), "db": imageID(2), imageID(3): imageID(3), imageID(4): imageID(4)} {
		if got := explain(t, j, given).Image.ImageID; got != want {
			t.Errorf("%q is taken for %s, want %s", given, got, want)
		}
	}
	explained, err := j.Explain(t.Context(), []string{"golden", "web"})
	if len(explained) != 1 || explained[0].Image.ImageID != imageID(1) || err == nil {
		t.Fatalf("%+v, %v", explained, err)
	}
	want := "2 images have the name golden: " + imageID(4) + " in eu-west-1, " + imageID(3) + " in us-east-1. Give one of these ids"
	if err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if explained, err := j.Explain(t.Context(), []string{""}); err == nil || explained != nil {
		t.Errorf("no name: %+v, %v", explained, err)
	}
}

// Unmark looks in every region of the run, tells of each image, and changes only those that are
// marked.
func TestUnmark(t *testing.T) {
	due := func(n int, state, holder string) object {
		return with(with(image(n, 400, 0, n), "State", state), "Tags", []object{{"Key": "ami-janitor:due", "Value": dueDay}, {"Key": holder, "Value": "20261110T020000Z-abcdef"}, {"Key": "Owner", "Value": "me"}})
	}
	account := inTwo(t, world{images: []object{due(1, "available", "ami-janitor:run"), image(3, 400, 0, 3)}}, world{images: []object{due(2, "disabled", "ami-janitor:disabled")}})
	j := newJanitor(t, account.Client(), settings{"REGIONS": "all"})
	unmarked, err := j.Unmark(t.Context(), []string{imageID(3), imageID(2), imageID(1), imageID(1)})
	if err != nil || len(unmarked) != 3 {
		t.Fatalf("%+v, %v", unmarked, err)
	}
	for _, u := range unmarked {
		if u.Err != nil || u.Marked == (u.ImageID == imageID(3)) || (u.Region == "eu-west-1") != (u.ImageID == imageID(2)) {
			t.Errorf("%+v", u)
		}
	}
	if len(writes(account)) != 3+4 {
		t.Errorf("%v", writes(account))
	}
	record := j.Run(t.Context(), "run", true)
	for _, n := range []int{1, 2} {
		if got := reasons(record, imageID(n)); !strings.HasPrefix(got, "recently-used: restored 2026-11-23") {
			t.Errorf("image %d: %s", n, got)
		}
	}
	again, err := j.Unmark(t.Context(), []string{imageID(1)})
	if err != nil || again[0].Marked {
		t.Errorf("%+v, %v", again, err)
	}
	if some, err := j.Unmark(t.Context(), []string{imageID(9), imageID(1)}); err == nil || len(some) != 1 || !strings.Contains(err.Error(), imageID(9)) || strings.Contains(err.Error(), imageID(1)) {
		t.Errorf("%+v, %v", some, err)
	}
	j.AWS.HTTPClient = on(account.Client(), func(q emulator.Request, _ int) bool { return q.Region == "eu-west-1" && q.Action == "DescribeImages" }, readFaults["denied"])
	if _, err := j.Unmark(t.Context(), []string{imageID(2)}); err == nil || !strings.Contains(err.Error(), "eu-west-1 could not be searched: listing images") {
		t.Errorf("%v", err)
	}
	if _, err := j.Unmark(t.Context(), []string{imageID(1)}); err != nil {
		t.Errorf("it was found, and yet: %v", err)
	}
}
