package emulator

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // S3 takes MD5 digests as checksums.
	"crypto/sha1" //nolint:gosec // S3 takes SHA-1 digests as checksums.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// upload is what a request to S3 has brought.
type upload struct {
	content  []byte
	checksum checksum
}

// checksum is a checksum of an object. S3 works one out if an upload brings none.
type checksum struct {
	name  string // As in the header's name, in lower case: "crc32".
	value string // Base64.
}

const (
	checksumPrefix  = "X-Amz-Checksum-"
	defaultChecksum = "crc64nvme"
)

// hashes are the algorithms of checksums, by their names in headers (S3 User Guide, "Checking
// object integrity").
var hashes = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"md5":       md5.New,
	"sha1":      sha1.New,
	"sha256":    sha256.New,
	"sha512":    sha512.New,
}

func digest(algorithm func() hash.Hash, content []byte) []byte {
	h := algorithm()
	_, _ = h.Write(content) // A hash takes everything.
	return h.Sum(nil)
}

// tell adds the checksum to an answer.
func (c checksum) tell(header http.Header) {
	header.Set(checksumPrefix+c.name, c.value)
	header.Set(checksumPrefix+"Type", "FULL_OBJECT")
}

func incompleteBody() error {
	return refuse("IncompleteBody", "The request body terminated unexpectedly")
}

// maxObject is the largest object that the emulator takes, in bytes. S3 takes 5 GiB at once.
const maxObject = 256 << 20

// receive reads the body of an upload.
func receive(r *http.Request) (upload, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	encoded := strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-")
	if r.ContentLength < 0 && !encoded {
		return upload{}, &Error{http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxObject+1))
	switch {
	case err != nil:
		return upload{}, incompleteBody()
	case len(body) > maxObject:
		return upload{}, refuse("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	case r.ContentLength > 0 && int64(len(body)) != r.ContentLength:
		return upload{}, incompleteBody()
	}
	u := upload{content: body}
	trailer := http.Header{}
	if encoded {
		if u.content, trailer, err = decodeChunks(body, r.Header); err != nil {
			return upload{}, err
		}
	}
	u.checksum, err = verify(u.content, r.Header, trailer)
	return u, err
}

// decodeChunks reads a body that is encoded as "aws-chunked": chunks with their sizes, and perhaps
// a trailer (S3 API Reference, "Signature calculations for the authorization header: transferring
// payload in multiple chunks"). Signatures of chunks are not checked.
func decodeChunks(body []byte, header http.Header) ([]byte, http.Header, error) {
	var content []byte
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		number, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseUint(number, 16, 63)
		if !ok || err != nil {
			return nil, nil, incompleteBody()
		}
		if size == 0 {
			body = rest
			break
		}
		if size > uint64(len(rest)) || !bytes.HasPrefix(rest[size:], []byte("\r\n")) {
			return nil, nil, incompleteBody()
		}
		content = append(content, rest[:size]...)
		body = rest[size+2:]
	}
	if header.Get("X-Amz-Decoded-Content-Length") != strconv.Itoa(len(content)) {
		return nil, nil, incompleteBody()
	}
	trailer, err := readTrailer(body, header.Get("X-Amz-Trailer"))
	return content, trailer, err
}

// readTrailer reads what follows the last chunk. What was announced has to be there.
func readTrailer(body []byte, announced string) (http.Header, error) {
	trailer := http.Header{}
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			trailer.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	for name := range strings.FieldsFuncSeq(announced, func(r rune) bool { return r == ',' || r == ' ' }) {
		if trailer.Get(name) == "" {
			return nil, refuse("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
	}
	return trailer, nil
}

// verify checks a body against the checksums that came with it, before it and after it.
func verify(content []byte, header, trailer http.Header) (checksum, error) {
	if sent := header.Get("Content-Md5"); sent != "" {
		sum, err := base64.StdEncoding.DecodeString(sent)
		switch {
		case err != nil || len(sum) != md5.Size:
			return checksum{}, refuse("InvalidDigest", "The Content-MD5 you specified was invalid.")
		case !bytes.Equal(sum, digest(md5.New, content)):
			return checksum{}, refuse("BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	signed := header.Get("X-Amz-Content-Sha256")
	if len(signed) == hex.EncodedLen(sha256.Size) && signed != hex.EncodeToString(digest(sha256.New, content)) {
		return checksum{}, refuse("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return sentChecksum(content, header, trailer)
}

// sentChecksum returns the checksum that was sent with a body, or S3's own if none was.
func sentChecksum(content []byte, header, trailer http.Header) (checksum, error) {
	var sent []checksum
	for _, h := range []http.Header{header, trailer} {
		for name := range h {
			if algorithm, ok := strings.CutPrefix(name, checksumPrefix); ok && algorithm != "Mode" {
				sent = append(sent, checksum{strings.ToLower(algorithm), h.Get(name)})
			}
		}
	}
	if len(sent) == 0 {
		return checksum{defaultChecksum, base64.StdEncoding.EncodeToString(digest(hashes[defaultChecksum], content))}, nil
	}
	if len(sent) > 1 {
		return checksum{}, refuse("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	algorithm := hashes[sent[0].name]
	if algorithm == nil {
		return checksum{}, notImplemented(checksumPrefix + sent[0].name)
	}
	sum, err := base64.StdEncoding.DecodeString(sent[0].value)
	switch {
	case err != nil || len(sum) != algorithm().Size():
		return checksum{}, refuse("InvalidRequest", "Value for x-amz-checksum-%s header is invalid.", sent[0].name)
	case !bytes.Equal(sum, digest(algorithm, content)):
		return checksum{}, refuse("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(sent[0].name))
	}
	return sent[0], nil
}
