package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// goneImage is an image that is gone.
const goneImage = "ami-00000000000000099"

// What may be known about a snapshot without an image.
var (
	namedOne   = ami.SnapshotFinding{LookedUp: true, References: []ami.Reference{{ARN: "arn:template"}}}
	sharedOne  = ami.SnapshotFinding{LookedUp: true, SharedWith: []ami.Grantee{{Account: "111122223333"}}}
	unanswered = ami.SnapshotFinding{LookedUp: true, Gaps: []ami.Gap{aGap}}
)

// of adds a finding about a snapshot to evidence.
func of(id string, finding ami.SnapshotFinding) func(ami.Evidence) {
	return func(evidence ami.Evidence) { evidence.Snapshots[id] = finding }
}

// imageUsed has something name the image that is gone, which says nothing about its snapshots.
func imageUsed(evidence ami.Evidence) { evidence.Images[goneImage] = ami.Finding{Use: ami.Used} }

// lookedUp is the proof that nothing names some snapshots.
func lookedUp(ids ...string) ami.Evidence {
	evidence := unused(inventory(region))[region]
	for _, id := range ids {
		of(id, ami.SnapshotFinding{LookedUp: true})(evidence)
	}
	return evidence
}

// A snapshot that a run has left undone is deleted if its image is gone and everything else that
// keeps a snapshot is ruled out.
func TestLeftovers(t *testing.T) {
	const deleted, decided, undecided = "deleted", "decided", "undecided"
	notPlanned := "nothing in it says that it was made for an image that run " + theRun + " had planned to remove"
	noLongerDeclared := "it does not carry the tags any more with which run " + theRun + " declared its removal"
	for name, test := range map[string]struct {
		change func(*ami.Snapshot)
		images []ami.Image
		policy func(*retention.Policy)
		bin    ami.RecycleBin
		found  func(ami.Evidence) // Nothing names the snapshot if nil.
		// The images whose removal the run had planned; goneImage alone if nil.
		planned []string
		becomes string
		why     string
		unasked bool // No evidence is needed of it.
		apart   bool // Only a person can delete it.
	}{
		"nothing_keeps_it":        {becomes: deleted},
		"others_are_named":        {found: of("snap-2", namedOne), becomes: deleted},
		"its_image_was_used":      {found: imageUsed, becomes: deleted},
		"another_images_snapshot": {images: []ami.Image{idle("ami-2", mapping("snap-2"))}, becomes: deleted},
		"an_expired_lock":         {change: func(s *ami.Snapshot) { s.Lock = "expired" }, becomes: deleted},
		"the_bin_holds_it":        {policy: requireBin(7), bin: binOf(14, 7), becomes: deleted},
		"tags_in_other_words": {change: func(s *ami.Snapshot) {
			*s = snapshotWith("snap-1", "AMI-Janitor:Intent", "remove", " ami-janitor:run", " "+theRun)
			s.SizeGiB, s.Archived, s.ImageID = 8, true, goneImage
		}, becomes: deleted},
		"made_for_another_of_the_plan":     {change: madeFor("ami-2"), planned: []string{"ami-1", goneImage, "ami-2"}, becomes: deleted},
		"made_for_no_image":                {change: madeFor(""), becomes: decided, why: notPlanned, unasked: true, apart: true},
		"made_for_none_and_tagged_by_none": {change: func(s *ami.Snapshot) { s.ImageID, s.Tags = "", nil }, becomes: decided, why: notPlanned, unasked: true},
		"made_for_none_and_kept":           {change: func(s *ami.Snapshot) { s.ImageID = ""; s.Tags["ami-janitor:keep"] = "" }, becomes: decided, why: "tagged ami-janitor:keep", unasked: true},
		"made_for_another_image":           {change: madeFor("ami-2"), becomes: decided, why: notPlanned, unasked: true},
		"its_image_was_not_planned":        {planned: []string{"ami-2"}, becomes: decided, why: notPlanned, unasked: true},
		"nothing_was_planned":              {planned: []string{}, becomes: decided, why: notPlanned, unasked: true},
		"a_use_goes_before_what_is_not_so": {change: madeFor("ami-2"), images: []ami.Image{idle("ami-3", mapping("snap-1"))}, becomes: decided, why: "ami-3 uses it", unasked: true},
		"it_is_gone":                       {change: func(s *ami.Snapshot) { s.ID = "snap-2" }, becomes: decided, why: retention.Unlisted, unasked: true},
		"its_image_is_there_again":         {images: []ami.Image{idle(goneImage)}, becomes: decided, why: goneImage + " is there again", unasked: true},
		"an_image_uses_it":                 {images: []ami.Image{idle("ami-3", mapping("snap-1")), idle("ami-2", mapping("snap-1"))}, becomes: decided, why: "ami-2 uses it", unasked: true},
		"one_without_an_id_uses_it":        {images: []ami.Image{idle("", mapping("snap-1"))}, becomes: decided, why: "an image without an id uses it", unasked: true},
		"one_of_others_uses_it":            {images: []ami.Image{idle("ami-2", mapping("snap-1"), func(i *ami.Image) { i.OwnerID = "999999999999" })}, becomes: decided, why: "ami-2 uses it", unasked: true},
		"a_keep_tag":                       {change: retagged("ami-janitor:keep", ""), becomes: decided, why: "tagged ami-janitor:keep", unasked: true},
		"a_configured_keep_tag":            {change: retagged("pinned", ""), policy: func(p *retention.Policy) { p.KeepTags = tags(t, "pinned") }, becomes: decided, why: "tagged pinned", unasked: true},
		"a_manager":                        {change: retagged("aws:backup:source-resource", "x"), becomes: decided, why: "managed by AWS Backup: delete its recovery point", unasked: true},
		"snapshots_stay":                   {policy: func(p *retention.Policy) { p.DeleteSnapshots = false }, becomes: decided, why: "the policy keeps all snapshots", unasked: true},
		"a_lock":                           {change: func(s *ami.Snapshot) { s.Lock = "governance" }, becomes: decided, why: "locked (governance)", unasked: true},
		"somebody_took_the_tags_off":       {change: func(s *ami.Snapshot) { s.Tags = nil }, becomes: decided, why: noLongerDeclared, unasked: true},
		"somebody_took_the_intent":         {change: func(s *ami.Snapshot) { delete(s.Tags, ami.IntentTag) }, becomes: decided, why: noLongerDeclared, unasked: true},
		"somebody_took_the_run":            {change: func(s *ami.Snapshot) { delete(s.Tags, ami.RunTag) }, becomes: decided, why: noLongerDeclared, unasked: true},
		"another_run_declares_it":          {change: retagged(ami.RunTag, lateRun), becomes: decided, why: noLongerDeclared, unasked: true},
		"something_names_it":               {found: of("snap-1", namedOne), becomes: decided, why: "named by arn:template"},
		"something_names_it_at_least":      {found: of("snap-1", ami.SnapshotFinding{Gaps: []ami.Gap{aGap}, References: namedOne.References}), becomes: decided, why: "named by arn:template"},
		"it_cannot_be_read":                {change: func(s *ami.Snapshot) { s.Unreadable = "listed twice" }, becomes: undecided, why: "listed twice", unasked: true},
		"a_misspelt_keep_tag":              {change: retagged("ami-janitor:keeep", ""), becomes: undecided, why: "ami-janitor:keeep: the janitor knows no such tag", unasked: true},
		"an_intent_nobody_knows":           {change: retagged(ami.IntentTag, "x"), becomes: undecided, why: `ami-janitor:intent: "x" is not "remove"`, unasked: true},
		"the_bin_does_not_hold_it":         {change: retagged("scratch", "yes"), policy: requireBin(0), bin: regional("scratch", "yes"), becomes: undecided, why: "no Recycle Bin rule covers it, with the tags that it has: rule of-snapshots excludes scratch=yes", unasked: true},
		"the_bin_holds_it_too_short":       {policy: requireBin(14), bin: binOf(14, 7), becomes: undecided, why: "the Recycle Bin would hold it for 7 days only, and not for 14", unasked: true},
		"nobody_was_asked":                 {found: of("snap-1", ami.SnapshotFinding{}), becomes: undecided, why: "what names it has not been looked up"},
		"somebody_did_not_answer":          {found: of("snap-1", unanswered), becomes: undecided, why: "references: denied"},
		"used_and_no_answer":               {found: func(e ami.Evidence) { imageUsed(e); of("snap-1", unanswered)(e) }, becomes: undecided, why: "references: denied"},
	} {
		t.Run(name, func(t *testing.T) {
			p, snapshot := policy(), declaredSnapshot("snap-1", theRun)
			snapshot.SizeGiB, snapshot.Archived, snapshot.ImageID = 8, true, goneImage
			if test.policy != nil {
				test.policy(&p)
			}
			if test.change != nil {
				test.change(&snapshot)
			}
			leftover := ami.Leftover{Run: theRun, ImageID: goneImage, SnapshotID: "snap-1"}
			here := inventory(region, test.images...)
			here.Snapshots, here.Bin, here.History.Leftovers = []ami.Snapshot{snapshot}, test.bin, []ami.Leftover{leftover, leftover}
			if test.planned == nil {
				test.planned = []string{goneImage}
			}
			here.History.Planned = map[string][]string{theRun: test.planned, earlierRun: {"", goneImage, "ami-2"}}
			evidence := unused(here)
			of("snap-1", ami.SnapshotFinding{LookedUp: true})(evidence[region])
			if test.found != nil {
				test.found(evidence[region])
			}
			plan := p.Open([]ami.Inventory{here}, now).Plan(evidence)[0]
			want := retention.LeftoverVerdict{Leftover: leftover, SizeGiB: 8, Archived: true, Why: test.why, Delete: test.becomes == deleted, Undecided: test.becomes == undecided, Apart: test.apart}
			if test.why == retention.Unlisted {
				want.SizeGiB, want.Archived = 0, false
			}
			if diff := gocmp.Diff([]retention.LeftoverVerdict{want}, plan.Leftovers); diff != "" {
				t.Errorf("leftovers (-want +got):\n%s", diff)
			}
			if got := p.Open([]ami.Inventory{here}, now).Unattached()[here.Region]; slices.Equal(got.IDs, []string{"snap-1"}) == test.unasked || !slices.Equal(got.ToAsk, got.IDs) {
				t.Errorf("to be looked up: %v, to be asked about: %v", got.IDs, got.ToAsk)
			}
			delete(evidence[region].Snapshots, "snap-1")
			if got := p.Open([]ami.Inventory{here}, now).Plan(evidence)[0].Leftovers[0]; got.Delete || !test.unasked && !got.Undecided {
				t.Errorf("without evidence: %+v", got)
			}
		})
	}
}

