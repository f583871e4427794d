package sweep_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
)

// The minimum is one write for each image: more would reach EC2's limits sooner.
func TestFiftyImagesCostFiftyOneWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var images []object
		var verdicts []retention.Verdict
		for n := range 50 {
			images = append(images, image(n, n))
			verdicts = append(verdicts, due(n, n))
		}
		account := load(t, images...)
		calls := &tally{Doer: account.Client()}
		for _, outcome := range run(calls, planOf(verdicts...)) {
			if outcome.Status != ami.Deregistered || outcome.Error != "" || outcome.Snapshots[0].Status != ami.SnapshotDeleted {
				t.Errorf("%+v", outcome)
			}
		}
		wantHeld(t, account)
		if calls.actionsOf() != "CreateTags"+strings.Repeat(" DeregisterImage", 50) || len(calls.requests) != 52 {
			t.Errorf("%d requests, writes %s", len(calls.requests), calls.actionsOf())
		}
	})
}

func TestSnapshotsGoWithTheirImage(t *testing.T) {
	for _, c := range []struct {
		name    string
		image   object
		verdict retention.Verdict
		flagged bool
		outcome string
		held    []string
	}{
		{"all of them", image(1, 1, 2), due(1, 1, 2), true, "deregistered; 1 deleted; 2 deleted", nil},
		{"an image without snapshots", image(1), due(1), false, "deregistered", nil},
		{"one that must stay is not put at risk", image(1, 1, 2), keeping(due(1, 1), 2, "tagged"), false, "deregistered; 1 deleted; 2 kept", []string{"snapshot 2"}},
		{"none of them", image(1, 1, 2), keeping(keeping(due(1), 1, "tagged"), 2, "tagged"), false, "deregistered; 1 kept; 2 kept", []string{"snapshot 1", "snapshot 2"}},
		{"a snapshot the account does not list", image(1, 1), keeping(due(1, 1), 9, "not among this account's snapshots"), false, "deregistered; 1 deleted; 9 kept", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, c.image)
				calls := &tally{Doer: account.Client()}
				outcomes := run(calls, planOf(c.verdict))
				wantOutcomes(t, outcomes, c.outcome)
				wantHeld(t, account, c.held...)
				flagged := slices.ContainsFunc(calls.requests, func(r emulator.Request) bool { return r.Form.Get("DeleteAssociatedSnapshots") == "true" })
				if flagged != c.flagged {
					t.Errorf("DeleteAssociatedSnapshots %v, want %v", flagged, c.flagged)
				}
				for i, s := range c.verdict.Snapshots {
					if got := outcomes[0].Snapshots[i]; !s.Delete && got.Detail != s.Why {
						t.Errorf("the record says %q of a snapshot that is kept because it is %q", got.Detail, s.Why)
					}
				}
			})
		})
	}
}

// Somebody deletes a snapshot after the recheck: it is gone, whoever deleted it.
func TestASnapshotThatIsGoneAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1), image(3, 7))
		deregister(t, account, 3)
		calls := &tally{Doer: before(account.Client(), "DeregisterImage", func(emulator.Request) {
			_, err := client(account.Client()).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String(snapshotID(7))})
			if err != nil {
				t.Error(err)
			}
		})}
		wantOutcomes(t, run(calls, planOf(due(1, 1, 7))), "deregistered; 1 deleted; 7 deleted")
		wantHeld(t, account)
		if calls.requests[2].Form.Get("DeleteAssociatedSnapshots") != "true" {
			t.Errorf("%+v", calls.requests[2])
		}
	})
}

