package sweep_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
)

type (
	httpRequest  = http.Request
	httpResponse = http.Response
)

// answersLost are the ways to lose the answer to a request that took effect.
var answersLost = map[string]fault{
	"connection reset": afterReset,
	"500":              after(broken),
	"503":              after(overloaded),
	"500 of a proxy": after(func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
		return reply(r, 502, "<html>Bad gateway</html>"), nil
	}),
	"web page":                after(webPage),
	"empty answer":            after(empty),
	"answer without <return>": after(unconfirmed),
}

// A snapshot that went with its image by a request whose answer was lost is this run's own
// deletion, even if EC2 still shows it for a moment.
func TestASnapshotOfALostAnswerIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		shown := func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
			return reply(r, 200, "<DescribeSnapshotsResponse><requestId>1</requestId><snapshotSet><item><snapshotId>"+snapshotID(1)+
				"</snapshotId></item></snapshotSet></DescribeSnapshotsResponse>"), nil
		}
		outcomes := run(faulty(faulty(account.Client(), "DescribeSnapshots", shown), "DeregisterImage", afterReset), planOf(due(1, 1)))
		wantOutcomes(t, outcomes, "deregistered; 1 deleted")
		says(t, outcomes[0].Snapshots[0].Detail, "seen to be gone after a lost answer")
	})
}

// A snapshot that was not part of the request, and is gone after it, was deleted by somebody else.
func TestASnapshotThatWasNotToGoAlongIsNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1, 2))
		meanwhile := func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
			_, err := afterReset(next, r)
			if _, err := client(account.Client()).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String(snapshotID(1))}); err != nil {
				t.Error(err)
			}
			return nil, err
		}
		outcomes := run(faulty(account.Client(), "DeregisterImage", meanwhile), planOf(keeping(due(1, 1), 2, "tagged")))
		wantOutcomes(t, outcomes, "deregistered; 1 deleted; 2 kept")
		says(t, outcomes[0].Snapshots[0].Detail, "was already gone")
	})
}

// A deregistration whose answer is lost comes back as "no longer available" when it is retried. If
// that counted as somebody else's work, the snapshots would stay forever.
func TestADeregistrationWhoseAnswerIsLostIsOurs(t *testing.T) {
	for name, lost := range answersLost {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1, 2), image(2, 3))
				calls := &tally{Doer: faulty(account.Client(), "DeregisterImage", lost)}
				outcomes := run(calls, planOf(due(1, 1, 2), due(2, 3)))
				wantOutcomes(t, outcomes, "deregistered; 1 deleted; 2 deleted", "deregistered; 3 deleted")
				wantHeld(t, account)
				if outcomes[0].Error != "" {
					t.Errorf("error %q", outcomes[0].Error)
				}
				if n := calls.sent("DeregisterImage"); n != 3 {
					t.Errorf("%d attempts, want 3", n)
				}
			})
		})
		t.Run(name+", the snapshots left behind", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1, 2))
				withoutFlag := func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
					return lost(next, without(r, "DeleteAssociatedSnapshots"))
				}
				doer := faulty(account.Client(), "DeregisterImage", withoutFlag)
				wantOutcomes(t, run(doer, planOf(due(1, 1, 2))), "deregistered; 1 deleted; 2 deleted")
				wantHeld(t, account)
			})
		})
		t.Run(name+", once, and nobody may look", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1))
				doer := disturb.Deny(faulty(account.Client(), "DeregisterImage", lost), "DescribeSnapshots", "DescribeImages")
				outcomes := run(doer, planOf(due(1, 1)))
				// EC2 says the same about images that exist.
				wantOutcomes(t, outcomes, "failed; 1 failed")
				says(t, outcomes[0].Error, "may or may not")
			})
		})
		t.Run(name+", and the snapshot cannot be looked at or deleted", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1))
				doer := disturb.Deny(faulty(account.Client(), "DeregisterImage", lost), "DescribeSnapshots", "DeleteSnapshot")
				wantOutcomes(t, run(doer, planOf(due(1, 1))), "deregistered; 1 failed")
			})
		})
		t.Run(name+", every time", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				calls := &tally{Doer: faulty(account.Client(), "DeregisterImage", always(lostAgain(lost))...)}
				wantOutcomes(t, run(calls, planOf(due(1, 1), due(2, 2))), "deregistered; 1 deleted", "deregistered; 2 deleted")
				wantHeld(t, account)
				if n := calls.sent("DeregisterImage"); n != 12 {
					t.Errorf("%d attempts, want 6 for each image: the SDK's own retries must be off", n)
				}
			})
		})
		t.Run(name+", every time, and nobody may look", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1))
				doer := disturb.Deny(faulty(account.Client(), "DeregisterImage", always(lostAgain(lost))...), "DescribeImages")
				outcomes := run(doer, planOf(due(1, 1)))
				wantOutcomes(t, outcomes, "failed; 1 failed")
				says(t, outcomes[0].Error, "may or may not")
			})
		})
	}
}

