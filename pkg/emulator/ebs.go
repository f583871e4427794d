package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"
)

// ebsService is the name of the EBS direct APIs in a signature's scope.
const ebsService = "ebs"

// ebsActions are the emulated actions of the EBS direct APIs: those that write a snapshot. The
// blocks themselves are not kept, as nobody here reads them.
var ebsActions = map[string]action{
	"CompleteSnapshot": {completeSnapshot, []string{"ChangedBlocksCount", "SnapshotId"}},
	"PutSnapshotBlock": {putSnapshotBlock, []string{
		"BlockDigest", "BlockIndex", "BlockLength", "Checksum", "ChecksumAlgorithm", "DataLength", "Progress", "SnapshotId",
	}},
	"StartSnapshot": {startSnapshot, []string{"ClientToken", "Description", "Tags", "Timeout", "VolumeSize"}},
}

// ebsRoutes say where its actions are found.
var ebsRoutes = []route{
	{http.MethodPost, "/snapshots", "StartSnapshot", http.StatusCreated},
	{http.MethodPost, "/snapshots/completion/{SnapshotId}", "CompleteSnapshot", http.StatusAccepted},
	{http.MethodPut, "/snapshots/{SnapshotId}/blocks/{BlockIndex}", "PutSnapshotBlock", http.StatusCreated},
}

// ebsHeaders are the members that stand in the header of a request or an answer (AWS's service
// model of the EBS direct APIs, 2019-11-02).
var ebsHeaders = map[string]string{
	"ChangedBlocksCount":        "X-Amz-ChangedBlocksCount",
	"Checksum":                  "X-Amz-Checksum",
	"ChecksumAggregationMethod": "X-Amz-Checksum-Aggregation-Method",
	"ChecksumAlgorithm":         "X-Amz-Checksum-Algorithm",
	"DataLength":                "X-Amz-Data-Length",
	"Progress":                  "X-Amz-Progress",
}

// ebsReasons are the reasons that stand beside the error codes of the EBS direct APIs. Which one
// AWS gives for which fault is not documented.
var ebsReasons = map[string]any{
	"AccessDeniedException":     "UNAUTHORIZED_ACCOUNT",
	"ResourceNotFoundException": "SNAPSHOT_NOT_FOUND",
	"ValidationException":       "INVALID_PARAMETER_VALUE",
}

// Limits of the EBS direct APIs (EBS direct APIs Reference, StartSnapshot and PutSnapshotBlock;
// Amazon EBS User Guide, "Ensure idempotency in StartSnapshot API requests").
const (
	blockSize      = 512 << 10 // In bytes.
	blocksInGiB    = 1 << 30 / blockSize
	maxVolumeSize  = 64 << 10 // In GiB.
	maxDescription = 255
	maxClientToken = 64
	leastTimeout   = 10 // In minutes, as the others.
	mostTimeout    = 4320
	usualTimeout   = 60
)

// checksumAlgorithm is the only one of the EBS direct APIs.
const checksumAlgorithm = "SHA256"

// start is an answer of StartSnapshot, and what it answered to.
type start struct {
	parameters string
	answer     object
}

// writing is a snapshot that is pending.
type writing struct {
	blocks  map[int]bool // By index.
	timeout time.Duration
	until   time.Time // When the snapshot leaves this state.
	next    string    // The state that it has from then on.
}

// readEBS adds the parameters in a request's header and body to a form. Of a block it adds the
// length in bytes and the digest: SHA256, in Base64.
func readEBS(r *http.Request, action string, body []byte, form url.Values) error {
	for name, header := range ebsHeaders {
		if values := r.Header.Values(header); len(values) > 0 {
			form.Set(name, values[0])
		}
	}
	if action != "PutSnapshotBlock" {
		return readJSON(cmp.Or(string(body), "{}"), form)
	}
	form.Set("BlockLength", strconv.Itoa(len(body)))
	form.Set("BlockDigest", base64.StdEncoding.EncodeToString(digest(sha256.New, body)))
	return nil
}

// tellInHeader moves the members of an answer that stand in its header there.
func tellInHeader(answer object, header http.Header) {
	for name, key := range ebsHeaders {
		if value, ok := scalar(answer[name]); ok {
			header.Set(key, value)
			delete(answer, name)
		}
	}
}

// startSnapshot begins a snapshot. To a token that was used before it gives the answer of then, and
// begins nothing.
func startSnapshot(c *call) (object, error) {
	token, parameters := c.text("ClientToken"), c.Form.Encode()
	if before, ok := c.region.starts[token]; ok {
		if before.parameters != parameters {
			return nil, &Error{http.StatusConflict, "ConflictException", "The client token was used with other parameters before"}
		}
		return before.answer, nil
	}
	timeout, err := c.checkStart()
	if err != nil {
		return nil, err
	}
	tags, err := c.snapshotTags()
	if err != nil {
		return nil, err
	}
	now := c.account.now().UTC()
	id := c.newID(binnedSnapshot)
	common := object{
		"OwnerId": c.account.id, "SnapshotId": id, "StartTime": now.Format(timestampLayout),
		"VolumeSize": json.Number(c.text("VolumeSize")),
	}
	snapshot := with(common, object{
		"State": "pending", "Progress": "0%", "Description": c.text("Description"), "VolumeId": "vol-ffffffff",
		"Encrypted": false, "StorageTier": "standard",
	})
	c.create(binnedSnapshot, snapshot, tags)
	c.region.written[id] = &writing{blocks: map[int]bool{}, timeout: timeout, until: now.Add(timeout), next: "error"}
	answer := with(common, object{"Status": "pending", "BlockSize": json.Number(strconv.Itoa(blockSize)), "SseType": "none"})
	if c.Form.Has("Description") {
		answer["Description"] = c.text("Description")
	}
	if len(tags) > 0 {
		answer["Tags"] = anys(tags)
	}
	if token != "" {
		c.region.starts[token] = start{parameters, answer}
	}
	return answer, nil
}

