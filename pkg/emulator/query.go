package emulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxBody is more than any request the emulated services take.
const maxBody = 4 << 20

// MessagesPath is where published messages can be read over HTTP. No AWS service answers there.
const MessagesPath = "/_ami-janitor/messages"

// Request is what an AWS request asks for.
type Request struct {
	Service string // As in the request's signature: "ec2", "sns", "sts" ….
	Region  string
	Action  string // For example "DescribeImages".
	Session string // The access key of temporary credentials; empty for others.
	// The parameters. Those of a JSON request are spelled as in a query: Names.1, Names.2 ….
	Form url.Values
}

// Inspect reads what a request asks for, and restores its body. Service and region are those it is
// signed for, in the Authorization header or in the URL.
func Inspect(r *http.Request) (Request, error) {
	q := Request{Form: r.URL.Query()}
	scope := strings.Split(credential(r), "/")
	signed := len(scope) == 5
	if signed {
		q.Region, q.Service = scope[2], scope[3]
	}
	if strings.HasPrefix(scope[0], sessionPrefix) {
		q.Session = scope[0]
	}
	if q.Service == s3Service {
		return inspectS3(r, q), nil
	}
	body, err := readBody(r)
	if err != nil {
		return q, err
	}
	target, action, isJSON := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case q.Service == ebsService:
		q.Action = readPath(ebsRoutes, r, q.Form)
		err = readEBS(r, q.Action, body, q.Form)
	case routes[q.Service] != nil:
		q.Action = readPath(routes[q.Service], r, q.Form)
		err = readJSON(cmp.Or(string(body), "{}"), q.Form)
	case isJSON:
		q.Action = action
		err = readJSON(string(body), q.Form)
	default:
		err = readQuery(body, q.Form)
		q.Action = q.Form.Get("Action")
	}
	if !signed {
		// Only the API's name or version says whose style the answer has.
		if s := slices.IndexFunc(services, func(s service) bool {
			return isJSON && s.namespace == target || s.version == q.Form.Get("Version")
		}); s >= 0 {
			q.Service = services[s].name
		}
		return q, &Error{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	}
	return q, err
}

// Subject is what a request is about, as one text: its parameters without those that tell one call
// from another of the same kind.
func (q Request) Subject() string {
	form := maps.Clone(q.Form)
	for _, name := range []string{"Action", "ClientToken", "Version"} {
		form.Del(name)
	}
	return form.Encode()
}

// IsRead reports whether an action changes nothing, by its name, as EC2 sorts them.
func IsRead(action string) bool {
	return slices.ContainsFunc([]string{"Describe", "Get", "List", "Search"}, func(verb string) bool { return strings.HasPrefix(action, verb) })
}

// readBody reads a request's body, and restores it.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) > maxBody {
		return nil, &Error{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too large"}
	}
	return body, nil
}

// readQuery adds the parameters of a query to a form.
func readQuery(body []byte, form url.Values) error {
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return refuse("MalformedQueryString", "The query string is malformed")
	}
	for key, values := range fields {
		form[key] = append(form[key], values...)
	}
	return nil
}

// readJSON adds the parameters of a JSON object to a form.
func readJSON(body string, form url.Values) error {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var parameters object
	if err := d.Decode(&parameters); err != nil {
		return refuse("SerializationException", "The request is not a JSON object")
	}
	for name, value := range parameters {
		spell(form, name, value)
	}
	return nil
}

// spell adds a value to a form as a query spells it: NAME, NAME.1, NAME.1.Key ….
func spell(form url.Values, name string, value any) {
	switch v := value.(type) {
	case object:
		for key, inner := range v {
			spell(form, name+"."+key, inner)
		}
	case []any:
		for i, inner := range v {
			spell(form, name+"."+strconv.Itoa(i+1), inner)
		}
	default:
		if s, ok := scalar(v); ok {
			form.Set(name, s)
		}
	}
}

// credential is the SigV4 credential of a request: KEY/DATE/REGION/SERVICE/aws4_request.
func credential(r *http.Request) string {
	for field := range strings.FieldsFuncSeq(r.Header.Get("Authorization"), func(c rune) bool { return c == ' ' || c == ',' }) {
		if value, ok := strings.CutPrefix(field, "Credential="); ok {
			return value
		}
	}
	return r.URL.Query().Get("X-Amz-Credential")
}

// Error is an error as AWS reports it.
type Error struct {
	Status  int // The HTTP status.
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// refuse is an error of the client's making, HTTP status 400.
func refuse(code, format string, arguments ...any) error {
	return &Error{http.StatusBadRequest, code, fmt.Sprintf(format, arguments...)}
}

// asError gives any error the form AWS gives it.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{http.StatusBadRequest, "IncompleteRequest", err.Error()}
}

// protocol is how a service is spoken to.
type protocol int

// AWS's protocols, by the names that its service models give them.
const (
	ec2Protocol protocol = iota
	queryProtocol
	jsonProtocol
	restJSONProtocol
	restXMLProtocol
)