// A successful answer of EC2 has a result for each snapshot.
func TestEveryReturnCodeIsRead(t *testing.T) {
	for _, code := range []types.SnapshotReturnCodes{
		types.SnapshotReturnCodesWarnSkipped, types.SnapshotReturnCodesErrorMissingPermissions,
		types.SnapshotReturnCodesErrorCodeInternalError, types.SnapshotReturnCodesErrorCodeClientError, "out-of-cheese", "",
	} {
		t.Run("not deleted: "+string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1, 2))
				doer := faulty(account.Client(), "DeregisterImage", codes(code, snapshotID(1), snapshotID(2)))
				wantOutcomes(t, run(doer, planOf(due(1, 1, 2))), "deregistered; 1 deleted; 2 deleted")
				wantHeld(t, account)
			})
		})
		t.Run("and cannot be: "+string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1))
				doer := faulty(account.Client(), "DeregisterImage", codes(code, snapshotID(1)))
				doer = disturb.Deny(doer, "DeleteSnapshot")
				outcomes := run(doer, planOf(due(1, 1)))
				wantOutcomes(t, outcomes, "deregistered; 1 failed")
				wantHeld(t, account, "snapshot 1")
				says(t, outcomes[0].Snapshots[0].Detail, "UnauthorizedOperation")
				if code != types.SnapshotReturnCodesWarnSkipped {
					says(t, outcomes[0].Snapshots[0].Detail, string(code))
				}
			})
		})
	}
	t.Run("success", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls := &tally{Doer: load(t, image(1, 1)).Client()}
			wantOutcomes(t, run(calls, planOf(due(1, 1))), "deregistered; 1 deleted")
			if calls.sent("DeleteSnapshot") != 0 {
				t.Error("deleted a snapshot again that EC2 said was gone")
			}
		})
	})
	t.Run("success of one says nothing of another", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 1, 2))
			// EC2's answer lacks snapshot 2.
			doer := faulty(account.Client(), "DeregisterImage", codes("internal-error", snapshotID(1)))
			doer = disturb.Fail(doer, "DeleteSnapshot", func(_ int, r emulator.Request) bool { return r.Form.Get("SnapshotId") == snapshotID(2) },
				403, "UnauthorizedOperation", "No.")
			wantOutcomes(t, run(doer, planOf(due(1, 1, 2))), "deregistered; 1 deleted; 2 failed")
			wantHeld(t, account, "snapshot 2")
		})
	})
}

func TestAnEndpointThatIgnoresTheFlagIsHelped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1, 2))
		doer := faulty(account.Client(), "DeregisterImage", ignoringFlag)
		wantOutcomes(t, run(doer, planOf(due(1, 1, 2))), "deregistered; 1 deleted; 2 deleted")
		wantHeld(t, account)
	})
}

// Right after a deregistration EC2 may still say that the snapshot is in use.
func TestASnapshotThatLooksInUseForAWhileIsTriedAgain(t *testing.T) {
	for lag := range 8 {
		t.Run(fmt.Sprint(lag, " calls"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				account.SetInUseLag(lag)
				doer := faulty(account.Client(), "DeregisterImage", always(ignoringFlag)...)
				outcomes := run(doer, planOf(due(1, 1), due(2, 2)))
				if lag < 6 {
					wantOutcomes(t, outcomes, "deregistered; 1 deleted", "deregistered; 2 deleted")
					wantHeld(t, account)
					return
				}
				wantOutcomes(t, outcomes, "deregistered; 1 failed", "deregistered; 2 failed")
				says(t, outcomes[0].Snapshots[0].Detail, "InvalidSnapshot.InUse", imageID(1))
				says(t, outcomes[1].Snapshots[0].Detail, "InvalidSnapshot.InUse", imageID(2))
			})
		})
	}
}

func TestASnapshotThatAnotherImageHoldsFailsAndNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Image 2 was made after the plan, or belongs to another account: the plan does not know
		// it.
		account := load(t, image(1, 1), image(2, 1))
		outcomes := run(account.Client(), planOf(due(1, 1)))
		wantOutcomes(t, outcomes, "deregistered; 1 failed")
		wantHeld(t, account, "image 2", "snapshot 1")
		says(t, outcomes[0].Snapshots[0].Detail, "InvalidSnapshot.InUse", imageID(2))
	})
}

func TestASnapshotThatIsNotFoundIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		doer := faulty(account.Client(), "DeregisterImage", ignoringFlag)
		doer = faulty(doer, "DeleteSnapshot", refuse(400, "InvalidSnapshot.NotFound"))
		outcomes := run(doer, planOf(due(1, 1)))
		wantOutcomes(t, outcomes, "deregistered; 1 deleted")
		says(t, outcomes[0].Snapshots[0].Detail, "was already gone")
	})
}

