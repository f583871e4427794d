// Package report is the record of a run and its wordings: the e-mail with its subject, the Slack message, the log lines,
// the metrics and the Lambda's answer; and the explanation of one verdict.
//
// It is pure: every wording is a function of the Run and of nothing else. It words an image from its verdict and its
// outcome together, so that it never reports as done what AWS has not confirmed, and it takes every name, tag and error
// for untrusted text: the record holds them as they are, since JSON escapes them, and all other wordings neutralise
// them (neutral.go).
package report
