package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sessionPrefix begins the access keys of temporary credentials (IAM User Guide, "IAM
// identifiers").
const sessionPrefix = "ASIA"

// session is a role that has been assumed.
type session struct {
	account, role, name string
	arn, userID         string
	key, token          string
	expires             time.Time
}

// session returns the session with an access key, nil if there is none.
func (o *Organization) session(key string) *session {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sessions[key]
}

// accessKey is the key that a request is signed with.
func accessKey(r *http.Request) string {
	key, _, _ := strings.Cut(credential(r), "/")
	return key
}

// What services say to a session without its token, and to one that has ended, by their protocol.
var (
	unknownSessions = map[protocol]*Error{
		ec2Protocol:      {http.StatusUnauthorized, "AuthFailure", "AWS was not able to validate the provided access credentials"},
		queryProtocol:    {http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."},
		jsonProtocol:     {http.StatusBadRequest, "UnrecognizedClientException", "The security token included in the request is invalid."},
		restJSONProtocol: {http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid."},
		restXMLProtocol:  {http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."},
	}
	expiredSessions = map[protocol]*Error{
		ec2Protocol:      {http.StatusBadRequest, "RequestExpired", "Request has expired."},
		queryProtocol:    {http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"},
		jsonProtocol:     {http.StatusBadRequest, "ExpiredTokenException", "The security token included in the request is expired"},
		restJSONProtocol: {http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired"},
		restXMLProtocol:  {http.StatusBadRequest, "ExpiredToken", "The provided token has expired."},
	}
)

// check refuses a request of the session without its token, or after its end.
func (s *session) check(r *http.Request, q Request, now time.Time) error {
	called := serviceNamed(q.Service).protocol
	switch token := cmp.Or(r.Header.Get("X-Amz-Security-Token"), r.URL.Query().Get("X-Amz-Security-Token")); {
	case token != s.token:
		return unknownSessions[called]
	case !now.Before(s.expires):
		return expiredSessions[called]
	default:
		return nil
	}
}

// The bounds of a session in seconds. Whoever has assumed a role gets an hour at most from another
// one (STS API Reference, AssumeRole), and the functions of the hub have.
const (
	leastDuration = 900
	mostDuration  = 3600
)

var (
	roleARN     = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):role/((?:[!-.0-~]+/)*)([\w+=,.@-]{1,64})$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
	// The roles of the janitor, in any namespace.
	janitorRole = regexp.MustCompile(`^ami-janitor-.+-(?:read|sweep|undo)$`)
)

// rolesPath is the path of the janitor's roles.
const rolesPath = "ami-janitor/"

// assumeRole begins a session of a role.
func assumeRole(c *call) (object, error) {
	seconds, err := c.checkAssumeRole()
	if err != nil {
		return nil, err
	}
	arn, name := c.text("RoleArn"), c.text("RoleSessionName")
	role := roleARN.FindStringSubmatch(arn)
	o := c.account.organization
	if !c.account.isHub || !o.allows(role) {
		return nil, &Error{http.StatusForbidden, "AccessDenied", fmt.Sprintf(
			"User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.callerARN(), arn)}
	}
	s := o.begin(role, name, c.account.now().Add(time.Duration(seconds)*time.Second))
	return object{
		"AssumedRoleUser": object{"Arn": s.arn, "AssumedRoleId": s.userID},
		"Credentials": object{
			"AccessKeyId": s.key, "SecretAccessKey": secretOf("secret", s.key), "SessionToken": s.token,
			"Expiration": s.expires.Format(time.RFC3339),
		},
	}, nil
}

// checkAssumeRole returns how many seconds a session is to last.
func (c *call) checkAssumeRole() (int, error) {
	id, hasID := c.Form["ExternalId"]
	seconds, err := strconv.Atoi(cmp.Or(c.text("DurationSeconds"), strconv.Itoa(mostDuration)))
	switch {
	case !roleARN.MatchString(c.text("RoleArn")):
		return 0, c.invalid("%s is invalid", c.text("RoleArn"))
	case !sessionName.MatchString(c.text("RoleSessionName")):
		return 0, c.invalid("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: "+
			`Member must satisfy regular expression pattern: [\w+=,.@-]*`, c.text("RoleSessionName"))
	case hasID && (len(id[0]) < 2 || len(id[0]) > 1224 || !externalID.MatchString(id[0])):
		return 0, c.invalid(`1 validation error detected: Value at 'externalId' failed to satisfy constraint: ` +
			`Member must satisfy regular expression pattern: [\w+=,.@:\/-]*`)
	case err != nil || seconds < leastDuration:
		return 0, c.invalid("1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint: "+
			"Member must have value greater than or equal to %d", c.text("DurationSeconds"), leastDuration)
	case seconds > mostDuration:
		return 0, c.invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	default:
		return seconds, nil
	}
}

// allows reports whether the hub may assume a role, given by the parts of its ARN.
func (o *Organization) allows(role []string) bool {
	partition, id, path, name := role[1], role[2], role[3], role[4]
	o.mu.Lock()
	defer o.mu.Unlock()
	account := o.members[id]
	switch {
	case account == nil || account.partition != partition || o.denied[id] || text(first(o.listed, "Id", id), "State") != isActive:
		return false
	case account.roles == nil:
		return path == rolesPath && janitorRole.MatchString(name)
	default:
		return slices.Contains(account.roles, path+name) || path == rolesPath && slices.Contains(account.roles, name)
	}
}

// begin begins a session of a role, given by the parts of its ARN. Sessions of a role that have the
// same name and end at the same time are one: a client whose clock is ahead of the emulated one
// assumes the role for each request.
func (o *Organization) begin(role []string, name string, expires time.Time) *session {
	o.mu.Lock()
	defer o.mu.Unlock()
	expires = expires.UTC().Truncate(time.Second)
	words := []string{role[2], role[4], name, expires.Format(time.RFC3339)}
	id := sha256.Sum256([]byte(strings.Join(words, " ")))
	s := &session{
		account: role[2], role: role[4], name: name,
		arn: fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", role[1], role[2], role[4], name),
		key: sessionPrefix + base32.StdEncoding.EncodeToString(id[:10]), token: secretOf(append(words, "token")...),
		expires: expires,
	}
	s.userID = "AROA" + base32.StdEncoding.EncodeToString(id[10:20]) + ":" + name
	o.sessions[s.key] = s
	return s
}

// secretOf is a text that looks like a secret. The same words give the same.
func secretOf(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, " ")))
	return base64.StdEncoding.EncodeToString(sum[:30])
}