// Faults of DeleteSnapshot, after which the outcome has to agree with the account.
func TestFaultsOfDeleteSnapshot(t *testing.T) {
	for _, c := range []struct {
		name    string
		faults  []fault
		outcome string
		held    []string
	}{
		{"denied until IAM sees the tags", []fault{denied, denied, denied}, "deregistered; 1 deleted; 2 deleted", nil},
		{"denied, and the next one is still deleted", always(denied)[:9], "deregistered; 1 failed; 2 deleted", []string{"snapshot 1"}},
		{"throttled for a while", []fault{throttled, throttled, throttled}, "deregistered; 1 deleted; 2 deleted", nil},
		{"throttled for ever", always(throttled), "deregistered; 1 failed; 2 failed", []string{"snapshot 1", "snapshot 2"}},
		{"lost answer", []fault{afterReset}, "deregistered; 1 deleted; 2 deleted", nil},
		{"every answer lost", always(afterReset), "deregistered; 1 deleted; 2 deleted", nil},
		{"web page after the effect", []fault{after(webPage)}, "deregistered; 1 deleted; 2 deleted", nil},
		{"web page instead of an effect", []fault{webPage, webPage}, "deregistered; 1 deleted; 2 deleted", nil},
		{"empty answer instead of an effect", []fault{empty}, "deregistered; 1 deleted; 2 deleted", nil},
		{"nothing but web pages", always(webPage), "deregistered; 1 failed; 2 failed", []string{"snapshot 1", "snapshot 2"}},
		{"500 after the effect", []fault{after(broken)}, "deregistered; 1 deleted; 2 deleted", nil},
		{"locked, whatever its code", []fault{refuse(400, "OperationNotPermitted")}, "deregistered; 1 failed; 2 deleted", []string{"snapshot 1"}},
		{"in AWS Backup", []fault{refuse(400, "InvalidParameterValue")}, "deregistered; 1 failed; 2 deleted", []string{"snapshot 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1, 2))
				doer := faulty(account.Client(), "DeregisterImage", ignoringFlag)
				doer = faulty(doer, "DeleteSnapshot", c.faults...)
				wantOutcomes(t, run(doer, planOf(due(1, 1, 2))), c.outcome)
				wantHeld(t, account, c.held...)
			})
		})
	}
}

// A refusal ends in the record, with its code, and the next image goes on.
func TestRefusals(t *testing.T) {
	with := func(o object, key string, value any) object { o[key] = value; return o }
	for _, c := range []struct {
		name string
		of   object
		deny bool
		code string
	}{
		{"protected", with(image(1, 1), "DeregistrationProtection", "enabled-without-cooldown"), false, "OperationNotPermitted"},
		{"in its cooldown", with(image(1, 1), "DeregistrationProtection", "disabled after 2026-11-24"), false, "OperationNotPermitted"},
		{"AWS Backup", with(image(1, 1), "Tags", []object{{"Key": "aws:backup:source-resource", "Value": "x"}}), false, "AuthFailure"},
		{"denied", image(1, 1), true, "UnauthorizedOperation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, c.of, image(2, 2))
				calls := &tally{Doer: account.Client()}
				if c.deny {
					calls.Doer = disturb.Fail(account.Client(), "DeregisterImage", func(_ int, r emulator.Request) bool { return r.Form.Get("ImageId") == imageID(1) },
						403, "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: abc")
				}
				outcomes := run(calls, planOf(due(1, 1), due(2, 2)))
				wantOutcomes(t, outcomes, "failed; 1 kept", "deregistered; 2 deleted")
				wantHeld(t, account, "image 1", "snapshot 1")
				says(t, outcomes[0].Error, c.code)
				want := 2
				if c.deny {
					want = 10 // IAM may not have seen the tags yet.
				}
				if calls.sent("DeregisterImage") != want {
					t.Errorf("%d attempts, want %d", calls.sent("DeregisterImage"), want)
				}
			})
		})
	}
}

