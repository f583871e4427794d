// Package report draws the records of runs as one HTML page.
//
// It is pure: records in, bytes out. It executes a template, so the function that removes must not
// import it.
package report