func madeFor(imageID string) func(*ami.Snapshot) {
	return func(s *ami.Snapshot) { s.ImageID = imageID }
}

func retagged(tags ...string) func(*ami.Snapshot) {
	return func(s *ami.Snapshot) {
		for i := 0; i < len(tags); i += 2 {
			s.Tags[tags[i]] = tags[i+1]
		}
	}
}

// Leftovers come by run and id, whatever the order of the journal.
func TestTheOrderOfLeftovers(t *testing.T) {
	leftover := func(run, snapshot string) ami.Leftover {
		return ami.Leftover{Run: run, ImageID: goneImage, SnapshotID: snapshot}
	}
	here := inventory(region)
	want := []ami.Leftover{leftover(earlierRun, "snap-2"), leftover(earlierRun, "snap-3"), leftover(theRun, "snap-1"), leftover(theRun, "snap-2")}
	here.History.Leftovers = []ami.Leftover{want[3], want[1], want[0], want[2]}
	before := slices.Clone(here.History.Leftovers)
	here.History.Planned = map[string][]string{theRun: {goneImage}, earlierRun: {goneImage}}
	here.Snapshots = []ami.Snapshot{declaredSnapshot("snap-1", theRun), declaredSnapshot("snap-2", theRun), declaredSnapshot("snap-3", earlierRun)}
	for i := range here.Snapshots {
		here.Snapshots[i].ImageID = goneImage
	}
	evidence := map[string]ami.Evidence{region: lookedUp("snap-1", "snap-2", "snap-3")}
	var got []ami.Leftover
	var deleted []bool
	for _, v := range policy().Open([]ami.Inventory{here}, now).Plan(evidence)[0].Leftovers {
		got, deleted = append(got, v.Leftover), append(deleted, v.Delete)
	}
	if !slices.Equal(got, want) || !slices.Equal(deleted, []bool{false, true, true, true}) {
		t.Errorf("leftovers %v, deleted %v", got, deleted)
	}
	if !slices.Equal(here.History.Leftovers, before) {
		t.Errorf("the history is modified: %v", here.History.Leftovers)
	}
	if got := policy().Open([]ami.Inventory{here}, now).Unattached()[here.Region].IDs; !slices.Equal(got, []string{"snap-1", "snap-2", "snap-3"}) {
		t.Errorf("to be looked up: %v", got)
	}
}