// The outcomes come in the order of the plan, and only for what the plan deregisters.
func TestOneOutcomeForEveryDeregistrationInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep, wait := due(2, 2), due(4, 4)
		keep.Decision, keep.Snapshots = retention.Keep, nil
		wait.Decision, wait.Snapshots = retention.Defer, nil
		account := load(t, image(1, 1), image(2, 2), image(3, 3), image(4, 4))
		var steps []string
		outcomes := carryOut(t.Context(), t.Context(), account.Client(), planOf(due(3, 3), keep, wait, due(1, 1)),
			passing(func(done, total int) { steps = append(steps, fmt.Sprint(done, "/", total)) })).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 3 deleted", "deregistered; 1 deleted")
		if outcomes[0].ImageID != imageID(3) || outcomes[1].ImageID != imageID(1) {
			t.Errorf("in order %s, %s", outcomes[0].ImageID, outcomes[1].ImageID)
		}
		wantHeld(t, account, "image 2", "image 4", "snapshot 2", "snapshot 4")
		if fmt.Sprint(steps) != "[1/2 2/2]" {
			t.Errorf("steps %v", steps)
		}
	})
}

func TestNothingToDo(t *testing.T) {
	calls := &tally{Doer: load(t).Client()}
	if outcomes := run(calls, planOf()); outcomes == nil || len(outcomes) > 0 || len(calls.requests) > 0 {
		t.Errorf("outcomes %#v after %d requests; want an empty list after none", outcomes, len(calls.requests))
	}
}

// After the cutoff, every started image is finished and no other is touched.
func TestNoImageIsBegunTooLate(t *testing.T) {
	for begun := range 5 {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 1), image(2, 2), image(3, 3), image(4, 3, 4))
			begin, stop := context.WithCancel(t.Context())
			defer stop()
			if begun == 0 {
				stop()
			}
			outcomes := carryOut(t.Context(), begin, account.Client(), planOf(due(1, 1), due(2, 2), due(3, 3), due(4, 3, 4)), passing(func(done, _ int) {
				if done == begun {
					stop()
				}
			})).Outcomes
			want := []string{"deregistered; 1 deleted", "deregistered; 2 deleted", "deregistered; 3 deleted", "deregistered; 3 deleted; 4 deleted"}
			skipped := []string{"skipped; 1 kept", "skipped; 2 kept", "skipped; 3 kept", "skipped; 3 kept; 4 kept"}
			var left []string
			for n := begun; n < 4; n++ {
				want[n] = skipped[n]
				left = append(left, fmt.Sprint("image ", n+1), fmt.Sprint("snapshot ", n+1))
				says(t, outcomes[n].Error, "not reached", "next run")
			}
			if begun == 3 {
				want[2] = "deregistered; 3 kept" // Its snapshot was to go with image 4.
				left = append(left, "snapshot 3")
			}
			wantOutcomes(t, outcomes, want...)
			wantHeld(t, account, left...)
		})
	}
}

// An interruption between the deregistration and the snapshots does not make orphans.
func TestWhatIsBegunIsFinishedAfterAnInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1, 2), image(2, 3))
		account.SetInUseLag(3)
		begin, stop := context.WithCancel(t.Context())
		doer := faulty(account.Client(), "DeregisterImage", always(ignoringFlag)...)
		doer = faulty(doer, "DeleteSnapshot", func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
			stop()
			return next.Do(r)
		})
		outcomes := carryOut(context.WithoutCancel(begin), begin, doer, planOf(due(1, 1, 2), due(2, 3)), passing(quiet)).Outcomes
		wantOutcomes(t, outcomes, "deregistered; 1 deleted; 2 deleted", "skipped; 3 kept")
		wantHeld(t, account, "image 2", "snapshot 3")
	})
}

// The deadline may come at any moment: before, during and after the deregistration, and between two
// snapshots. The outcomes are true nevertheless.
func TestTheHardEndAtEveryMoment(t *testing.T) {
	for moment := time.Duration(0); moment < 40*time.Second; moment += 1500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 1, 2), image(2, 3), image(3, 4))
			account.SetInUseLag(1)
			slow := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
				time.Sleep(time.Second)
				response, err := account.Client().Do(r)
				time.Sleep(time.Second)
				if r.Context().Err() != nil {
					return nil, r.Context().Err()
				}
				return response, err
			})
			doer := faulty(slow, "DeregisterImage", ignoringFlag, throttled, ignoringFlag, afterReset, throttled)
			ctx, stop := context.WithTimeout(t.Context(), moment)
			defer stop()
			before := holdings(t, account)
			plan := planOf(due(1, 1, 2), due(2, 3), due(3, 4))
			agree(t, plan, carryOut(ctx, t.Context(), doer, plan, passing(quiet)).Outcomes, before, holdings(t, account))
		})
	}
}