// No request arrives, and EC2's listing is empty by mistake: that proves nothing.
func TestAnEmptyListAfterALostAnswer(t *testing.T) {
	for action, want := range map[string][]string{
		"DeregisterImage": {"failed; 9 failed", "failed; 9 failed"},
		"DeleteSnapshot":  {"deregistered; 9 failed", "deregistered; 9 failed"},
	} {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 9), image(2, 9))
				var isTried atomic.Bool
				doer := emulator.DoerFunc(func(r *httpRequest) (*httpResponse, error) {
					q, err := emulator.Inspect(r)
					isTried.CompareAndSwap(false, q.Action == action)
					switch {
					case err != nil || q.Action == action:
						return nil, io.ErrUnexpectedEOF
					case isTried.Load() && q.Action == "DescribeImages":
						return reply(r, 200, "<DescribeImagesResponse><requestId>1</requestId><imagesSet/></DescribeImagesResponse>"), nil
					case isTried.Load() && q.Action == "DescribeSnapshots" && !q.Form.Has("SnapshotId.1"):
						return reply(r, 200, "<DescribeSnapshotsResponse><requestId>1</requestId><snapshotSet/></DescribeSnapshotsResponse>"), nil
					default:
						return account.Client().Do(r)
					}
				})
				wantOutcomes(t, run(doer, planOf(due(1, 9), due(2, 9))), want...)
			})
		})
	}
}

// Asked by its id, EC2 gives an empty answer for a while of an image that it has deregistered (EC2
// API Reference, DescribeImages).
func TestAnEmptyAnswerAboutAnImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		doer := faulty(faulty(account.Client(), "DeregisterImage", afterReset), "DescribeImages", always(func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
			return reply(r, 200, "<DescribeImagesResponse><requestId>1</requestId><imagesSet/></DescribeImagesResponse>"), nil
		})...)
		wantOutcomes(t, run(doer, planOf(due(1, 1))), "deregistered; 1 deleted")
	})
}

// lostAgain loses every answer in the same way, that to a repeated request too.
func lostAgain(lost fault) fault {
	return func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
		response, err := lost(next, r)
		return response, err
	}
}

// Without any effect, nothing may be reported as deregistered.
func TestAFailureWithoutEffectIsNoDeregistration(t *testing.T) {
	for name, fails := range map[string]fault{
		"unreachable": unreachable, "500": broken, "503": overloaded, "web page": webPage, "empty answer": empty, "no <return>": unconfirmed,
	} {
		t.Run(name+" for a while", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1))
				doer := faulty(account.Client(), "DeregisterImage", fails, fails, fails)
				wantOutcomes(t, run(doer, planOf(due(1, 1))), "deregistered; 1 deleted")
				wantHeld(t, account)
			})
		})
		t.Run(name+" for ever", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				calls := &tally{Doer: faulty(account.Client(), "DeregisterImage", always(fails)...)}
				outcomes := run(calls, planOf(due(1, 1), due(2, 2)))
				for _, outcome := range outcomes {
					if outcome.Status != "failed" {
						t.Errorf("%+v", outcome)
					}
				}
				wantHeld(t, account, "image 1", "image 2", "snapshot 1", "snapshot 2")
				if n := calls.sent("DeregisterImage"); n != 12 {
					t.Errorf("%d attempts, want 6 for each image: the SDK's own retries must be off", n)
				}
			})
		})
	}
}

// What somebody else deregistered is somebody else's; so are its snapshots.
func TestAnImageThatSomebodyElseDeregisteredIsSkipped(t *testing.T) {
	for name, faults := range map[string][]fault{
		"before": {somebodyElse},
		"after a throttle, which is no lost answer":      {throttled, somebodyElse},
		"after several throttles":                        {throttled, throttled, throttled, somebodyElse},
		"never there":                                    {refuse(400, "InvalidAMIID.NotFound")},
		"no longer available, in EC2's words":            {refuse(400, "InvalidAMIID.Unavailable")},
		"after EC2 said to slow down, with another code": {refuse(503, "EC2ThrottledException"), somebodyElse},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				calls := &tally{Doer: faulty(account.Client(), "DeregisterImage", faults...)}
				outcomes := run(calls, planOf(due(1, 1), due(2, 2)))
				wantOutcomes(t, outcomes, "skipped; 1 kept", "deregistered; 2 deleted")
				says(t, outcomes[0].Error, "gone before this run", "InvalidAMIID.")
				if !holdings(t, account)[snapshotID(1)] {
					t.Error("deleted the snapshot of an image that somebody else deregistered")
				}
				if calls.sent("DeleteSnapshot") > 0 {
					t.Error("tried to delete a snapshot that was not ours to delete")
				}
			})
		})
	}
}