// A snapshot is an orphan if its image is gone, it is not young, and nobody looks after it or names
// it.
func TestOrphans(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*ami.Snapshot)
		images  []ami.Image
		policy  func(*retention.Policy)
		bin     func(*ami.RecycleBin)
		history ami.History
		found   func(ami.Evidence) // Nothing names the snapshot if nil.
		orphan  bool
		unasked bool // No evidence is needed of it.
	}{
		"its_image_is_gone":         {orphan: true},
		"snapshots_stay_otherwise":  {policy: func(p *retention.Policy) { p.DeleteSnapshots = false }, orphan: true},
		"a_little_over_seven_days":  {change: func(s *ami.Snapshot) { s.StartedAt = ago(days(7) + 1) }, orphan: true},
		"an_expired_lock":           {change: func(s *ami.Snapshot) { s.Lock = "expired" }, orphan: true},
		"declared_long_ago":         {change: retagged(ami.IntentTag, "remove", ami.RunTag, theRun), orphan: true},
		"another_is_shared":         {found: of("snap-2", sharedOne), orphan: true},
		"another_is_named":          {found: of("snap-2", ami.SnapshotFinding{LookedUp: true, References: []ami.Reference{{}}}), orphan: true},
		"its_image_was_used":        {found: imageUsed, orphan: true},
		"another_images_snapshot":   {images: []ami.Image{idle("ami-2", mapping("snap-2"))}, orphan: true},
		"nobody_asks":               {policy: func(p *retention.Policy) { p.ReportOrphans = false }, unasked: true},
		"the_bin_was_not_read":      {bin: func(b *ami.RecycleBin) { b.Read = false }, unasked: true},
		"its_image_is_there":        {images: []ami.Image{idle(goneImage)}, unasked: true},
		"its_image_is_in_the_bin":   {bin: func(b *ami.RecycleBin) { b.Images = map[string]time.Time{goneImage: now} }, unasked: true},
		"it_was_made_for_no_image":  {change: func(s *ami.Snapshot) { s.ImageID = "" }, unasked: true},
		"seven_days":                {change: func(s *ami.Snapshot) { s.StartedAt = ago(days(7)) }, unasked: true},
		"nobody_knows_how_old":      {change: func(s *ami.Snapshot) { s.StartedAt = time.Time{} }, unasked: true},
		"a_manager":                 {change: retagged("dlm:managed", ""), unasked: true},
		"a_keep_tag":                {change: retagged("ami-janitor:keep", ""), unasked: true},
		"a_configured_keep_tag":     {change: retagged("pinned", ""), policy: func(p *retention.Policy) { p.KeepTags = tags(t, "pinned") }, unasked: true},
		"a_lock":                    {change: func(s *ami.Snapshot) { s.Lock = "compliance" }, unasked: true},
		"it_cannot_be_read":         {change: func(s *ami.Snapshot) { s.Unreadable = "listed twice" }, unasked: true},
		"an_image_uses_it":          {images: []ami.Image{idle("ami-2", mapping("snap-1"))}, unasked: true},
		"it_is_a_leftover":          {history: ami.History{Leftovers: []ami.Leftover{{Run: theRun, ImageID: "ami-2", SnapshotID: "snap-1"}}}, unasked: true},
		"a_run_is_at_work_on_it":    {change: retagged(ami.IntentTag, "remove", ami.RunTag, lateRun), unasked: true},
		"it_is_named":               {found: of("snap-1", ami.SnapshotFinding{LookedUp: true, References: []ami.Reference{{}}})},
		"it_is_shared":              {found: of("snap-1", sharedOne)},
		"nobody_was_asked":          {found: of("snap-1", ami.SnapshotFinding{})},
		"somebody_did_not_answer":   {found: of("snap-1", unanswered)},
		"used_and_no_answer_either": {found: func(e ami.Evidence) { imageUsed(e); of("snap-1", unanswered)(e) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(func(p *retention.Policy) { p.ReportOrphans = true })
			snapshot := ami.Snapshot{ID: "snap-1", ImageID: goneImage, StartedAt: ago(days(30)), SizeGiB: 8, Archived: true, Tags: map[string]string{"team": "a"}}
			here := inventory(region, test.images...)
			here.Bin.Read, here.History = true, test.history
			if test.policy != nil {
				test.policy(&p)
			}
			if test.change != nil {
				test.change(&snapshot)
			}
			if test.bin != nil {
				test.bin(&here.Bin)
			}
			here.Snapshots = []ami.Snapshot{snapshot}
			evidence := unused(here)
			of("snap-1", ami.SnapshotFinding{LookedUp: true})(evidence[region])
			if test.found != nil {
				test.found(evidence[region])
			}
			var want []retention.Orphan
			if test.orphan {
				want = []retention.Orphan{{SnapshotID: "snap-1", ImageID: goneImage, SizeGiB: 8, Archived: true, StartedAt: snapshot.StartedAt}}
			}
			if diff := gocmp.Diff(want, p.Open([]ami.Inventory{here}, now).Plan(evidence)[0].Orphans, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("orphans (-want +got):\n%s", diff)
			}
			if got := p.Open([]ami.Inventory{here}, now).Unattached()[here.Region].IDs; (len(got) == 0) != test.unasked {
				t.Errorf("to be looked up: %v", got)
			}
			delete(evidence[region].Snapshots, "snap-1")
			if got := p.Open([]ami.Inventory{here}, now).Plan(evidence)[0].Orphans; len(got) > 0 {
				t.Errorf("orphans without evidence: %+v", got)
			}
		})
	}
}