// checkStart checks all but the tags of a snapshot that the request begins, and returns its
// timeout.
func (c *call) checkStart() (time.Duration, error) {
	size, err := strconv.Atoi(c.text("VolumeSize"))
	minutes, badTimeout := strconv.Atoi(cmp.Or(c.text("Timeout"), strconv.Itoa(usualTimeout)))
	switch {
	case c.account.regions[c.Region] == nil:
		return 0, c.invalid("The account has nothing in %s", c.Region)
	case err != nil || size < 1 || size > maxVolumeSize:
		return 0, c.invalid("The volume size must be between 1 and %d GiB", maxVolumeSize)
	case badTimeout != nil || minutes < leastTimeout || minutes > mostTimeout:
		return 0, c.invalid("The timeout must be between %d and %d minutes", leastTimeout, mostTimeout)
	case utf8.RuneCountInString(c.text("Description")) > maxDescription:
		return 0, c.invalid("The description exceeds %d characters", maxDescription)
	case len(c.text("ClientToken")) > maxClientToken:
		return 0, c.invalid("The client token exceeds %d characters", maxClientToken)
	}
	return time.Duration(minutes) * time.Minute, nil
}

// snapshotTags are the tags that the request gives a snapshot.
func (c *call) snapshotTags() ([]object, error) {
	var tags []object
	for _, m := range members(c.Form, "Tags") {
		if err := checkTag(m.Get("Key"), m.Get("Value")); err != nil {
			return nil, c.invalid("%s", asError(err).Message)
		}
		tags = append(tags, object{"Key": m.Get("Key"), "Value": m.Get("Value")})
	}
	if len(tags) > maxTags {
		return nil, c.invalid("At most %d tags can be given, not %d", maxTags, len(tags))
	}
	return tags, nil
}

// writing finds the request's snapshot, which has to be one of the account's own that blocks can
// be written to.
func (c *call) writing() (*writing, object, error) {
	id := c.text("SnapshotId")
	snapshot := c.region.find(snapshotsFile, "SnapshotId", id)
	w := c.region.written[id]
	switch {
	case !isID(id, "snap-"):
		return nil, nil, c.invalid("The snapshot id '%s' is invalid", id)
	case snapshot == nil || c.foreign(snapshot):
		return nil, nil, &Error{http.StatusNotFound, "ResourceNotFoundException", fmt.Sprintf("The snapshot '%s' does not exist.", id)}
	case w == nil || w.next == "completed":
		return nil, nil, c.invalid("The snapshot '%s' is not pending", id)
	}
	return w, snapshot, nil
}

// putSnapshotBlock takes a block of a snapshot.
func putSnapshotBlock(c *call) (object, error) {
	w, snapshot, err := c.writing()
	if err != nil {
		return nil, err
	}
	size, _ := strconv.Atoi(text(snapshot, "VolumeSize")) // It was checked when the snapshot began.
	index, err := strconv.Atoi(c.text("BlockIndex"))
	length := strconv.Itoa(blockSize)
	switch {
	case err != nil || index < 0 || index >= size*blocksInGiB:
		return nil, c.invalid("The block index '%s' is not in a volume of %d GiB", c.text("BlockIndex"), size)
	case c.text("DataLength") != length || c.text("BlockLength") != length:
		return nil, c.invalid("A block has %s bytes", length)
	case c.text("ChecksumAlgorithm") != checksumAlgorithm:
		return nil, c.invalid("The checksum algorithm must be %s", checksumAlgorithm)
	case c.text("Checksum") != c.text("BlockDigest"):
		return nil, c.invalid("The checksum is not that of the block")
	}
	w.blocks[index] = true
	w.until = c.account.now().Add(w.timeout)
	return object{"Checksum": c.text("BlockDigest"), "ChecksumAlgorithm": checksumAlgorithm}, nil
}

// completeSnapshot completes a snapshot, which stays pending for a while. What comes of one whose
// blocks were counted wrongly is not documented: in reports of others it is in error in the end.
func completeSnapshot(c *call) (object, error) {
	w, _, err := c.writing()
	if err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(c.text("ChangedBlocksCount"))
	if err != nil || count < 0 {
		return nil, c.invalid("The count of changed blocks must be a number")
	}
	w.until, w.next = c.account.now().Add(c.account.delays.completion), "completed"
	if count != len(w.blocks) {
		w.next = "error"
	}
	return object{"Status": "pending"}, nil
}

// settleWritten gives the snapshots that are no longer pending their state.
func (a *Account) settleWritten(r *region) {
	for id, w := range r.written {
		if a.now().Before(w.until) {
			continue
		}
		delete(r.written, id)
		for _, snapshot := range r.entries(snapshotsFile, "SnapshotId", id) {
			snapshot["State"] = w.next
			if w.next == "completed" {
				snapshot["Progress"] = "100%"
				snapshot["CompletionTime"] = w.until.UTC().Format(timestampLayout)
				snapshot["FullSnapshotSizeInBytes"] = json.Number(strconv.Itoa(len(w.blocks) * blockSize))
			}
		}
	}
}
