package usage

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"ami-janitor/pkg/ami"
)

// parametersPerCall is the most that GetParameters takes (AWS Systems Manager API Reference). How often it may be called
// depends on the account's settings; parameterCalls at once are few enough.
const (
	parametersPerCall = 10
	parameterCalls    = 4
)

// imageIDs is what the id of an image looks like, among other text: 17 hexadecimal digits, or 8 in the oldest ones. What
// follows is not looked at, because ids may stand together without anything in between; nor is the case of letters.
var imageIDs = regexp.MustCompile(`(?i)ami-(?:[0-9a-f]{17}|[0-9a-f]{8})`)

var errNotAnswered = errors.New("SSM did not answer for all parameters that it was asked for")

// imagesIn reads SSM parameters, and returns the ids of the images that their values name, by the names that were asked
// for. A parameter that does not exist is missing. After an error it returns what the other calls have found.
//
// The values themselves go nowhere: they are somebody's configuration, and may hold what nobody else should see.
func (s *search) imagesIn(ctx context.Context, names []string) (map[string][]string, error) {
	found, errs := map[string][]string{}, map[string]error{}
	each(ctx, parameterCalls, slices.Chunk(names, parametersPerCall), s.imagesInSome, func(some []string, images map[string][]string, err error) {
		maps.Copy(found, images)
		errs[some[0]] = err
	})
	for _, name := range names {
		if errs[name] != nil {
			return found, errs[name]
		}
	}
	return found, nil
}

// imagesInSome is imagesIn for at most parametersPerCall parameters.
func (s *search) imagesInSome(ctx context.Context, names []string) (map[string][]string, error) {
	out, err := s.SSM.GetParameters(ctx, &ssm.GetParametersInput{Names: names})
	if err != nil {
		return nil, err
	}
	var unanswered error
	found := map[string][]string{}
	for _, name := range names {
		isThis := func(parameter types.Parameter) bool { return isNamed(&parameter, name) }
		if i := slices.IndexFunc(out.Parameters, isThis); i >= 0 && out.Parameters[i].Value != nil {
			found[name] = imageIDs.FindAllString(strings.ToLower(*out.Parameters[i].Value), -1)
		} else if !slices.Contains(out.InvalidParameters, name) {
			unanswered = errNotAnswered
		}
	}
	return found, unanswered
}

// isNamed reports whether a parameter is the one that was asked for: by name or ARN, and maybe by its version or a label
// after a colon. SSM's answer has that in another field, with the colon (AWS CLI Command Reference, get-parameters).
func isNamed(parameter *types.Parameter, asked string) bool {
	selector := strings.TrimPrefix(aws.ToString(parameter.Selector), ":")
	if selector != "" {
		selector = ":" + selector
	}
	return asked == aws.ToString(parameter.Name)+selector || asked == aws.ToString(parameter.ARN)+selector
}

// resolvePrefix is what stands before an SSM parameter in the place of an image id (EC2 User Guide, "Create an Amazon EC2
// launch template", "Use a Systems Manager parameter instead of an AMI ID").
const resolvePrefix = "resolve:ssm:"

var (
	errUnknownForm = errors.New("what names an image begins with resolve: in a way that is not understood")
	errForeign     = errors.New("a parameter that names an image belongs to another account or region, and cannot be read")
)

// resolveParameters finds the images that are named by SSM parameters: by name, name:version or name:label, public
// parameter, or ARN, which may belong to another account that shares it. One that the account itself does not have
// names no image. Of one that belongs to another account nobody knows: it may be there and not be shared with the janitor.
func (s *search) resolveParameters(ctx context.Context) {
	var names []string
	for _, given := range slices.Sorted(maps.Keys(s.unresolved)) {
		if name, ok := strings.CutPrefix(given, resolvePrefix); ok {
			names = append(names, name)
		} else {
			s.gapOf(s.unresolved[given], errUnknownForm)
		}
	}
	images, err := s.imagesIn(ctx, names)
	for _, name := range names {
		users := s.unresolved[resolvePrefix+name]
		ids, exists := images[name]
		for _, id := range ids {
			for _, by := range users {
				s.use(by, &id)
			}
		}
		switch {
		case err != nil:
			s.gapOf(users, err)
		case !exists && !s.isOwnParameter(name):
			s.gapOf(users, errForeign)
		}
	}
}

// isOwnParameter reports whether a parameter belongs to this account and region, or to AWS.
func (s *search) isOwnParameter(name string) bool {
	return !strings.HasPrefix(name, "arn:") || strings.HasPrefix(name, s.arn("ssm", "parameter/"))
}

// gapOf records that the sources that came upon something could not follow it.
func (s *search) gapOf(references []ami.Reference, err error) {
	sources := map[string]bool{}
	for _, reference := range references {
		if !sources[reference.Source] {
			sources[reference.Source] = true
			s.gap(reference.Source, err, s.everybody...)
		}
	}
}
