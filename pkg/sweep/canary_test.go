package sweep_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The canary is declared with the others of its chunk, and rechecked and removed alone. The others
// are rechecked after it was seen in the Recycle Bin; if it was not, they stay, without a
// declaration. If another run may be at work, the tags stay for that run.
func TestTheCanaryOfAChunk(t *testing.T) {
	const ownTags = "intent=remove run=RUN"
	for _, c := range []struct {
		name     string
		seenFrom int
		lost     bool // Another run takes the lock when the canary goes.
		want     []string
		says     string
		tags     map[string]string
	}{
		{"seen", 3, false, []string{"deregistered; 1 deleted", "deregistered; 2 deleted", "deregistered; 3 deleted"}, "", nil},
		{"not seen", 1000, false, []string{"deregistered; 1 deleted", "skipped; 2 kept", "skipped; 3 kept"}, "has not turned up in the Recycle Bin", nil},
		{"lock lost", 1, true, []string{"deregistered; 1 deleted", "skipped; 2 kept", "skipped; 3 kept"}, "lost the lock", map[string]string{
			imageID(2): ownTags, imageID(3): ownTags, snapshotID(2): ownTags, snapshotID(3): ownTags,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2), image(3, 3))
				var lookedAt [][]string
				orders := rechecking(func(numbers []int) []int {
					var ids []string
					for _, n := range numbers {
						ids = append(ids, imageID(n))
					}
					lookedAt = append(lookedAt, ids)
					return nil
				})
				orders.requireBin, orders.bin, orders.records = true, binOf(t, account, c.seenFrom), t.TempDir()
				doer := before(account.Client(), "DeregisterImage", func(emulator.Request) {
					if c.lost {
						loseLock(t, orders.records)
					}
				})
				outcomes := carryOut(t.Context(), t.Context(), doer, planOf(due(1, 1), due(2, 2), due(3, 3)), orders).Outcomes
				wantOutcomes(t, outcomes, c.want...)
				wantTags(t, account, c.tags)
				says(t, outcomes[2].Error, c.says)
				want := [][]string{{imageID(1)}}
				if c.says == "" {
					want = append(want, []string{imageID(2), imageID(3)})
				}
				if !slices.EqualFunc(lookedAt, want, slices.Equal) {
					t.Errorf("looked at %v, want %v", lookedAt, want)
				}
				declared := 0
				for _, call := range account.Calls() {
					if call.Action == "CreateTags" {
						declared++
					}
				}
				if declared != 1 {
					t.Errorf("%d declarations", declared)
				}
			})
		})
	}
}

// Protected images do not stop the others, though they come first: the next canary comes from the
// other end, and the one after that from the middle. If all of them are refused, nothing further is
// tried.
func TestACanaryThatIsDenied(t *testing.T) {
	for _, test := range []struct {
		denied int
		want   []string
	}{
		{1, []string{"failed; 1 kept", "deregistered; 2 deleted", "deregistered; 3 deleted", "deregistered; 4 deleted"}},
		{2, []string{"failed; 1 kept", "failed; 2 kept", "deregistered; 3 deleted", "deregistered; 4 deleted"}},
		{3, []string{"failed; 1 kept", "failed; 2 kept", "failed; 3 kept", "deregistered; 4 deleted"}},
		{4, []string{"failed; 1 kept", "skipped; 2 kept", "failed; 3 kept", "failed; 4 kept"}},
	} {
		tonight(t, func(t *testing.T) {
			account := load(t, image(1, 1), image(2, 2), image(3, 3), image(4, 4))
			orders := passing(quiet)
			orders.requireBin = true
			orders.bin = binOf(t, account, 0)
			doer := disturb.Fail(account.Client(), "DeregisterImage", func(_ int, q emulator.Request) bool {
				return number(q.Form.Get("ImageId")) <= test.denied
			}, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			outcomes := carryOut(t.Context(), t.Context(), doer, planOf(due(1, 1), due(2, 2), due(3, 3), due(4, 4)), orders).Outcomes
			wantOutcomes(t, outcomes, test.want...)
		})
	}
}

// A canary may stay, and the image that is removed in its place may have no snapshot: then the next
// one is the canary of the snapshots.
func TestACanaryThatTakesNoSnapshotAlong(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(2, 2), image(3, 3), image(4, 4))
		orders := staying(1)
		orders.requireBin = true
		orders.bin = withoutSnapshots(binOf(t, account, 0))
		alone := keeping(retention.Verdict{Image: ami.Image{ID: imageID(2)}, Decision: retention.Deregister}, 2, "kept")
		outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(alone, due(1, 1), due(3, 3), due(4, 4)), orders).Outcomes
		wantOutcomes(t, outcomes, "skipped; 2 kept", "skipped; 1 kept", "deregistered; 3 deleted", "skipped; 4 kept")
	})
}

// A snapshot in the Recycle Bin counts as deleted, even if its deletion was not confirmed, and the
// journal notes it: a person may restore it, and the next run must not take it for a leftover.
func TestADeletionThatTheBinConfirms(t *testing.T) {
	tonight(t, func(t *testing.T) {
		account := load(t, image(1, 1, 9), image(2, 2, 9), image(3, 3))
		orders := passing(quiet)
		orders.records = t.TempDir()
		orders.bin = binOf(t, account, 0)
		doer := faulty(account.Client(), "DeregisterImage", always(ignoringFlag)...)
		deaf := faulty(doer, "DeleteSnapshot", always(after(denied))...)
		outcomes := carryOut(t.Context(), t.Context(), deaf, planOf(due(1, 1, 9), due(2, 2, 9), due(3, 3)), orders).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 1 deleted; 9 deleted", "deregistered; 2 deleted; 9 deleted", "deregistered; 3 deleted")
		says(t, outcomes[0].Snapshots[0].Detail, "seen in the Recycle Bin")
		for n, want := range map[int]string{1: "deregistered; 1 deleted; 9 deleted", 2: "deregistered; 2 deleted; 9 deleted"} {
			if got := notedOf(t, orders.records, n).summary(); got != want {
				t.Errorf("the journal has heard %q, and not %q", got, want)
			}
		}
	})
}

