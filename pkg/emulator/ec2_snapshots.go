package emulator

import (
	"net/http"
	"slices"
)

// snapshotPaths says where the filters of DescribeSnapshots find their values.
var snapshotPaths = map[string]string{
	"description":   "Description",
	"encrypted":     "Encrypted",
	"owner-alias":   "OwnerAlias",
	"owner-id":      "OwnerId",
	"progress":      "Progress",
	"snapshot-id":   "SnapshotId",
	"start-time":    "StartTime",
	"status":        "State",
	"storage-tier":  "StorageTier",
	"transfer-type": "TransferType",
	"volume-id":     "VolumeId",
	"volume-size":   "VolumeSize",
}

// describeSnapshots lists snapshots in the order of the file. One missing id fails the whole call.
func describeSnapshots(c *call) (object, error) {
	if err := c.notBoth("SnapshotId", "SnapshotIds"); err != nil {
		return nil, err
	}
	snapshots, err := c.byID(c.region.items(snapshotsFile))
	if err != nil {
		return nil, err
	}
	if owners := c.list("Owner"); len(owners) > 0 {
		snapshots = c.owned(snapshots, owners, "OwnerAlias")
	}
	snapshots, err = c.filter(snapshots, snapshotPaths)
	if err != nil {
		return nil, err
	}
	snapshots, token, err := page(c, snapshots, paging{least: 5, most: 1000})
	return listing("Snapshots", snapshots, token), err
}

// byID keeps the objects of the request's snapshot ids, if it has any. All of them must be
// snapshots of the account.
func (c *call) byID(items []object) ([]object, error) {
	ids := c.list("SnapshotId")
	if len(ids) == 0 {
		return items, nil
	}
	for _, id := range ids {
		if _, err := c.snapshot(id); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(items), func(o object) bool { return !slices.Contains(ids, text(o, "SnapshotId")) }), nil
}

// snapshot finds a snapshot by its id.
func (c *call) snapshot(id string) (object, error) {
	snapshot := c.region.find(snapshotsFile, "SnapshotId", id)
	switch {
	case id == "":
		return nil, refuse("MissingParameter", "The request must contain the parameter SnapshotId")
	case snapshot != nil:
		return snapshot, nil
	case !isID(id, "snap-") && !c.region.hasLeft(id):
		return nil, refuse("InvalidSnapshotID.Malformed", "Invalid id: \"%s\" (expecting \"snap-...\")", id)
	}
	return nil, refuse("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

// describeSnapshotAttribute shows one attribute of a snapshot to its owner. A null in the account
// directory is a snapshot whose permissions whoever exported it was not allowed to see; one without
// an entry is shared with nobody. The code for another account's snapshot is not documented.
func describeSnapshotAttribute(c *call) (object, error) {
	snapshot, err := c.snapshot(c.text("SnapshotId"))
	if err != nil {
		return nil, err
	}
	if c.foreign(snapshot) {
		return nil, refuse("AuthFailure", "Not authorized for snapshot:%s", text(snapshot, "SnapshotId"))
	}
	answer := object{"SnapshotId": text(snapshot, "SnapshotId")}
	switch attribute := c.text("Attribute"); attribute {
	case "createVolumePermission":
		var permissions []any
		permissions, err = c.permissions(volumePermissionsFile, text(snapshot, "SnapshotId"))
		answer["CreateVolumePermissions"] = append([]any{}, permissions...)
	case "productCodes":
		answer["ProductCodes"] = []any{}
	default:
		err = c.invalid("Value (%s) for parameter attribute is invalid.", attribute)
	}
	return answer, err
}

// describeLockedSnapshots lists the locks.
func describeLockedSnapshots(c *call) (object, error) {
	if err := c.notBoth("SnapshotId", "SnapshotIds"); err != nil {
		return nil, err
	}
	locks, err := c.byID(c.region.items(lockedSnapshotsFile))
	if err != nil {
		return nil, err
	}
	locks, err = c.filter(locks, map[string]string{"lock-state": "LockState"})
	if err != nil {
		return nil, err
	}
	locks, token, err := page(c, locks, paging{least: 5, most: 1000, usual: 1000})
	return listing("Snapshots", locks, token), err
}

// deleteSnapshot deletes a snapshot that nothing holds.
func deleteSnapshot(c *call) (object, error) {
	id := c.text("SnapshotId")
	snapshot, err := c.snapshot(id)
	if err != nil {
		return nil, err
	}
	if err := c.held(snapshot); err != nil {
		return nil, err
	}
	c.discardSnapshot(id)
	return object{"Return": true}, nil
}

// held says why EC2 refuses to delete a snapshot. An image holds it in any state, disabled too (EBS
// User Guide, "Delete an Amazon EBS snapshot"). The code for a locked one is not documented.
func (c *call) held(snapshot object) error {
	id := text(snapshot, "SnapshotId")
	image := c.region.imageOf(id)
	if l := c.region.lags[id]; image == "" && l != nil && l.calls > 0 {
		l.calls--
		image = l.imageID
	}
	switch {
	case c.foreign(snapshot):
		return &Error{http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation."}
	case image != "":
		return refuse("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", id, image)
	case backedUp(snapshot):
		return refuse("InvalidParameterValue", "This snapshot is managed by the AWS Backup service and cannot be deleted via EC2 APIs. "+
			"If you wish to delete this snapshot, please do so via the Backup console.")
	case c.region.locked(id):
		return refuse("OperationNotPermitted", "The snapshot '%s' is locked", id)
	}
	return nil
}

// locked reports whether a lock forbids the deletion of a snapshot. Only an expired one does not.
func (r *region) locked(snapshotID string) bool {
	lock := r.find(lockedSnapshotsFile, "SnapshotId", snapshotID)
	return lock != nil && text(lock, "LockState") != "expired"
}

// discardSnapshot removes a snapshot, to the Recycle Bin if a rule retains it, and its lock, which
// has expired.
func (c *call) discardSnapshot(id string) {
	c.discard(binnedSnapshot, id)
	c.region.remove(lockedSnapshotsFile, "SnapshotId", id)
}
