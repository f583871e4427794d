package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/wire"
)

// parametersPerCall is how many names GetParameters accepts (AWS Systems Manager API Reference);
// parameterCalls run at the same time.
const (
	parametersPerCall = 10
	parameterCalls    = 4
)

// mostCulprits is how many bad parameters are isolated that make SSM refuse a call for several.
// After that a refused call stays refused, for all of its parameters: if everything is denied,
// asking one by one would take ten times as long.
const mostCulprits = 20

// mostNamed is how many unreadable parameters a source names; of the others it gives the number.
// The gaps are in the reasons of every image, which have room for three.
const mostNamed = 2

// imageIDs matches the id of an image in other text: 17 hexadecimal digits, or 8 in the oldest
// ones. The text after it is ignored, because ids may follow each other without a separator; so is
// the case of letters.
var imageIDs = regexp.MustCompile(`(?i)ami-(?:[0-9a-f]{17}|[0-9a-f]{8})`)

// snapshotIDs is imageIDs for the id of a snapshot.
var snapshotIDs = regexp.MustCompile(`snap-(?:[0-9a-f]{17}|[0-9a-f]{8})`)

// snapshotsIn returns the ids of the snapshots in a text in lower case, if they are wanted.
func (s *search) snapshotsIn(text string) []string {
	if !s.SnapshotsInText {
		return nil
	}
	return snapshotIDs.FindAllString(text, -1)
}

var (
	errNotAnswered = errors.New("SSM did not answer for it")
	errNoValue     = errors.New("SSM answered without its value")
	errNotThere    = errors.New("SSM lists it, and says that it is not there")
)

// parameter is the known content of a requested SSM parameter.
type parameter struct {
	exists bool
	images []string // The ids of the images in its value.
	err    error    // Why it could not be read.
	among  bool     // It was requested with others, and SSM refused the call.

	snapshots []string // The ids of the snapshots in its value, if they are wanted.
}

// why says why a parameter could not be read.
func (s *search) why(p parameter) string {
	if p.among {
		return "SSM refused to read it with others: " + s.explain(p.err)
	}
	return s.explain(p.err)
}

// readParameters reads SSM parameters, and returns an entry for each requested name.
//
// SSM refuses an entire call because of one invalid name, or one that the role may not read; an
// unshared parameter of another account may do the same. So unusual names are requested separately,
// and a refused call is halved until single names are refused.
//
// The values themselves are not passed on: they are somebody's configuration, and may be
// confidential.
func (s *search) readParameters(ctx context.Context, names []string) map[string]parameter {
	var ordinary, odd []string
	for _, name := range names {
		if ordinaryName.MatchString(name) && s.isOwnParameter(name) {
			ordinary = append(ordinary, name)
		} else {
			odd = append(odd, name)
		}
	}
	calls := slices.AppendSeq(slices.Collect(slices.Chunk(ordinary, parametersPerCall)), slices.Chunk(odd, parametersPerCall))
	found, refused := make(map[string]parameter, len(names)), map[string]error{}
	each(ctx, parameterCalls, slices.Values(calls), s.readSome, func(some []string, parameters map[string]parameter, err error) {
		maps.Copy(found, parameters)
		switch {
		case isRefused(err):
			refused[some[0]] = err
		case err != nil:
			failed(found, some, err)
		}
	})
	culprits := 0
	for _, some := range calls { // In order, so that every run isolates the same ones.
		if err := refused[some[0]]; err != nil {
			s.readApart(ctx, some, err, &culprits, found)
		}
	}
	return found
}

// ordinaryName matches the name of a parameter, or its ARN, with or without a version or a label
// (AWS Systems Manager API Reference, PutParameter and LabelParameterVersion).
var ordinaryName = regexp.MustCompile(`^(?:arn:[a-z0-9-]+:ssm:[a-z0-9-]+:[0-9]*:parameter/)?[A-Za-z0-9_./-]+(?::[A-Za-z0-9_.-]+)?$`)

// readApart reads the parameters of a refused call.
func (s *search) readApart(ctx context.Context, names []string, err error, culprits *int, found map[string]parameter) {
	if len(names) == 1 || *culprits >= mostCulprits {
		*culprits++
		failed(found, names, err)
		return
	}
	for half := range slices.Chunk(names, (len(names)+1)/2) {
		parameters, err := s.readSome(ctx, half)
		maps.Copy(found, parameters)
		switch {
		case isRefused(err):
			s.readApart(ctx, half, err, culprits, found)
		case err != nil:
			failed(found, half, err)
		}
	}
}

func failed(found map[string]parameter, names []string, err error) {
	for _, name := range names {
		found[name] = parameter{err: err, among: len(names) > 1 && isRefused(err)}
	}
}

// isRefused reports whether SSM refused a call because of its names, and not because time ran out
// or of a fault.
func isRefused(err error) bool {
	code := wire.Code(err)
	return strings.HasPrefix(code, "AccessDenied") || strings.HasPrefix(code, "Validation")
}

// readSome is readParameters for at most parametersPerCall parameters, in one call. A parameter
// without an answer is unknown; only what SSM says is missing is missing.
func (s *search) readSome(ctx context.Context, names []string) (map[string]parameter, error) {
	out, err := s.SSM.GetParameters(ctx, &ssm.GetParametersInput{Names: names})
	if err != nil {
		return nil, err
	}
	found := make(map[string]parameter, len(names))
	for _, name := range names {
		isThis := func(parameter types.Parameter) bool { return isNamed(&parameter, name) }
		i := slices.IndexFunc(out.Parameters, isThis)
		switch {
		case i >= 0 && out.Parameters[i].Value != nil:
			value := strings.ToLower(*out.Parameters[i].Value)
			found[name] = parameter{exists: true, images: imageIDs.FindAllString(value, -1), snapshots: s.snapshotsIn(value)}
		case i >= 0:
			found[name] = parameter{err: errNoValue}
		case slices.Contains(out.InvalidParameters, name):
			found[name] = parameter{}
		default:
			found[name] = parameter{err: errNotAnswered}
		}
	}
	return found, nil
}

