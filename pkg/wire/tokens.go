package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Pages is what the SDK's paginators have in common.
type Pages[Page, Options any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*Options)) (*Page, error)
}

// EachPage reads a listing to its end. What is on a page counts before it is known whether there is another one: read takes
// it, and returns the token of the next page.
func EachPage[Page, Options any](ctx context.Context, pages Pages[Page, Options], read func(*Page) (next *string)) error {
	var tokens Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := tokens.See(read(page)); err != nil {
			return errors.New(action(page) + ": " + err.Error()) // Explain says no more than the innermost error.
		}
	}
	return nil
}

// action names the action of which the SDK gives a page, as IAM does: ec2:DescribeImages of an *ec2.DescribeImagesOutput.
func action(page any) string {
	service, output, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", page), "*"), ".")
	operation := strings.TrimSuffix(output, "Output")
	return service + ":" + cmp.Or(permissions[operation], operation)
}

// Tokens finds a listing that goes round in circles. The SDK's paginators either follow it for ever, or stop at a repeated
// token and say nothing of the pages that they have not seen.
type Tokens struct{ seen map[string]bool }

var errCircular = errors.New("the listing leads back to a page that was read before")

// See takes the token of the next page as each page gives it, and returns an error if it has been there before.
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