func TestThrottlingIsSatOut(t *testing.T) {
	for n := 1; n <= 10; n++ {
		t.Run(fmt.Sprint(n, " times"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account := load(t, image(1, 1), image(2, 2))
				calls := &tally{Doer: faulty(account.Client(), "DeregisterImage", slices.Repeat([]fault{throttled}, n)...)}
				outcomes := run(calls, planOf(due(1, 1), due(2, 2)))
				if n < 9 {
					wantOutcomes(t, outcomes, "deregistered; 1 deleted", "deregistered; 2 deleted")
					wantHeld(t, account)
					return
				}
				wantOutcomes(t, outcomes, "failed; 1 kept", "deregistered; 2 deleted")
				wantHeld(t, account, "image 1", "snapshot 1")
				says(t, outcomes[0].Error, "RequestLimitExceeded")
				if sent := calls.sent("DeregisterImage"); sent != n+1 {
					t.Errorf("%d attempts, want %d", sent, n+1)
				}
			})
		})
	}
}

// A lost answer stays lost, whatever is said in between.
func TestThrottlingAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		doer := faulty(account.Client(), "DeregisterImage", afterReset, throttled, throttled)
		wantOutcomes(t, run(doer, planOf(due(1, 1))), "deregistered; 1 deleted")
		wantHeld(t, account)
	})
}

// When the answer to the first attempt is lost and the next is refused, nothing is proven by the
// refusal: session credentials may have run out in between. Looking is a read, and it says whether
// the image's snapshots are orphans now.
func TestARefusalAfterALostAnswerIsLookedInto(t *testing.T) {
	t.Run("the first took effect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 1))
			lost := func(next emulator.Doer, r *httpRequest) (*httpResponse, error) {
				return afterReset(next, without(r, "DeleteAssociatedSnapshots"))
			}
			doer := faulty(account.Client(), "DeregisterImage", lost, denied)
			wantOutcomes(t, run(doer, planOf(due(1, 1))), "deregistered; 1 deleted")
			wantHeld(t, account)
		})
	})
	t.Run("it did not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			account := load(t, image(1, 1))
			doer := faulty(account.Client(), "DeregisterImage", append([]fault{broken}, always(denied)...)...)
			outcomes := run(doer, planOf(due(1, 1)))
			if outcomes[0].Status != "failed" {
				t.Errorf("%+v", outcomes[0])
			}
			says(t, outcomes[0].Error, "UnauthorizedOperation")
			wantHeld(t, account, "image 1", "snapshot 1")
		})
	})
}

// A request that never reached EC2 cannot have taken effect: the missing image was removed by
// somebody else.
func TestAnAttemptThatNeverArrivedIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		doer := faulty(account.Client(), "DeregisterImage", unreachable, somebodyElse)
		outcomes := run(doer, planOf(due(1, 1)))
		wantOutcomes(t, outcomes, "skipped; 1 kept")
		wantHeld(t, account, "snapshot 1")
	})
}

// EC2 says InvalidAMIID.Unavailable also for an existing image in another state. After an attempt
// that was lost before its effect it confirms nothing.
func TestUnavailableDoesNotMeanGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		wrongState := refuse(400, "InvalidAMIID.Unavailable")
		doer := faulty(account.Client(), "DeregisterImage", append([]fault{broken}, always(wrongState)...)...)
		outcomes := run(doer, planOf(due(1, 1)))
		wantOutcomes(t, outcomes, "failed; 1 failed")
		wantHeld(t, account, "image 1", "snapshot 1")
	})
}

// A listing of snapshots that goes round in circles ends, and proves nothing.
func TestACircularLookAtTheSnapshotsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := load(t, image(1, 1))
		circular := func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
			return reply(r, 200, `<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>`+
				`<snapshotSet/><nextToken>again</nextToken></DescribeSnapshotsResponse>`), nil
		}
		doer := faulty(account.Client(), "DescribeSnapshots", always(circular)...)
		doer = faulty(doer, "DeregisterImage", afterReset)
		wantOutcomes(t, run(doer, planOf(due(1, 1))), "deregistered; 1 deleted")
		wantHeld(t, account)
	})
}

// An image that EC2 still lists as deregistered is gone.
func TestAnImageListedAsDeregisteredIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listed := func(_ emulator.Doer, r *httpRequest) (*httpResponse, error) {
			return reply(r, 200, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><imagesSet><item><imageId>`+
				imageID(1)+`</imageId><imageState>deregistered</imageState></item></imagesSet></DescribeImagesResponse>`), nil
		}
		account := load(t, image(1, 1))
		doer := faulty(account.Client(), "DeregisterImage", always(after(broken))...)
		wantOutcomes(t, run(faulty(doer, "DescribeImages", always(listed)...), planOf(due(1, 1))), "deregistered; 1 deleted")
	})
}
