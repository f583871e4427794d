package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Pages is the common part of the SDK's paginators.
type Pages[Page, Options any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*Options)) (*Page, error)
}

// EachPage reads a listing to its end. A page counts before it is known whether there is another
// one: read takes it, and returns the token of the next page.
func EachPage[Page, Options any](ctx context.Context, pages Pages[Page, Options], read func(*Page) (next *string)) error {
	var tokens Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := tokens.See(read(page)); err != nil {
			// Explain keeps only the innermost error.
			return errors.New(action(page) + ": " + err.Error())
		}
	}
	return nil
}

// action names the action that a page of the SDK answers, as IAM does: ec2:DescribeImages for an
// *ec2.DescribeImagesOutput.
func action(page any) string {
	service, output, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", page), "*"), ".")
	operation := strings.TrimSuffix(output, "Output")
	return service + ":" + cmp.Or(permissions[operation], operation)
}

// Tokens finds a listing that goes round in circles. The SDK's paginators either follow it forever,
// or stop silently at a repeated token and miss the remaining pages.
type Tokens struct{ seen map[string]bool }

var errCircular = errors.New("the listing leads back to a page that was read before")

// See takes the token of the next page from each page, and returns an error if it was seen before.
func (t *Tokens) See(token *string) error {
	next := aws.ToString(token)
	switch {
	case next == "":
		return nil
	case t.seen[next]:
		return errCircular
	case t.seen == nil:
		t.seen = map[string]bool{}
	}
	t.seen[next] = true
	return nil
}