// The largest orphans come first.
func TestTheOrderOfOrphans(t *testing.T) {
	here := inventory(region)
	here.Bin.Read = true
	for _, s := range []ami.Snapshot{{ID: "snap-3", SizeGiB: 8}, {ID: "snap-1", SizeGiB: 8, ImageID: "ami-98"}, {ID: "snap-2", SizeGiB: 100}, {ID: "snap-4", SizeGiB: 9}} {
		s.StartedAt = ago(days(30))
		if s.ImageID == "" {
			s.ImageID = goneImage
		}
		here.Snapshots = append(here.Snapshots, s)
	}
	p := policy(func(p *retention.Policy) { p.ReportOrphans = true })
	all := []string{"snap-1", "snap-2", "snap-3", "snap-4"}
	if got := p.Open([]ami.Inventory{here}, now).Unattached()[here.Region]; !slices.Equal(got.IDs, all) || !slices.Equal(got.ToAsk, all) {
		t.Errorf("to be looked up: %v, to be asked about: %v", got.IDs, got.ToAsk)
	}
	evidence := map[string]ami.Evidence{region: lookedUp(all...)}
	var got []string
	for _, orphan := range p.Open([]ami.Inventory{here}, now).Plan(evidence)[0].Orphans {
		got = append(got, orphan.SnapshotID)
	}
	if want := []string{"snap-2", "snap-4", "snap-1", "snap-3"}; !slices.Equal(got, want) {
		t.Errorf("orphans %v, want %v", got, want)
	}
}