// An image in the bin proves nothing about snapshots: if the first canary stays, the image removed
// in its place may have none, and a chunk later the first one with a snapshot goes alone.
func TestAnImageInTheBinProvesNothingOfSnapshots(t *testing.T) {
	tonight(t, func(t *testing.T) {
		const chunk = 100
		var images []object
		verdicts := []retention.Verdict{due(1, 1)}
		images = append(images, image(1, 1))
		for n := 2; n <= chunk; n++ {
			images = append(images, image(n, n))
			verdicts = append(verdicts, keeping(due(n), n, "kept"))
		}
		for n := chunk + 1; n <= chunk+2; n++ {
			images = append(images, image(n, n))
			verdicts = append(verdicts, due(n, n))
		}
		account := load(t, images...)
		orders := staying(1)
		orders.requireBin = true
		orders.bin = withoutSnapshots(binOf(t, account, 0))
		outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(verdicts...), orders).Outcomes
		want := []string{"skipped; 1 kept"}
		for n := 2; n <= chunk; n++ {
			want = append(want, fmt.Sprintf("deregistered; %x kept", n))
		}
		wantOutcomes(t, outcomes, append(want, "deregistered; 65 deleted", "skipped; 66 kept")...)
	})
}

// No document of AWS says whether the Recycle Bin takes in images that have failed. So they come
// last, prove nothing for the others, and stop nothing if they do not turn up there; their
// snapshots have to, as those of others do.
func TestFailedImagesAndTheRecycleBin(t *testing.T) {
	failed := func(n int) object {
		i := image(n, n)
		i["State"] = "failed"
		return i
	}
	whole := func(n int) object { return image(n, n) }
	seesAll := func(bin emulator.Doer) emulator.Doer { return bin }
	seesNone := func(bin emulator.Doer) emulator.Doer { return withoutImages(withoutSnapshots(bin), 1, 2, 3) }
	for name, c := range map[string]struct {
		images []object
		sees   func(emulator.Doer) emulator.Doer
		want   []string
	}{
		"seen":                 {[]object{failed(1), whole(2), failed(3)}, seesAll, []string{"deregistered; 1 deleted", "deregistered; 2 deleted", "deregistered; 3 deleted"}},
		"failed ones not seen": {[]object{failed(1), whole(2), failed(3)}, func(bin emulator.Doer) emulator.Doer { return withoutImages(bin, 1, 3) }, []string{"deregistered; 1 deleted", "deregistered; 2 deleted", "deregistered; 3 deleted"}},
		"only failed":          {[]object{failed(1), failed(2), failed(3)}, func(bin emulator.Doer) emulator.Doer { return withoutImages(bin, 1, 2, 3) }, []string{"deregistered; 1 deleted", "deregistered; 2 deleted", "deregistered; 3 deleted"}},
		"whole one not seen":   {[]object{failed(1), whole(2), failed(3)}, func(bin emulator.Doer) emulator.Doer { return withoutImages(bin, 2) }, []string{"skipped; 1 kept", "deregistered; 2 deleted", "skipped; 3 kept"}},
		"no whole one seen":    {[]object{failed(1), whole(2), whole(3)}, func(bin emulator.Doer) emulator.Doer { return withoutImages(bin, 2, 3) }, []string{"skipped; 1 kept", "deregistered; 2 deleted", "skipped; 3 kept"}},
		"no snapshot seen":     {[]object{failed(1), failed(2), failed(3)}, seesNone, []string{"deregistered; 1 deleted", "skipped; 2 kept", "skipped; 3 kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			tonight(t, func(t *testing.T) {
				account := load(t, c.images...)
				var order []string
				doer := before(account.Client(), "DeregisterImage", func(r emulator.Request) { order = append(order, r.Form.Get("ImageId")) })
				orders := passing(quiet)
				orders.requireBin, orders.bin = true, c.sees(binOf(t, account, 0))
				outcomes := carryOut(t.Context(), t.Context(), doer, planOf(due(1, 1), due(2, 2), due(3, 3)), orders).Outcomes
				wantOutcomes(t, outcomes, c.want...)
				if c.images[1]["State"] == "available" && order[0] != imageID(2) {
					t.Errorf("in the order %v", order)
				}
			})
		})
	}
}

// A failed image comes after those that were refused before.
func TestFailedImagesComeLast(t *testing.T) {
	tonight(t, func(t *testing.T) {
		broken := image(1, 1)
		broken["State"] = "failed"
		account := load(t, broken, image(2, 2))
		refused := due(2, 2)
		refused.Yields = true
		orders := passing(quiet)
		orders.requireBin, orders.bin = true, withoutImages(binOf(t, account, 0), 2)
		outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(due(1, 1), refused), orders).Outcomes
		wantOutcomes(t, outcomes, "skipped; 1 kept", "deregistered; 2 deleted")
	})
}

// withoutImages is a bin that does not show some images.
func withoutImages(bin emulator.Doer, unseen ...int) emulator.Doer {
	return emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
		response, err := bin.Do(r)
		if err != nil {
			return response, err
		}
		body, err := io.ReadAll(response.Body)
		for _, n := range unseen {
			body = regexp.MustCompile("<item><imageId>"+imageID(n)+"</imageId>.*?</item>").ReplaceAll(body, nil)
		}
		return reply(r, http.StatusOK, string(body)), err
	})
}
