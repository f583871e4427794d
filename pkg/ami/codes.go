package ami

// The codes of the reasons that a verdict can have. Records hold them: their texts are a contract.
const (
	ReasonNotOwned           = "not-owned"
	ReasonNotAvailable       = "not-available"
	ReasonUnreadable         = "unreadable"
	ReasonFutureDated        = "future-dated"
	ReasonProtected          = "protected"
	ReasonManaged            = "managed"
	ReasonMarketplace        = "marketplace"
	ReasonPublic             = "public"
	ReasonKeepTag            = "keep-tag"
	ReasonKeepList           = "keep-list"
	ReasonUnreadableTag      = "unreadable-tag"
	ReasonOutOfScope         = "out-of-scope"
	ReasonClaimed            = "claimed"
	ReasonRestored           = "restored"
	ReasonVetoed             = "vetoed"
	ReasonUnrecorded         = "unrecorded"
	ReasonRecentlyUsed       = "recently-used"
	ReasonNewestOfFamily     = "newest-of-family"
	ReasonNoRoomForTags      = "no-room-for-tags"
	ReasonSnapshotUnclear    = "snapshot-unclear"
	ReasonSnapshotInDoubt    = "snapshot-in-doubt"
	ReasonSnapshotLocked     = "snapshot-locked"
	ReasonNotRestorable      = "not-restorable"
	ReasonShared             = "shared"
	ReasonInUse              = "in-use"
	ReasonCopyOfUsed         = "copy-of-used"
	ReasonAnnouncedElsewhere = "announced-elsewhere"
	ReasonCopiedTags         = "copied-tags"
	ReasonUnknownUse         = "unknown-use"
	ReasonUsageReportPending = "usage-report-pending"
	ReasonCensusTooYoung     = "census-too-young"
	ReasonLaunchDataMissing  = "launch-data-missing"
	ReasonNotLookedUp        = "not-looked-up"

	ReasonAnnounced     = "announced"
	ReasonStale         = "stale"
	ReasonNeverLaunched = "never-launched"
	ReasonRefused       = "refused"
	ReasonOverCap       = "over-cap"
	ReasonNotApproved   = "not-approved"

	ReasonUsedSincePlanned    = "used-since-planned"
	ReasonChangedSincePlanned = "changed-since-planned"
)

// The codes of the outcomes of images that were not tried. No verdict has them as a reason.
const (
	OutcomeNotReached = "not-reached" // There was no time.
	OutcomeHeld       = "held"        // The plan of the region is on hold.
	OutcomeStopped    = "stopped"     // The run has stopped removing in the region.
)
