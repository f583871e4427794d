package usage

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// S3TextSource is the source that reads objects of S3: states of Terraform, OpenTofu and Pulumi,
// and other text.
const S3TextSource = "s3-text"

// Limits of the source. What is beyond is not read, and that is a gap. The largest states that
// people speak of have 100 MB.
const (
	mostInObject    = 256 << 20 // Bytes of text in one object.
	mostText        = 1 << 30   // Bytes of text in all objects.
	mostObjects     = 10_000
	mostMentions    = 200_000 // Pairs of an object and an id in it, all in memory.
	objectsAtOnce   = 4
	folderSeparator = "/"
)

// TextObjects are the objects of a bucket whose keys begin with a prefix, or match a glob.
type TextObjects struct {
	location       string
	bucket, prefix string
	glob           *regexp.Regexp // Nil for all of the prefix.
}

// bucketName is S3's rule for the names of buckets (S3 User Guide, "General purpose bucket naming
// rules").
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ParseTextObjects reads s3://BUCKET/PREFIX. With * or ? in it, PREFIX is a glob for whole keys, in
// which they stand for slashes, too.
func ParseTextObjects(location string) (TextObjects, error) {
	rest, isURL := strings.CutPrefix(location, "s3://")
	bucket, key, hasKey := strings.Cut(rest, folderSeparator)
	isControl := func(r rune) bool { return r < ' ' || r == '\x7f' }
	switch {
	case !isURL || strings.ContainsFunc(key, isControl):
		return TextObjects{}, fmt.Errorf("%q is no s3:// URL such as s3://bucket/prefix/", location)
	case !bucketName.MatchString(bucket):
		return TextObjects{}, fmt.Errorf("%q: %q is not the name of a bucket", location, bucket)
	case !hasKey:
		return TextObjects{}, fmt.Errorf("%q: %s/ is the whole bucket", location, location)
	}
	objects := TextObjects{location: location, bucket: bucket, prefix: key}
	if wildcard := strings.IndexAny(key, "*?"); wildcard >= 0 {
		pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(key))
		objects.prefix, objects.glob = key[:wildcard], regexp.MustCompile("(?s)^"+pattern+"$")
	}
	return objects, nil
}

func (o TextObjects) String() string { return o.location }

// has reports whether an object of a listing is one of these. Consoles make folders, which are
// empty objects.
func (o TextObjects) has(listed wire.Object) bool {
	isFolder := strings.HasSuffix(listed.Key, folderSeparator) && listed.Size == 0
	return !isFolder && (o.glob == nil || o.glob.MatchString(listed.Key))
}

// Texts are the ids in objects of S3: those of images, and those of snapshots if they are wanted.
// They are read once, however many lookups share them, because any object may name the images of
// every region.
type Texts struct {
	read   func() ([]string, error)
	naming map[string][]string // The objects, by the ids that they name.
}

// NewTexts returns the texts of some objects. They are read when a lookup needs them. Without
// snapshots, the ids of these are not kept.
func NewTexts(ctx context.Context, config aws.Config, wanted []TextObjects, snapshots bool) *Texts {
	t := &Texts{naming: map[string][]string{}}
	t.read = once(func() ([]string, error) {
		objects, unread, err := ReadTexts(ctx, config, wanted)
		mentions := 0
		for _, object := range objects {
			if object.Gap != "" {
				unread = append(unread, "s3://"+object.Name+" "+object.Gap)
			}
			ids := object.IDs
			if snapshots {
				ids = slices.Concat(ids, object.snapshots)
			}
			for _, id := range ids {
				if mentions++; mentions <= mostMentions {
					t.naming[id] = append(t.naming[id], object.Name)
				}
			}
		}
		if mentions > mostMentions {
			unread = append(unread, fmt.Sprintf("the objects name images more than %d times", mostMentions))
		}
		return unread, err
	})
	return t
}

