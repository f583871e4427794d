package retention

import "time"

// SeenFloor is the shortest series of nightly censuses that proves something: a census does not see
// what was launched and ended between two nights.
const SeenFloor = Days(30 * Day)

// overNight is how long the removal of a shared image is announced at least, where censuses judge
// it: until the next night, which may begin a little earlier. Then every account is counted again.
const overNight = Days(20 * time.Hour)

// grace is how long the removal of an image is announced.
func (r *regionFacts) grace(image *imageFacts) Days {
	if r.policy.JudgeByCensus && r.isShared(image) {
		return max(r.policy.Grace, overNight)
	}
	return r.policy.Grace
}

// censusTooYoung keeps a shared image until all accounts of the organization that may launch it
// have been counted for long enough, without a gap.
func censusTooYoung(r *regionFacts, image *imageFacts) string {
	finding := r.evidence[r.Region].Images[image.ID]
	if !r.policy.JudgeByCensus || isUnasked(finding) || !r.isShared(image) {
		return ""
	}
	need := max(r.policy.SeenNights, SeenFloor)
	if r.policy.SeenNights == 0 {
		need = max(r.policy.idleLimit(image), SeenFloor)
	}
	switch counted := finding.Counted; {
	case counted == nil:
		return "this run has counted no account of the organization"
	case counted.Account == "":
		return "" // Usage reports are the proof about all others.
	case counted.Since.IsZero():
		return "account " + counted.Account + " has not been counted"
	case r.now.Sub(counted.Since) < time.Duration(need):
		return "account " + counted.Account + " has been counted every night since " + date(counted.Since) + " only, and " + need.inWords() + " are needed"
	default:
		return ""
	}
}
