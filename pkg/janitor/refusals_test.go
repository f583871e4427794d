package janitor_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// refused is what EC2 says of removals, by night and image; empty for those that it allows.
type refused func(night, n int) (code string)

// refusedNights plays nights of the function over one account with eight stale images, the first of
// which is the stalest, and returns what became of each of them, and the digests.
func refusedNights(t *testing.T, s settings, says refused, nights int) (nightly []string, digests []string) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		var w world
		for n := 1; n <= 8; n++ {
			w.images = append(w.images, image(n, 900-n*10, 800-n*10, n))
		}
		account, err := emulator.Load(w.files(t), emulator.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		account.KeepRemoved(30)
		for night := range nights {
			doer := refusing(account.Client(), func(n int) string { return says(night, n) })
			j := newJanitor(t, doer, s)
			pace.New(0.5).Apply(&j.AWS)
			j.Clock = time.Now
			begun, before := time.Now(), holdings(t, account)
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
			run := j.Run(ctx, ami.RunID(begun.UTC().Format("20060102T150405Z")+"-aaaaaa"), false)
			cancel()
			checkRecord(t, run, j.Config.Policy.MaxDeregistrations)
			checkState(t, run, before, holdings(t, account))
			for n := 1; n <= 8; n++ {
				if before[imageID(n)] && !slices.ContainsFunc(allImages(run), func(i record.Image) bool { return i.ImageID == imageID(n) }) {
					t.Errorf("night %d: image %d is lost", night, n)
				}
			}
			if took := time.Since(begun); took > 5*time.Minute {
				t.Errorf("night %d took %s", night, took)
			}
			nightly, digests = append(nightly, became(run)), append(digests, digest.Text(run))
			time.Sleep(time.Until(begun.Add(24 * time.Hour)))
		}
	})
	return nightly, digests
}

// refusing lets EC2 refuse removals with the code that it says of an image.
func refusing(next emulator.Doer, says func(n int) string) emulator.Doer {
	var code atomic.Value // Both regions remove at once.
	return on(next, func(q emulator.Request, _ int) bool {
		if q.Action != "DeregisterImage" {
			return false
		}
		var n int
		_, _ = fmt.Sscanf(q.Form.Get("ImageId"), "ami-%x", &n)
		said := says(n)
		if said != "" {
			code.Store(said)
		}
		return said != ""
	}, func(_ emulator.Doer, r *http.Request) (*http.Response, error) {
		return failing(r, http.StatusForbidden, map[string]string{"ec2": code.Load().(string)})
	})
}

// became says which images were removed, failed, were skipped and were deferred as refused, and how
// many wait for the cap.
func became(record record.Run) string {
	var gone, failed, skipped, refused []int
	for n := 1; n <= 8; n++ {
		for _, i := range allImages(record) {
			switch {
			case i.ImageID != imageID(n):
			case i.Outcome == nil:
				if slices.Contains(codes(record, i.ImageID), "refused") {
					refused = append(refused, n)
				}
			case i.Outcome.Status == "deregistered":
				gone = append(gone, n)
			case i.Outcome.Status == "failed":
				failed = append(failed, n)
			default:
				skipped = append(skipped, n)
			}
		}
	}
	return fmt.Sprintf("removed %v failed %v skipped %v refused %v waiting %d", gone, failed, skipped, refused, record.Totals.Deferred-record.Totals.Refused)
}

