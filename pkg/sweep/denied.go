package sweep

import (
	"regexp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// enoughDenied is how many images must be refused because of the same missing permission before the
// region stops.
const enoughDenied = 3

// stopIfDenied stops the region after enough denials for the same missing permission without a
// single success: EC2 will refuse all others, after minutes of retries. A few denials are normal: a
// policy may protect single images.
func (s *sweep) stopIfDenied(some []*image) {
	for _, i := range some {
		switch i.outcome.Status {
		case ami.Deregistered:
			s.allowed = true
		case ami.Failed:
			s.failed++
		default:
		}
	}
	for _, images := range s.denied {
		if s.stopped == "" && !s.allowed && len(images) >= enoughDenied {
			s.stopped = "not tried: EC2 has refused every removal before it, for want of a permission"
			s.acquit(images)
		}
	}
}

// acquit notes that EC2 refused images together with all others: that says nothing about these,
// unless they were refused before, too.
func (s *sweep) acquit(images []*image) {
	for _, i := range images {
		if i.outcome.Refused && !i.Yields {
			i.outcome.Refused = false
			s.settle(i)
		}
	}
}

// reasonOf is the text of a refusal without resource ids, which is the same for all images with the
// same reason.
func reasonOf(err error) string { return resourceID.ReplaceAllString(wire.Explain(err), "ID") }

var resourceID = regexp.MustCompile(`\b(ami|snap)-[0-9a-f]+\b`)

// noteDenied notes that EC2 refused the removal of an image because of a missing permission, after
// all attempts.
func (s *sweep) noteDenied(i *image, answer answer) {
	if !answer.isRefused() || wire.Code(answer.err) != unauthorized {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := reasonOf(answer.err)
	s.denied[reason] = append(s.denied[reason], i)
	s.waited[reason] = true
}

// attemptsFor returns how often a temporary refusal is retried. IAM may take some time to see the
// tags of a chunk. Once one image of the chunk was refused for that long, the same refusal of
// another one has a different cause, and minutes for each protected image would take hours.
func (s *sweep) attemptsFor(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waited[reasonOf(err)] {
		return attempts
	}
	return eventualAttempts
}