// service is one emulated AWS service.
type service struct {
	name     string // As in a signature's scope.
	protocol protocol
	version  string // The API version, as in a request's Version.
	// Of the answers' XML; that of JSON actions stands before their names, in X-Amz-Target.
	namespace string
	denied    string // The error code if a permission is missing.
	invalid   string // The error code for a parameter's value that is out of bounds.
	actions   map[string]action
}

// action answers one kind of request. Parameters that are not listed are refused, as EC2 does: to
// ignore one would be to answer another question than the one asked.
type action struct {
	answer     func(*call) (object, error)
	parameters []string
}

// services are the emulated services. EC2 is the first: it answers for every service there is none
// for.
var services = []service{
	{
		"ec2", ec2Protocol, "2016-11-15", "http://ec2.amazonaws.com/doc/2016-11-15/",
		"UnauthorizedOperation", "InvalidParameterValue", ec2Actions,
	},
	{
		"autoscaling", queryProtocol, "2011-01-01", "http://autoscaling.amazonaws.com/doc/2011-01-01/",
		"AccessDenied", "ValidationError", autoScalingActions,
	},
	{"batch", restJSONProtocol, "2016-08-10", "", "AccessDeniedException", "ClientException", batchActions},
	{
		"cloudformation", queryProtocol, "2010-05-15", "http://cloudformation.amazonaws.com/doc/2010-05-15/",
		"AccessDenied", "ValidationError", cloudFormationActions,
	},
	{ebsService, restJSONProtocol, "2019-11-02", "", "AccessDeniedException", "ValidationException", ebsActions},
	{
		iamService, queryProtocol, "2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/",
		"AccessDenied", "ValidationError", iamActions,
	},
	{imageBuilderService, restJSONProtocol, "2019-12-02", "", "AccessDeniedException", "InvalidRequestException", imageBuilderActions},
	{
		"elasticbeanstalk", queryProtocol, "2010-12-01", "http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/",
		"AccessDenied", "InvalidParameterValue", beanstalkActions,
	},
	{"elasticmapreduce", jsonProtocol, "2009-03-31", "ElasticMapReduce", "AccessDeniedException", "ValidationException", emrActions},
	{lambdaService, restJSONProtocol, "2015-03-31", "", "AccessDeniedException", "ValidationException", lambdaActions},
	{
		monitoringService, queryProtocol, "2010-08-01", "http://monitoring.amazonaws.com/doc/2010-08-01/",
		"AccessDenied", "InvalidParameterValue", cloudWatchActions,
	},
	{organizationsService, jsonProtocol, "2016-11-28", "AWSOrganizationsV20161128", "AccessDeniedException", "InvalidInputException", organizationsActions},
	{"pcs", jsonProtocol, "2023-02-10", "AWSParallelComputingService", "AccessDeniedException", "ValidationException", pcsActions},
	{"rbin", restJSONProtocol, "2021-06-15", "", "AccessDeniedException", "ValidationException", rbinActions},
	{
		"rds", queryProtocol, "2014-10-31", "http://rds.amazonaws.com/doc/2014-10-31/",
		"AccessDenied", "InvalidParameterValue", rdsActions,
	},
	{schedulerService, restJSONProtocol, "2021-06-30", "", "AccessDeniedException", "ValidationException", schedulerActions},
	{"sagemaker", jsonProtocol, "2017-07-24", "SageMaker", "AccessDeniedException", "ValidationException", sageMakerActions},
	{
		"sns", queryProtocol, "2010-03-31", "https://sns.amazonaws.com/doc/2010-03-31/",
		"AuthorizationError", "InvalidParameter", snsActions,
	},
	{s3Service, restXMLProtocol, "2006-03-01", "http://s3.amazonaws.com/doc/2006-03-01/", "AccessDenied", "InvalidArgument", nil},
	{"ssm", jsonProtocol, "2014-11-06", "AmazonSSM", "AccessDeniedException", "ValidationException", ssmActions},
	{
		"sts", queryProtocol, "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/",
		"AccessDenied", "ValidationError", stsActions,
	},
}

func serviceNamed(name string) service {
	if i := slices.IndexFunc(services, func(s service) bool { return s.name == name }); i >= 0 {
		return services[i]
	}
	return services[0]
}

// spokenTo is the service in the protocol of a request. CloudWatch is asked as a query or in JSON,
// and answers likewise.
func (s service) spokenTo(r *http.Request) service {
	if s.name == monitoringService && r.Header.Get("X-Amz-Target") != "" {
		s.protocol = jsonProtocol
	}
	return s
}

// Forbidden is the error if a permission is missing, in the words of the request's service.
func (q Request) Forbidden() *Error { return serviceNamed(q.Service).forbidden() }

func (s service) forbidden() *Error {
	return &Error{http.StatusForbidden, s.denied, "You are not authorized to perform this operation."}
}

