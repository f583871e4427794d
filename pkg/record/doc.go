// Package record is what a run leaves behind as data: its record, whose JSON names are a contract,
// the Lambda's answer, the log lines and the metrics.
//
// It is pure, and says nothing about how a person is told: that is pkg/digest.
package record