func wantNights(t *testing.T, got []string, want ...string) {
	t.Helper()
	for night := range max(len(got), len(want)) {
		if night >= len(got) || night >= len(want) || got[night] != want[night] {
			t.Fatalf("night %d:\n%s\nwant:\n%s", night, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Images that EC2 refuses take the cap for one night. They are told of every night, and tried again
// after a week; once EC2 allows it, they go.
func TestRefusedImagesDoNotTakeTheCap(t *testing.T) {
	const waits = "removed [] failed [] skipped [] refused [1 2] waiting 0"
	got, digests := refusedNights(t, settings{"MAX_DEREGISTRATIONS": "2", "RECORDS": t.TempDir(), "REQUIRE_RECYCLE_BIN": "true", "KEEP_NEWEST": "0"}, func(night, n int) string {
		return map[bool]string{true: "AuthFailure"}[n <= 2 && night < 10]
	}, 15)
	wantNights(t, got,
		"removed [] failed [1 2] skipped [] refused [] waiting 6",
		"removed [3 4] failed [] skipped [] refused [1 2] waiting 4",
		"removed [5 6] failed [] skipped [] refused [1 2] waiting 2",
		"removed [7 8] failed [] skipped [] refused [1 2] waiting 0",
		waits, waits, waits,
		"removed [] failed [1 2] skipped [] refused [] waiting 0",
		waits, waits, waits, waits, waits, waits,
		"removed [1 2] failed [] skipped [] refused [] waiting 0",
	)
	for night, digest := range digests {
		digest = strings.Join(strings.Fields(digest), " ")
		switch tells := strings.Contains(digest, "AuthFailure") && strings.Contains(digest, "AWS Backup or another account owns this"); {
		case night < 14 && !tells:
			t.Errorf("night %d says nothing of what EC2 refuses:\n%s", night, digest)
		case night == 2 && (!strings.Contains(digest, "Still due 2 AMIs 20 GiB $1.00/mo Not looked up 2 AMIs 20 GiB $1.00/mo about 1 more run") || !strings.Contains(digest, "2 AMIs wait because EC2 has refused the removal.")):
			t.Errorf("night %d does not tell apart who waits for what:\n%s", night, digest)
		}
	}
}

// When the week of refused images is over, they are tried behind all others, and take no place from
// them.
func TestRefusedImagesAreTriedAgainBehindTheOthers(t *testing.T) {
	got, _ := refusedNights(t, settings{"MAX_DEREGISTRATIONS": "1", "RECORDS": t.TempDir(), "REQUIRE_RECYCLE_BIN": "true", "KEEP_NEWEST": "0"}, func(_, n int) string {
		return map[bool]string{true: "AuthFailure"}[n == 1]
	}, 9)
	wantNights(t, got,
		"removed [] failed [1] skipped [] refused [] waiting 7",
		"removed [2] failed [] skipped [] refused [1] waiting 6",
		"removed [3] failed [] skipped [] refused [1] waiting 5",
		"removed [4] failed [] skipped [] refused [1] waiting 4",
		"removed [5] failed [] skipped [] refused [1] waiting 3",
		"removed [6] failed [] skipped [] refused [1] waiting 2",
		"removed [7] failed [] skipped [] refused [1] waiting 1",
		"removed [8] failed [] skipped [] refused [] waiting 1",
		"removed [] failed [1] skipped [] refused [] waiting 0",
	)
}

// Three images that a policy protects do not stop their region, though they are the stalest:
// neither with a journal nor without one, neither one by one, until the bin is proven, nor side by
// side.
func TestThreeProtectedImagesDoNotStopTheRegion(t *testing.T) {
	for name, s := range map[string]settings{
		"with the bin":             {"REQUIRE_RECYCLE_BIN": "true"},
		"without the bin":          {"REQUIRE_RECYCLE_BIN": "false"},
		"with the bin, records":    {"REQUIRE_RECYCLE_BIN": "true", "RECORDS": t.TempDir()},
		"without the bin, records": {"REQUIRE_RECYCLE_BIN": "false", "RECORDS": t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			const again, waits = "removed [] failed [1 2 3] skipped [] refused [] waiting 0", "removed [] failed [] skipped [] refused [1 2 3] waiting 0"
			want := []string{"removed [4 5 6 7 8] failed [1 2 3] skipped [] refused [] waiting 0"}
			if s["RECORDS"] == "" {
				want = append(want, again, again)
			} else {
				want = append(want, waits, waits, waits, waits, waits, waits, again, waits)
			}
			s["KEEP_NEWEST"] = "0"
			got, digests := refusedNights(t, s, func(_, n int) string { return map[bool]string{true: "UnauthorizedOperation"}[n <= 3] }, len(want))
			wantNights(t, got, want...)
			first := strings.Join(strings.Fields(digests[0]), " ")
			if !strings.Contains(first, "A policy denies ec2:DeregisterImage for these AMIs") || strings.Contains(first, "Allow ec2:DeregisterImage") {
				t.Errorf("the first night advises:\n%s", first)
			}
		})
	}
}

// Where the role may remove nothing at all, all of it is tried in turn, few a night, and what is
// refused to all is held against none.
func TestARightThatIsMissing(t *testing.T) {
	got, digests := refusedNights(t, settings{"RECORDS": t.TempDir(), "REQUIRE_RECYCLE_BIN": "true", "KEEP_NEWEST": "0"}, func(night, _ int) string {
		return map[bool]string{true: "UnauthorizedOperation"}[night < 2]
	}, 3)
	wantNights(t, got,
		"removed [] failed [1 5 8] skipped [2 3 4 6 7] refused [] waiting 0",
		"removed [] failed [2 4 7] skipped [1 3 5 6 8] refused [] waiting 0",
		"removed [1 2 3 4 5 6 7 8] failed [] skipped [] refused [] waiting 0",
	)
	for night := range 2 {
		if digest := strings.Join(strings.Fields(digests[night]), " "); !strings.Contains(digest, "Allow ec2:DeregisterImage") {
			t.Errorf("night %d advises:\n%s", night, digest)
		}
	}
}
