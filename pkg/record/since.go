package record

// Since are the sums over real runs, this one included if it is one: what they have removed, not
// what people have restored since. Empty if they could not be read.
type Since struct {
	Month *Sum `json:"month,omitempty"` // Of the runs that began in the month of this one, in UTC.
	First *Sum `json:"first,omitempty"` // Of all runs that are in the sums.
}

// Sum is what runs have removed. A run that was killed before it could add itself is not in it.
type Sum struct {
	From string `json:"from"` // The day on which the first of the runs may have begun, as 2006-01-02.
	Runs int    `json:"runs"`
	Amount
}
