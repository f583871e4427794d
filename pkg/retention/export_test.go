package retention

import "maps"

// OnAnnouncement returns what each reason to keep does to an announcement of this policy.
func OnAnnouncement() map[Code]Unmark { return maps.Clone(onMark) }
