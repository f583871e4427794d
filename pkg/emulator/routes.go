package emulator

import (
	"net/http"
	"net/url"
	"strings"
)

// route says where an action of a REST API is found.
type route struct {
	method, path string // A segment of the path in braces is a parameter.
	action       string
	status       int // The HTTP status of a success.
}

// routes are those of the services that are asked by method and path, by name.
var routes = map[string][]route{
	"batch": batchRoutes, ebsService: ebsRoutes, imageBuilderService: imageBuilderRoutes, lambdaService: lambdaRoutes, "rbin": rbinRoutes, schedulerService: schedulerRoutes,
}

// readPath returns the action that a request is for, empty if it is for none, and adds the
// parameters in its path to a form.
func readPath(routes []route, r *http.Request, form url.Values) string {
	for _, route := range routes {
		if parameters, ok := route.match(r); ok {
			for name, value := range parameters {
				form.Set(name, value)
			}
			return route.action
		}
	}
	return ""
}

// match returns the parameters in a request's path, if the request is for the route.
func (t route) match(r *http.Request) (map[string]string, bool) {
	want, have := strings.Split(t.path, "/"), strings.Split(r.URL.EscapedPath(), "/")
	if r.Method != t.method || len(want) != len(have) {
		return nil, false
	}
	parameters := map[string]string{}
	for i, segment := range have {
		name, isParameter := strings.CutPrefix(want[i], "{")
		value, err := url.PathUnescape(segment)
		switch {
		case err != nil || !isParameter && segment != want[i]:
			return nil, false
		case isParameter:
			parameters[strings.TrimSuffix(name, "}")] = value
		}
	}
	return parameters, true
}

// success is the HTTP status of an action's success.
func (s service) success(action string) int {
	for _, route := range routes[s.name] {
		if route.action == action {
			return route.status
		}
	}
	return http.StatusOK
}
