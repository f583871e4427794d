package emulator

// iamActions are the emulated actions of IAM.
var iamActions = map[string]action{
	"GetRole":            {getRole, []string{"RoleName"}},
	"ListAccountAliases": {listAccountAliases, []string{"Marker", "MaxItems"}},
	"SimulatePrincipalPolicy": {
		simulatePrincipalPolicy, []string{"ActionNames", "ContextEntries", "Marker", "MaxItems", "PolicySourceArn", "ResourceArns"},
	},
}

// iamService is not one of a region: whoever asks it hears of the account.
const iamService = "iam"

// listAccountAliases lists the alias of the account: there is one at most, so that there are no
// pages.
func listAccountAliases(c *call) (object, error) {
	aliases, _ := c.region.documents[aliasesFile].fields["AccountAliases"].([]any)
	return object{"AccountAliases": aliases, "IsTruncated": false}, nil
}
