package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/usage"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// objectsFolder is the folder of the copy for objects of S3, as files BUCKET/KEY.
const objectsFolder = "s3"

// List is an object of S3 that holds a keep list; with a key that is empty or ends in a slash, all
// that are below it.
type List struct{ Bucket, Key string }

// readObjects copies keep lists as they are, and of other text the image ids alone: it is
// somebody's state, with secrets in it. An object that a run cannot read as a whole is empty in the
// copy, which a rehearsal cannot read either.
func (e *Export) readObjects(ctx context.Context, d *directory, summary *Summary) {
	listed := map[string]bool{}
	for _, list := range e.Lists {
		if err := e.readLists(ctx, d, list, listed); err != nil {
			e.noteObject(summary, "s3://"+list.Bucket+"/"+list.Key, err)
		}
	}
	if len(e.TextObjects) == 0 {
		return
	}
	began := e.Clock()
	texts, unread, err := usage.ReadTexts(ctx, e.AWS, e.TextObjects)
	summary.Refused = append(summary.Refused, unread...)
	if err != nil {
		summary.Failed = append(summary.Failed, wire.ExplainLookup(err))
		return
	}
	for _, text := range texts {
		if listed[text.Name] {
			continue
		}
		content := "# The image ids in s3://" + text.Name + ".\n" + strings.Join(text.IDs, "\n") + "\n"
		if text.Gap != "" {
			summary.Refused = append(summary.Refused, "s3://"+text.Name+" "+text.Gap)
			content = ""
		}
		if err := d.putObject(text.Name, []byte(content), time.Time{}, Part{Start: d.start(), Began: began, Ended: e.Clock()}); err != nil {
			summary.Failed = append(summary.Failed, err.Error())
		}
	}
}

// readLists copies the keep list at a key, or those below a prefix. If one of several cannot be
// read, there is none in the copy.
func (e *Export) readLists(ctx context.Context, d *directory, list List, done map[string]bool) error {
	bucket := wire.OpenBucket(e.AWS, list.Bucket)
	keys := []string{list.Key}
	if list.Key == "" || strings.HasSuffix(list.Key, "/") {
		objects, err := bucket.List(ctx, list.Key)
		if err != nil {
			return err
		}
		keys = nil
		for _, object := range objects {
			if !strings.HasSuffix(object.Key, "/") || object.Size > 0 {
				keys = append(keys, object.Key)
			}
		}
	}
	began := e.Clock()
	texts, modified := make([]bytes.Buffer, len(keys)), make([]time.Time, len(keys))
	for i, key := range keys {
		var err error
		modified[i], err = bucket.Read(ctx, key, func(content io.Reader) error {
			texts[i].Reset()
			_, err := texts[i].ReadFrom(content)
			return err
		})
		if err != nil {
			return err
		}
	}
	for i, key := range keys {
		name := list.Bucket + "/" + key
		done[name] = true
		if err := d.putObject(name, texts[i].Bytes(), modified[i], Part{Start: d.start(), Began: began, Ended: e.Clock()}); err != nil {
			return err
		}
	}
	return nil
}

// noteObject notes that a keep list is not in the copy: a rehearsal with it fails, as a run does if
// AWS refuses to show the list.
func (e *Export) noteObject(summary *Summary, at string, err error) {
	if wire.Answered(err) {
		summary.Refused = append(summary.Refused, at+" cannot be read: "+wire.ExplainLookup(err))
	} else {
		summary.Failed = append(summary.Failed, at+" cannot be read: "+wire.ExplainLookup(err))
	}
}

// putObject adds a file for an object. It is as old as the object, if that is known.
func (d *directory) putObject(object string, content []byte, modified time.Time, read Part) error {
	name := path.Join(objectsFolder, object)
	if name != objectsFolder+"/"+object || !filepath.IsLocal(object) {
		return fmt.Errorf("s3://%s: its key is no name of a file", object)
	}
	if err := d.putText(name, content, read); err != nil || modified.IsZero() {
		return err
	}
	return d.root.Chtimes(filepath.FromSlash(name), modified, modified)
}
