package emulator

// stsActions are the emulated actions of STS.
var stsActions = map[string]action{
	"GetCallerIdentity": {getCallerIdentity, nil},
}

// getCallerIdentity answers with what the account directory says, whoever calls.
func getCallerIdentity(c *call) (object, error) {
	return c.account.identity, nil
}
