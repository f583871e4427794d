package emulator

import "maps"

// stsActions are the emulated actions of STS.
var stsActions = map[string]action{
	"AssumeRole":        {assumeRole, []string{"DurationSeconds", "ExternalId", "Policy", "RoleArn", "RoleSessionName"}},
	"GetCallerIdentity": {getCallerIdentity, nil},
}

// getCallerIdentity answers with the role that was assumed, or else with what the account directory
// says, whoever calls.
func getCallerIdentity(c *call) (object, error) {
	if c.session == nil {
		return c.account.identity, nil
	}
	identity := maps.Clone(c.account.identity)
	identity["Arn"], identity["UserId"] = c.session.arn, c.session.userID
	return identity, nil
}

// callerARN is the ARN of who calls.
func (c *call) callerARN() string {
	if c.session != nil {
		return c.session.arn
	}
	return text(c.account.identity, "Arn")
}