// objectTexts looks for the ids of images in objects of S3.
func objectTexts(_ context.Context, s *search) error {
	unread, err := s.Texts.read()
	wanted := slices.Clone(s.allIDs)
	for _, image := range s.Images { // The original may be in a region that is not looked at.
		wanted = append(wanted, image.SourceImageID)
	}
	slices.Sort(wanted)
	by := func(object string) ami.Reference {
		return ami.Reference{Source: S3TextSource, Type: "s3:Object", ARN: "arn:" + s.partition() + ":s3:::" + object}
	}
	for _, id := range slices.Compact(wanted) {
		for _, object := range s.Texts.naming[id] {
			s.use(by(object), &id)
		}
	}
	for id := range s.imagesBySnapshot {
		for _, object := range s.Texts.naming[id] {
			s.useSnapshot(by(object), &id)
		}
	}
	return cmp.Or(err, firstOf(slices.Clone(unread), "nor can %d more"))
}

// TextObject is an object of S3, and what its text says of images. The text itself is not passed
// on: a state holds secrets.
type TextObject struct {
	Name string   // Its bucket and its key, with a slash between them.
	IDs  []string // Sorted, each once.
	Gap  string   // Why it was not read as a whole, in words; never its content.

	snapshots []string // The ids of snapshots; sorted, each once.

	bucket *wire.Bucket
	key    string
}

// ReadTexts reads the text of objects, and returns them in the order of their names. Besides it
// returns, in sentences, which objects are not known, and the error that kept it from reading on.
func ReadTexts(ctx context.Context, config aws.Config, wanted []TextObjects) (objects []TextObject, unread []string, err error) {
	objects, unread, err = listTexts(ctx, config, wanted)
	failed, indexes := make([]error, len(objects)), make([]int, len(objects))
	for i := range objects {
		indexes[i] = i
	}
	var total atomic.Int64
	ask := func(ctx context.Context, i int) (TextObject, error) { return readText(ctx, objects[i], &total) }
	each(ctx, objectsAtOnce, slices.Values(indexes), ask, func(i int, found TextObject, err error) {
		if found.Name != "" { // It was asked for.
			objects[i] = found
		}
		if err != nil && wire.Answered(err) {
			objects[i].Gap = "cannot be read: " + wire.ExplainLookup(err)
		} else {
			failed[i] = err
		}
	})
	return objects, unread, cmp.Or(err, cmp.Or(failed...))
}

// listTexts lists the objects to read, each once, in the order of their names.
func listTexts(ctx context.Context, config aws.Config, wanted []TextObjects) (objects []TextObject, unread []string, err error) {
	if len(wanted) == 0 {
		return nil, nil, errors.New("there are no objects to read")
	}
	buckets, found := map[string]*wire.Bucket{}, map[string]TextObject{}
	for _, some := range wanted {
		if buckets[some.bucket] == nil {
			buckets[some.bucket] = wire.OpenBucket(config, some.bucket)
		}
		bucket := buckets[some.bucket]
		listed, listErr := bucket.List(ctx, some.prefix)
		n := 0
		for _, object := range listed {
			if some.has(object) {
				n++
				name := some.bucket + folderSeparator + object.Key
				found[name] = TextObject{Name: name, bucket: bucket, key: object.Key}
			}
		}
		switch {
		case listErr != nil && wire.Answered(listErr):
			unread = append(unread, some.location+" cannot be listed: "+wire.ExplainLookup(listErr))
		case listErr != nil:
			err = cmp.Or(err, listErr)
		case n == 0:
			unread = append(unread, some.location+" has no object")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		objects = append(objects, found[name])
	}
	if len(objects) > mostObjects {
		unread = append(unread, fmt.Sprintf("%d objects were not read: there are more than %d", len(objects)-mostObjects, mostObjects))
		objects = objects[:mostObjects]
	}
	return objects, unread, err
}

// readText reads an object. After an error it returns what it has found.
func readText(ctx context.Context, object TextObject, total *atomic.Int64) (TextObject, error) {
	_, err := object.bucket.Read(ctx, object.key, func(content io.Reader) error {
		images, snapshots := map[string]bool{}, map[string]bool{}
		problem := findInText(content, total, func(id string, _ int) {
			if strings.HasPrefix(id, "snap-") {
				snapshots[id] = true
			} else {
				images[id] = true
			}
		})
		object.IDs, object.snapshots, object.Gap = slices.Sorted(maps.Keys(images)), slices.Sorted(maps.Keys(snapshots)), ""
		if problem != nil {
			object.Gap = problem.Error()
		}
		return nil
	})
	return object, err
}

// How compressed files begin (RFC 1952; PKWARE's APPNOTE.TXT).
const (
	gzipMagic = "\x1f\x8b"
	zipMagic  = "PK\x03\x04"
)

// findInText passes on the ids in a text, which may be compressed by gzip. An error says that the
// text was not read as a whole.
func findInText(content io.Reader, total *atomic.Int64, found func(id string, line int)) error {
	beginning := make([]byte, len(zipMagic))
	n, err := io.ReadFull(content, beginning)
	content = io.MultiReader(bytes.NewReader(beginning[:n]), content)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("is empty")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case string(beginning) == zipMagic:
		return errors.New("is a zip archive")
	case strings.HasPrefix(string(beginning), gzipMagic):
		unzipped, err := gzip.NewReader(content)
		if err != nil {
			return errors.New("begins as gzip, and is not")
		}
		content = unzipped
	}
	check := &textCheck{total: total}
	err = ami.FindAllIDs(io.TeeReader(content, check), found)
	switch {
	case check.problem == nil && err != nil:
		return errors.New("is not whole: " + err.Error())
	case check.problem == nil && check.size == 0:
		return errors.New("is empty")
	case check.problem == nil && check.isCut():
		return errors.New("begins as JSON, and does not end so")
	}
	return check.problem
}