// Of many orphans the largest are looked up. The others are only counted, and still excluded if
// something is known to name or use them. The same holds if EC2 was not asked whether their image
// is gone.
func TestMoreOrphansThanAreLookedAt(t *testing.T) {
	here := inventory(region)
	here.Bin.Read = true
	evidence := lookedUp()
	for n := range 120 {
		s := ami.Snapshot{ID: fmt.Sprintf("snap-%03d", n), ImageID: fmt.Sprintf("ami-%03d", n), SizeGiB: int64(200 - n), StartedAt: ago(days(30))}
		if n == 10 {
			s.Unreadable = ami.ImageNotAsked
		}
		here.Snapshots = append(here.Snapshots, s)
		of(s.ID, ami.SnapshotFinding{LookedUp: true})(evidence)
	}
	of("snap-003", sharedOne)(evidence)
	of("snap-100", unanswered)(evidence)
	p := policy(func(p *retention.Policy) { p.ReportOrphans = true })
	unattached := p.Open([]ami.Inventory{here}, now).Unattached()[here.Region]
	ids, toAsk := unattached.IDs, unattached.ToAsk
	if len(ids) != 120 {
		t.Errorf("%d to be looked up, want all of 120", len(ids))
	}
	if len(toAsk) != 50 || toAsk[0] != "snap-000" || toAsk[49] != "snap-050" {
		t.Errorf("%d to be asked about: %v", len(toAsk), toAsk)
	}
	if slices.Contains(toAsk, "snap-010") {
		t.Error("who shares a snapshot is asked of one whose image may be there")
	}
	var looked, others int
	for _, o := range p.Open([]ami.Inventory{here}, now).Plan(map[string]ami.Evidence{region: evidence})[0].Orphans {
		switch {
		case o.ImageID == "ami-003" || o.ImageID == "ami-100":
			t.Errorf("%s is an orphan", o.SnapshotID)
		case o.NotLookedAt:
			others++
		default:
			looked++
		}
	}
	if looked != 49 || others != 69 {
		t.Errorf("%d orphans that were looked at, want 49; %d that were not, want 69", looked, others)
	}
}

// What an earlier run has left is not deleted while nobody knows that its image is gone.
func TestALeftoverOfAnImageThatWasNotAskedFor(t *testing.T) {
	here := inventory(region)
	here.Bin.Read = true
	leftover := ami.Leftover{Run: "run", ImageID: goneImage, SnapshotID: "snap-1"}
	here.History.Leftovers = []ami.Leftover{leftover}
	here.History.Planned = map[string][]string{"run": {goneImage}}
	here.Snapshots = []ami.Snapshot{{
		ID: "snap-1", ImageID: goneImage, StartedAt: ago(days(30)),
		Tags: map[string]string{"ami-janitor:intent": "remove", "ami-janitor:run": "run"},
	}}
	evidence := map[string]ami.Evidence{region: lookedUp("snap-1")}
	for unreadable, isDeleted := range map[string]bool{"": true, ami.ImageNotAsked: false} {
		here.Snapshots[0].Unreadable = unreadable
		verdicts := policy().Open([]ami.Inventory{here}, now).Plan(evidence)[0].Leftovers
		if len(verdicts) != 1 || verdicts[0].Delete != isDeleted || verdicts[0].Undecided == isDeleted {
			t.Errorf("%q: %+v", unreadable, verdicts)
		}
	}
}
