package janitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/retention"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// maxList is the most that a keep list in S3 may have, in bytes. Thousands of entries need less.
const maxList = 8 << 20

// listsAtOnce is how many objects with keep lists are read at a time.
const listsAtOnce = 8

// listText is the text of a keep list, as it was found.
type listText struct {
	at       string // Where, for people.
	text     string
	modified time.Time // Zero if nobody says when it was changed.
	isPart   bool      // It is one of several under a prefix, and may name nothing if it says so.
}

// readKeepList reads what the configuration names as the keep list: all of it, or it is an error.
func (j *Janitor) readKeepList(ctx context.Context) (retention.KeepList, error) {
	var whole retention.KeepList
	for _, location := range j.Config.KeepLists {
		texts, err := j.readTexts(ctx, location)
		if err != nil {
			return retention.KeepList{}, fmt.Errorf("the keep list, %s, cannot be read: %s", location, wire.ExplainLookup(err))
		}
		var list retention.KeepList
		for _, text := range texts {
			if err := j.checkAge(text); err != nil {
				return retention.KeepList{}, err
			}
			some, err := retention.ParseKeepList(text.text)
			isEmpty := errors.Is(err, retention.ErrNamesNothing) && text.isPart && retention.IsEmptyOnPurpose(text.text)
			if err != nil && !isEmpty {
				return retention.KeepList{}, fmt.Errorf("the keep list, %s, is not understood: %w", text.at, err)
			}
			list.Add(some)
		}
		if list.IsEmpty() {
			return retention.KeepList{}, fmt.Errorf("the keep list, %s, is not understood: %w", location, retention.ErrNamesNothing)
		}
		whole.Add(list)
	}
	return whole, nil
}

// checkAge returns an error if a list is older than lists may be, or if nobody knows.
func (j *Janitor) checkAge(list listText) error {
	most := time.Duration(j.Config.KeepListMaxAge)
	switch age := j.Clock().Sub(list.modified); {
	case most == 0 || !list.modified.IsZero() && -clocksApart <= age && age <= most:
		return nil
	case list.modified.IsZero() || age < 0:
		return fmt.Errorf("the keep list, %s, cannot be read: nobody says how old it is", list.at)
	default:
		return fmt.Errorf("the keep list, %s, is too old: it was last written %s, and may be %s old",
			list.at, list.modified.UTC().Format("2006-01-02 15:04 UTC"), j.Config.KeepListMaxAge)
	}
}

// readTexts reads the list at a location, or the several below a prefix.
func (j *Janitor) readTexts(ctx context.Context, location config.Location) ([]listText, error) {
	if bucket, key, ok := location.Object(); ok {
		return j.readObjects(ctx, bucket, key)
	}
	found := listText{at: string(location)}
	var err error
	if name, region, ok := location.Parameter(); ok {
		found.text, found.modified, err = j.readParameter(ctx, name, region)
	} else if j.ReadFile == nil {
		err = errors.New("files cannot be read here")
	} else {
		var text []byte
		text, found.modified, err = j.ReadFile(string(location))
		found.text = string(text)
	}
	return []listText{found}, err
}

func (j *Janitor) readParameter(ctx context.Context, name, region string) (string, time.Time, error) {
	client := wire.SSM(j.home(), cmp.Or(region, j.home().Region))
	out, err := client.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{name}})
	switch {
	case err != nil:
		return "", time.Time{}, err
	case len(out.Parameters) != 1:
		return "", time.Time{}, errors.New("there is no such parameter")
	case out.Parameters[0].Type == types.ParameterTypeSecureString:
		return "", time.Time{}, errors.New("it is a SecureString, which the janitor does not decrypt")
	}
	return aws.ToString(out.Parameters[0].Value), aws.ToTime(out.Parameters[0].LastModifiedDate), nil
}

// readObjects reads the object with a key, or, if that is a prefix, those below it.
func (j *Janitor) readObjects(ctx context.Context, name, key string) ([]listText, error) {
	bucket := wire.OpenBucket(j.home(), name)
	isPrefix := key == "" || strings.HasSuffix(key, "/")
	keys := []string{key}
	if isPrefix {
		listed, err := bucket.List(ctx, key)
		if err != nil {
			return nil, err
		}
		keys = nil
		for _, object := range listed {
			// Consoles make folders, which are empty objects.
			if !strings.HasSuffix(object.Key, "/") || object.Size > 0 {
				keys = append(keys, object.Key)
			}
		}
		if len(keys) == 0 {
			return nil, errors.New("there is no object below it")
		}
	}
	texts, errs := make([]listText, len(keys)), make([]error, len(keys))
	var reading errgroup.Group
	reading.SetLimit(listsAtOnce)
	for i, key := range keys {
		reading.Go(func() error {
			texts[i], errs[i] = readObject(ctx, bucket, key)
			texts[i].at, texts[i].isPart = "s3://"+name+"/"+key, isPrefix
			if errs[i] != nil && isPrefix {
				errs[i] = errors.New(key + ": " + wire.ExplainLookup(errs[i]))
			}
			return nil
		})
	}
	_ = reading.Wait() // The errors are noted.
	return texts, cmp.Or(errs...)
}

func readObject(ctx context.Context, bucket *wire.Bucket, key string) (found listText, err error) {
	found.modified, err = bucket.Read(ctx, key, func(content io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(content, maxList+1))
		if found.text = string(data); err == nil && len(data) > maxList {
			err = fmt.Errorf("it has more than %d MiB", maxList>>20)
		}
		return err
	})
	return found, err
}
