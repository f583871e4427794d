package sweep

import (
	"regexp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// enoughDenied is how many images have to be refused for want of a permission, all for the same reason, until no further one
// is tried.
const enoughDenied = 3

// stopIfDenied stops the region if EC2 has allowed no removal until now, and has refused enough of them for want of the same
// permission: it is going to refuse all others, after minutes of patience. A policy may protect one image or another.
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

// acquit notes that EC2 has refused images together with all others: that says nothing of these, unless they could not be removed
// before either.
func (s *sweep) acquit(images []*image) {
	for _, i := range images {
		if i.outcome.Refused && !i.Yields {
			i.outcome.Refused = false
			s.settle(i)
		}
	}
}

// reasonOf is what a refusal says, the same for every image that is refused for the same reason.
func reasonOf(err error) string { return resourceID.ReplaceAllString(wire.Explain(err), "ID") }

var resourceID = regexp.MustCompile(`\b(ami|snap)-[0-9a-f]+\b`)

// noteDenied notes it if EC2 has refused the removal of an image for want of a permission, however often it was asked.
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

// patienceFor returns how often EC2 is asked while it refuses for a while only. IAM may take some time to see the tags of a chunk;
// once one image of it was refused all that time, the same refusal of another one has no such reason, and minutes for each
// image that a policy protects would take the night.
func (s *sweep) patienceFor(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waited[reasonOf(err)] {
		return attempts
	}
	return patience
}
