package emulator

import (
	"cmp"
	"net/http"
	"regexp"
)

// lambdaService is the name of Lambda in a signature's scope.
const lambdaService = "lambda"

// lambdaActions are the emulated actions of Lambda.
var lambdaActions = map[string]action{
	"GetFunctionConfiguration": {getFunctionConfiguration, []string{"FunctionName", "Qualifier"}},
}

// lambdaRoutes say where its actions are found.
var lambdaRoutes = []route{
	{http.MethodGet, "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration", http.StatusOK},
}

// functionName is how a function is named: by its name, its ARN or a part of that, each with a
// version or an alias if need be. The groups are the region, the account, the name and the version
// (AWS Lambda API Reference, GetFunctionConfiguration; the pattern is that of AWS's service model).
var functionName = regexp.MustCompile(`^(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d:)?(\d{12}:)?(?:function:)?([a-zA-Z0-9_.-]+)(?::(\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?$`)

// latest is the version of a function that can be changed.
const latest = "$LATEST"

// getFunctionConfiguration shows the settings of a function. A version that the account directory
// has no answer about does not exist, and neither does any alias.
func getFunctionConfiguration(c *call) (object, error) {
	parts := functionName.FindStringSubmatch(c.text("FunctionName"))
	if parts == nil {
		return nil, c.invalid("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern", c.text("FunctionName"))
	}
	region, account, name := cmp.Or(parts[1], c.region.name+":"), cmp.Or(parts[2], c.account.id+":"), parts[3]
	version := cmp.Or(parts[4], c.text("Qualifier"), latest)
	for _, answer := range c.region.items(functionsFile) {
		if text(answer, "FunctionName") == name && cmp.Or(text(answer, "Version"), latest) == version &&
			region == c.region.name+":" && account == c.account.id+":" {
			return answer, nil
		}
	}
	arn := c.arn(lambdaService, "function:"+name)
	if version != latest {
		arn += ":" + version
	}
	return nil, &Error{http.StatusNotFound, "ResourceNotFoundException", "Function not found: " + arn}
}