// ciphers are what encrypted text has in it: what Ansible Vault, SOPS, PGP and age write.
var ciphers = []string{"$ANSIBLE_VAULT;", "ENC[AES256_GCM,", "-----BEGIN PGP MESSAGE", "-----BEGIN AGE ENCRYPTED", "age-encryption.org/v1\n"}

// encryptedState is the key under which OpenTofu has an encrypted state. Within a string of JSON,
// the second quotation mark would have a backslash.
const encryptedState = `"encrypted_data"`

// longestCipher is how long what isEncrypted looks for can be.
const longestCipher = 32

func isEncrypted(text []byte) bool {
	if slices.ContainsFunc(ciphers, func(mark string) bool { return bytes.Contains(text, []byte(mark)) }) {
		return true
	}
	for _, after, ok := bytes.Cut(text, []byte(encryptedState)); ok; _, after, ok = bytes.Cut(after, []byte(encryptedState)) {
		if bytes.HasPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte(":")) {
			return true
		}
	}
	return false
}

// textCheck looks at a text as it is read, and ends the reading with an error if it is no text, if
// it is encrypted, or if there is too much of it.
type textCheck struct {
	total   *atomic.Int64 // Of all objects.
	size    int64
	first   byte // The first character that is no blank, and the last.
	last    byte
	window  []byte // What is written, behind the end of what was written before.
	problem error
}

func (c *textCheck) Write(some []byte) (int, error) {
	c.size += int64(len(some))
	if text := bytes.TrimSpace(some); len(text) > 0 {
		if c.first == 0 {
			c.first = text[0]
		}
		c.last = text[len(text)-1]
	}
	c.window = append(c.window[:copy(c.window, c.window[max(0, len(c.window)-longestCipher):])], some...)
	switch {
	case c.size > mostInObject:
		c.problem = fmt.Errorf("has more than %d MiB of text", mostInObject>>20)
	case c.total.Add(int64(len(some))) > mostText:
		c.problem = fmt.Errorf("was not read to its end: all objects have more than %d MiB of text", mostText>>20)
	case isBinary(some):
		c.problem = errors.New("is not text")
	case isEncrypted(c.window):
		c.problem = errors.New("is encrypted")
	}
	if c.problem != nil {
		return 0, c.problem
	}
	return len(some), nil
}

// isCut reports whether a text begins like the JSON of a state, and ends before it does.
func (c *textCheck) isCut() bool {
	return c.first == '{' && c.last != '}' // A bracket also begins a section of an INI file.
}

// isBinary reports whether some text has a control character that text does not have. Compressed
// data, and UTF-16, have some soon.
func isBinary(text []byte) bool {
	for _, c := range text {
		if c < ' ' && ordinaryControls&(1<<c) == 0 {
			return true
		}
	}
	return false
}

// ordinaryControls are the control characters of text, and of what terminals print, a bit each.
const ordinaryControls = 1<<'\t' | 1<<'\n' | 1<<'\v' | 1<<'\f' | 1<<'\r' | 1<<'\b' | 1<<'\x1b'