// isNamed reports whether a parameter is the requested one: by name or ARN, and perhaps by its
// version or a label after a colon. SSM's answer has that in another field, with the colon (AWS CLI
// Command Reference, get-parameters).
func isNamed(parameter *types.Parameter, asked string) bool {
	selector := strings.TrimPrefix(aws.ToString(parameter.Selector), ":")
	if selector != "" {
		selector = ":" + selector
	}
	return asked == aws.ToString(parameter.Name)+selector || asked == aws.ToString(parameter.ARN)+selector
}

// resolvePrefix is the prefix of an SSM parameter instead of an image id (EC2 User Guide, "Create
// an Amazon EC2 launch template", "Use a Systems Manager parameter instead of an AMI ID").
const resolvePrefix = "resolve:ssm:"

// resolveParameters finds the images that SSM parameters name: by name, name:version or name:label,
// public parameter, or ARN, which may belong to another account that shares it. A missing parameter
// of the account itself names no image. A missing one of another account is in doubt: it may exist
// without being shared with the janitor.
//
// An unreadable parameter may name any image, so it is a gap of all, which says what names it.
func (s *search) resolveParameters(ctx context.Context) {
	var names []string
	unread := map[string][]string{} // What could not be followed, by the source that found it.
	for _, given := range slices.Sorted(maps.Keys(s.unresolved)) {
		name, isParameter := strings.CutPrefix(given, resolvePrefix)
		switch {
		case isParameter:
			names = append(names, name)
		case given == "":
			s.unread(unread, given, "%s is listed without its image")
		case strings.HasPrefix(given, "resolve:"):
			s.unread(unread, given, "%s names its image by "+given+", which is not understood")
		default:
			s.unread(unread, given, "%s names its image by "+strconv.Quote(given)+", which is no id of an image")
		}
	}
	parameters := s.readParameters(ctx, names)
	for _, name := range names {
		s.follow(name, parameters[name], unread)
	}
	for source, texts := range unread {
		s.gapsOf(source, texts)
	}
}

// follow records what names the images in the value of a parameter, or notes that it could not be
// read. If all calls failed for one cause, that is said once, and not for each of thousands of
// parameters.
func (s *search) follow(name string, found parameter, unread map[string][]string) {
	given := resolvePrefix + name
	for _, id := range found.images {
		for _, where := range s.unresolved[given] {
			s.use(where.by, &id)
		}
	}
	switch {
	case isOfParameter(found.err):
		s.unread(unread, given, "%s names SSM parameter "+name+", which cannot be read: "+s.why(found))
	case found.err != nil:
		why := s.explain(found.err)
		for _, where := range s.unresolved[given] {
			if source := where.by.Source; !slices.Contains(unread[source], why) {
				unread[source] = append(unread[source], why)
			}
		}
	case !found.exists && !s.isOwnParameter(name):
		s.unread(unread, given, "%s names SSM parameter "+name+", which is not shared with this account, or not there")
	}
}

// gapsOf records what a source could not follow: the first in words, the others by their number.
func (s *search) gapsOf(source string, texts []string) {
	for _, text := range texts[:min(mostNamed, len(texts))] {
		s.gapOfAll(ami.Gap{Source: source, Err: text})
	}
	if more := len(texts) - mostNamed; more > 0 {
		s.gapOfAll(ami.Gap{Source: source, Err: fmt.Sprintf("the images of %d more are unknown, too", more)})
	}
}

// isOfParameter reports whether an error is about the parameter, and not about the call for it.
func isOfParameter(err error) bool {
	return isRefused(err) || errors.Is(err, errNotAnswered) || errors.Is(err, errNoValue) || errors.Is(err, errNotThere)
}

// unread notes that something instead of an image id could not be followed, by a text with a place
// for what names it: once for each resource that gives it.
func (s *search) unread(unread map[string][]string, given, text string) {
	places := map[ami.Reference][]mention{}
	for _, where := range s.unresolved[given] {
		places[where.by] = append(places[where.by], where)
	}
	for _, by := range slices.SortedFunc(maps.Keys(places), compareReferences) {
		unread[by.Source] = append(unread[by.Source], strings.Replace(text, "%s", subject(places[by]), 1))
	}
}

// subject names the resource of some places, and the versions of a launch template.
func subject(places []mention) string {
	slices.SortFunc(places, func(a, b mention) int { return cmp.Compare(b.version, a.version) })
	latest := places[0]
	older := len(slices.CompactFunc(places, func(a, b mention) bool { return a.version == b.version })) - 1
	switch {
	case latest.template == "":
		return latest.by.ARN
	case older == 0:
		return fmt.Sprintf("launch template %s, version %d,", latest.template, latest.version)
	default:
		return fmt.Sprintf("launch template %s, version %d and %d more,", latest.template, latest.version, older)
	}
}

// firstOf is an error that names the first unreadable item, and counts the others; nil if there are
// none.
func firstOf(unread []string, more string) error {
	if n := len(unread) - mostNamed; n > 0 {
		unread = append(unread[:mostNamed:mostNamed], fmt.Sprintf(more, n))
	}
	if len(unread) == 0 {
		return nil
	}
	return errors.New(strings.Join(unread, "; "))
}

// isOwnParameter reports whether a parameter belongs to this account and region, or to AWS.
func (s *search) isOwnParameter(name string) bool {
	return !strings.HasPrefix(name, "arn:") || strings.HasPrefix(name, s.arn("ssm", "parameter/"))
}
