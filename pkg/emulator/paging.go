package emulator

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"
)

// paging is how an action pages.
type paging struct {
	least, most int // The bounds of MaxResults, or MaxRecords.
	// The size of a page when MaxResults is not given; zero if there are no pages then.
	usual int
	short int // The size of a page that may be smaller than asked for; zero if it is not.
}

// page returns one page of a listing and the token of the next, empty on the last. A long listing
// has an empty page in its middle: AWS documents that a page may be empty and not the last one (EC2
// API Reference, "Query requests").
func page[T any](c *call, all []T, limits paging) ([]T, string, error) {
	size, err := c.pageSize(limits, len(all))
	if err != nil {
		return nil, "", err
	}
	offset, paused, err := c.place(len(all))
	if err != nil {
		return nil, "", err
	}
	end := min(offset+size, len(all))
	if middle := len(all) / 2; !paused && len(all) > 2*size && offset <= middle && middle < end {
		return nil, c.token(offset, true), nil
	}
	if end == len(all) {
		return all[offset:], "", nil
	}
	return all[offset:end], c.token(end, false), nil
}

// pageSize is how much the request wants at most. Zero, where it may be asked for, is as if it were
// not.
func (c *call) pageSize(limits paging, all int) (int, error) {
	// Services have other names for it.
	asked := cmp.Or(c.text("MaxResults"), c.text("MaxRecords"), c.text("maxResults"))
	size, err := strconv.Atoi(asked)
	switch {
	case asked != "" && (err != nil || size < limits.least || size > limits.most):
		return 0, c.invalid("Value ( %s ) for parameter maxResults is invalid. Expecting a value between %d and %d.",
			asked, limits.least, limits.most)
	case size > 0:
	case limits.usual > 0:
		size = limits.usual
	default:
		size = all
	}
	if limits.short > 0 {
		size = min(size, limits.short)
	}
	return size, nil
}

// token is an opaque token for going on at an offset; paused says that the empty page has been
// given.
func (c *call) token(offset int, paused bool) string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %t", c.Action, offset, paused))
}

// place reads the request's token. One of another action is refused; one past the end of a listing
// that has shrunk in the meantime is at its end.
func (c *call) place(all int) (offset int, paused bool, err error) {
	token := cmp.Or(c.text("NextToken"), c.text("nextToken"), c.text("Marker"))
	if token == "" {
		return 0, false, nil
	}
	var action string
	plain, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(plain), "%s %d %t", &action, &offset, &paused)
	}
	switch {
	case err == nil && action == c.Action && offset >= 0:
		return min(offset, all), paused, nil
	case c.service.protocol == restJSONProtocol, c.service.name == organizationsService:
		return 0, false, c.invalid("The token '%s' is invalid", token)
	}
	return 0, false, refuse("InvalidNextToken", "The token '%s' is invalid", token)
}

// notBoth refuses ids together with MaxResults, as EC2 does (EC2 API Reference, "Query requests").
func (c *call) notBoth(ids, name string) error {
	if len(c.list(ids)) > 0 && c.text("MaxResults") != "" {
		return refuse("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", name)
	}
	return nil
}

// listing is the answer that a page makes.
func listing(name string, items []object, token string) object {
	return listingWith("NextToken", name, items, token)
}

// listingWith is the answer that a page makes, if the service has a name of its own for the token.
func listingWith(tokenName, name string, items []object, token string) object {
	if items == nil {
		items = []object{}
	}
	o := object{name: items}
	if token != "" {
		o[tokenName] = token
	}
	return o
}
