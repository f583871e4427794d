package usage

import (
	"context"

	"ami-janitor/pkg/wire"
)

// pager is what the SDK's paginators have in common.
type pager[Page, Options any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*Options)) (*Page, error)
}

// eachPage reads a listing to its end. What is on a page counts before it is known whether there is another one: read
// takes it, and returns the token of the next page.
func eachPage[Page, Options any](ctx context.Context, pages pager[Page, Options], read func(*Page) (next *string)) error {
	var tokens wire.Tokens
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := tokens.See(read(page)); err != nil {
			return err
		}
	}
	return nil
}
