package sweep

// InTurn returns the region with one removal at a time, in the order of the plan.
func (r Region) InTurn() Region {
	r.inFlight = 1
	return r
}