// call is a request on its way through the account.
type call struct {
	Request
	service service
	account *Account
	region  *region
	caller
}

// caller is who sends a request.
type caller struct {
	lags    *Lags    // What it sees late; nil if nothing.
	session *session // The role that it has assumed; nil if none.
}

// ServeHTTP answers one request to AWS. Like any server's, its answers say what time it is there.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve(w, r, caller{}) }

// serve answers one request of a caller.
func (a *Account) serve(w http.ResponseWriter, r *http.Request, by caller) {
	w.Header().Set("Date", a.now().UTC().Format(http.TimeFormat))
	if r.URL.Path == MessagesPath {
		a.serveMessages(w, r)
		return
	}
	q, err := Inspect(r)
	if err == nil && by.session != nil {
		err = by.session.check(r, q, a.now())
	}
	if q.Service == s3Service {
		a.serveS3(w, r, q, by, err)
		return
	}
	status, header, body := a.answer(q, serviceNamed(q.Service).spokenTo(r), by, err)
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // It is escaped for its format; a client that has gone away is its own affair.
}

// answer performs a request, unless it could not be read, and records it.
func (a *Account) answer(q Request, s service, by caller, unreadable error) (int, http.Header, []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.remember(q)()
	result, err := object(nil), unreadable
	if err == nil {
		name := q.Region
		if s.name == iamService {
			name = a.home
		}
		result, err = s.perform(&call{Request: q, service: s, account: a, region: a.region(name), caller: by})
	}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", len(a.calls)+1)
	logged := Call{Service: q.Service, Region: q.Region, Action: q.Action, Status: s.success(q.Action)}
	header, body := s.header(nil), []byte(nil)
	if err == nil {
		if s.name == ebsService {
			tellInHeader(result, header)
		}
		if a.leavesOut {
			result, _ = withoutEmptyLists(result).(object)
		}
		body = renderResult(s, q.Action, id, result)
	} else {
		e := asError(err)
		logged.Status, logged.Code = e.Status, e.Code
		header, body = s.header(e), renderError(s, id, e)
	}
	a.note(logged, by)
	return logged.Status, header, body
}

// note records a request that has been answered.
func (a *Account) note(c Call, by caller) {
	a.calls = append(a.calls, c)
	if a.organization != nil {
		a.organization.note(a.id, c, by)
	}
}

func (s service) perform(c *call) (object, error) {
	action, ok := s.actions[c.Action]
	if !ok || s.name != c.Service {
		return nil, refuse("InvalidAction", "The action %s is not valid for this web service.", c.Action)
	}
	for key := range c.Form {
		name, _, _ := strings.Cut(key, ".")
		if !slices.Contains(action.parameters, name) && !isCommon(name) {
			return nil, refuse("UnknownParameter", "The parameter %s is not recognized", name)
		}
	}
	if err := c.shut(); err != nil {
		return nil, err
	}
	c.account.settle(c.region)
	if err := c.lag(); err != nil {
		return nil, err
	}
	if s.protocol == ec2Protocol && c.flag("DryRun") {
		// AWS documents that a dry run checks permissions, and nothing more.
		return nil, &Error{http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."}
	}
	return action.answer(c)
}

// isCommon reports whether every action takes the parameter.
func isCommon(name string) bool {
	return name == "Action" || name == "Version" || name == "DryRun" || strings.HasPrefix(name, "X-Amz-")
}

// invalid refuses the value of a parameter, in the words of the service.
func (c *call) invalid(format string, arguments ...any) error {
	return refuse(c.service.invalid, format, arguments...)
}

// text is a parameter, empty if it is not given.
func (c *call) text(name string) string {
	return c.Form.Get(name)
}

// flag is a truth value, false if it is not given.
func (c *call) flag(name string) bool {
	return strings.EqualFold(c.Form.Get(name), "true")
}

// list is a list of texts: NAME.1, NAME.2 ….
func (c *call) list(name string) []string {
	return list(c.Form, name)
}

func list(form url.Values, name string) []string {
	var texts []string
	for _, m := range members(form, name) {
		texts = append(texts, m.Get(""))
	}
	return texts
}

// members is a list of structures, NAME.1.Key, NAME.1.Value, NAME.2.Key …, each as a form of its
// own: Key, Value. The member of a list of texts is named "".
func members(form url.Values, name string) []url.Values {
	byIndex := map[int]url.Values{}
	for key, values := range form {
		rest, ok := strings.CutPrefix(key, name+".")
		if !ok {
			continue
		}
		number, member, _ := strings.Cut(rest, ".")
		index, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		if byIndex[index] == nil {
			byIndex[index] = url.Values{}
		}
		byIndex[index][member] = values
	}
	ordered := make([]url.Values, 0, len(byIndex))
	for _, index := range slices.Sorted(maps.Keys(byIndex)) {
		ordered = append(ordered, byIndex[index])
	}
	return ordered
}
