package bundle

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
)

// Limits of a manifest. EC2 takes root devices of up to 10 GiB for instance-store images (EC2 User
// Guide), and ec2-bundle-image cuts them into parts of 10 MB.
const (
	mostBytes = 1 << 20
	mostParts = 2000
	mostDepth = 8
)

// location is the form of a manifest's bucket and key. Keys with other letters are possible, and
// nobody knows how RegisterImage has read them.
var location = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=@,-]+)+$`)

// parse splits the location of a manifest into the bucket, the key, and the key without its ending,
// with which those of the parts begin.
func parse(of string) (bucket, key, prefix string, err error) {
	bucket, key, _ = strings.Cut(of, "/")
	prefix, isManifest := strings.CutSuffix(key, ami.ManifestSuffix)
	switch {
	case !isManifest || path.Base(prefix) == "." || strings.HasSuffix(prefix, "/") || prefix == "":
		return "", "", "", errors.New("its location does not end in a name and " + ami.ManifestSuffix)
	case !location.MatchString(of) || path.Clean(of) != of:
		return "", "", "", errors.New("its location is not that of a plain key in a bucket")
	}
	return bucket, key, prefix, nil
}

// partNumber is what follows the prefix in the name of a part, in the manifests of ec2-bundle-image
// and ec2-bundle-vol, and of BundleInstance.
var partNumber = regexp.MustCompile(`^\.part\.([0-9]{1,6})$`)

// where the names of the parts are in a manifest (ec2-ami-tools, manifest version 2007-10-10; the
// older versions have them there, too).
const (
	partsPath = "/manifest/image/parts"
	partPath  = partsPath + "/part"
	namePath  = partPath + "/filename"
)

// partsOf reads the names of the parts from a manifest, which anybody may have written: they are
// exactly the prefix with the numbers from 0, each once. An error says what else is there.
func partsOf(manifest []byte, prefix string) ([]string, error) {
	if len(manifest) > mostBytes {
		return nil, fmt.Errorf("the manifest has more than %d bytes", mostBytes)
	}
	r := reader{decoder: xml.NewDecoder(bytes.NewReader(manifest)), seen: map[string]int{}}
	r.decoder.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, errors.New("it is in " + strconv.Quote(charset))
	}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	names, taken := slices.Clone(r.names), make([]bool, len(r.names))
	for _, name := range names {
		rest, begins := strings.CutPrefix(name, prefix)
		number := partNumber.FindStringSubmatch(rest)
		if !begins || number == nil {
			return nil, fmt.Errorf("the manifest names %q, which is no part of %q", clip(name), prefix)
		}
		n, err := strconv.Atoi(number[1])
		if err != nil || n >= len(taken) || taken[n] {
			return nil, fmt.Errorf("the manifest does not name the parts from 0, each once: %q", clip(name))
		}
		taken[n] = true
	}
	if len(names) == 0 || len(names) != r.seen[partPath] {
		return nil, errors.New("the manifest names no parts, or has a part without a name")
	}
	if r.count != strconv.Itoa(len(names)) {
		return nil, fmt.Errorf("the manifest has %d parts, and says that there are %q", len(names), clip(r.count))
	}
	return names, nil
}

func clip(text string) string { return text[:min(len(text), 80)] }

// reader reads a manifest token by token. It takes no entities: the document type, which would
// define them, is refused.
type reader struct {
	decoder *xml.Decoder
	path    []string
	seen    map[string]int // How often the elements above the names are there, by path.
	names   []string
	count   string // What the manifest says that their number is.
	text    strings.Builder
}

func (r *reader) read() error {
	for {
		token, err := r.decoder.Token()
		if errors.Is(err, io.EOF) {
			if r.seen["/manifest"] != 1 || r.seen[partsPath] != 1 {
				return errors.New("it has no parts, or several lists of them")
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			err = r.start(token)
		case xml.EndElement:
			r.end()
		case xml.CharData:
			err = r.chars(token)
		case xml.Comment, xml.Directive:
			err = errors.New("it has a document type or a comment")
		case xml.ProcInst:
			if token.Target != "xml" || len(r.seen) > 0 {
				err = errors.New("it has a processing instruction")
			}
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) at() string { return "/" + strings.Join(r.path, "/") }

func (r *reader) start(element xml.StartElement) error {
	parent := r.at()
	r.path = append(r.path, element.Name.Local)
	at := r.at()
	r.seen[at]++
	switch {
	case element.Name.Space != "":
		return errors.New("it has a namespace")
	case len(r.path) > mostDepth:
		return errors.New("it is too deep")
	case !isExpected(parent, at):
		return fmt.Errorf("%q is not expected there", clip(at))
	case at == partPath && r.seen[at] > mostParts:
		return fmt.Errorf("it has more than %d parts", mostParts)
	case at == namePath && len(r.names) >= r.seen[partPath]:
		return errors.New("a part has several names")
	}
	for _, attribute := range element.Attr {
		if at == partsPath && attribute.Name.Local == "count" {
			r.count = attribute.Value
		}
	}
	r.text.Reset()
	return nil
}

// isExpected reports whether an element may be below another one: the list of the parts has
// nothing else in it.
func isExpected(parent, at string) bool {
	switch parent {
	case "/":
		return at == "/manifest"
	case partsPath:
		return at == partPath
	case partPath:
		return at == namePath || at == partPath+"/digest"
	case namePath:
		return false
	default:
		return true
	}
}

func (r *reader) end() {
	if r.at() == namePath {
		r.names = append(r.names, r.text.String())
	}
	r.path = r.path[:len(r.path)-1]
}

func (r *reader) chars(text xml.CharData) error {
	switch at := r.at(); {
	case at == namePath:
		r.text.Write(text)
	case (at == partsPath || at == partPath || at == "/") && len(bytes.TrimSpace(text)) > 0:
		return errors.New("it has text between the parts")
	}
	return nil
}
