// Package emulator is an AWS account in memory that speaks AWS's real wire protocol: EC2, EC2 Auto
// Scaling, the EBS direct APIs, the Recycle Bin, IAM, S3, SNS, STS and Systems Manager's
// parameters, as far as the janitor needs them, well enough for the AWS CLI, boto3 and the SDKs.
//
// An account is read from a directory of files in the AWS CLI's own output format (see Load), so
// that a real account can be exported, rehearsed on, and saved again. It holds state, pages, and
// refuses what EC2 refuses. Where AWS does not document a behaviour, the emulator chooses the
// answer that makes a janitor's job hardest; where a request carries a parameter that is not
// emulated, it says so instead of ignoring it.
//
// An Organization is several accounts, which AWS Organizations lists, and which are reached through
// STS AssumeRole from the account of the janitor's functions. Its directory holds a directory for
// each account (see LoadOrganization).
//
// Both are http.Handlers. In process they are used through their Client, which needs no socket and
// starts no goroutine. Signatures are not checked: whoever can reach the handler is the account's
// owner, or the organization's.
package emulator
