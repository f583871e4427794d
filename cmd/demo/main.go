// Command demo invokes the built Lambda function on the sample account, prints the digest that it
// sends, rehearses the nights that follow, and draws a page about all of them. It talks to nothing
// but this machine.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
	"github.com/ami-janitor/ami-janitor/pkg/report"
	"github.com/ami-janitor/ami-janitor/pkg/runtimeapi"
)

const region = "us-east-1"

// nights is how many nights the page shows: the one of the function, and those that follow.
const nights = 5

// variables are the policy of all nights.
var variables = []string{
	"AWS_REGION=" + region,
	"STACK_NAME=ami-janitor",
	"DRY_RUN=false",
	"MAX_DEREGISTRATIONS=8",
	"TOPIC_ARN=arn:aws:sns:us-east-1:123456789012:ami-janitor",
	"RECORDS=s3://" + emulator.RecordsBucket,
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demo BOOTSTRAP REPORT")
		os.Exit(2)
	}
	if err := demo(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, bootstrap, page string) error {
	var sinceTonight time.Duration
	clock := func() time.Time { return time.Now().Add(sinceTonight) }
	account, err := emulator.Load(sample.Files(clock(), region), emulator.Options{Now: clock})
	if err != nil {
		return err
	}
	if err := invoke(ctx, bootstrap, account); err != nil {
		return err
	}
	for _, message := range account.Published() {
		fmt.Printf("Subject: %s\n\n%s\n", message.Subject, message.Message)
	}
	for range nights - 1 {
		sinceTonight += 24 * time.Hour
		if err := rehearse(ctx, account, clock); err != nil {
			return err
		}
	}
	if err := draw(ctx, account, page); err != nil {
		return err
	}
	fmt.Printf("\nTonight and the %d nights after it, with pictures: %s\n", nights-1, page)
	return nil
}

// invoke runs the function's own binary.
func invoke(ctx context.Context, bootstrap string, account *emulator.Account) error {
	server := httptest.NewServer(http.Handler(account))
	defer server.Close()
	result, err := runtimeapi.Invoke(ctx, runtimeapi.Invocation{
		Bootstrap: bootstrap,
		Environment: append([]string{
			"AWS_ENDPOINT_URL=" + server.URL,
			"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
			"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		}, variables...),
		Event:    []byte("{}"),
		Deadline: time.Now().Add(15 * time.Minute),
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, result.Log)
	}
	if result.Error != nil {
		return fmt.Errorf("the function failed: %s", result.Error)
	}
	return nil
}

// emulated is the account as AWS.
func emulated(account *emulator.Account) aws.Config {
	return aws.Config{
		Region: region, HTTPClient: account.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
	}
}

// rehearse carries out the run of a later night, as the function would.
func rehearse(ctx context.Context, account *emulator.Account, clock func() time.Time) error {
	policy, err := config.Parse(func(name string) string {
		for _, variable := range variables {
			if value, is := strings.CutPrefix(variable, name+"="); is {
				return value
			}
		}
		return ""
	})
	if err != nil {
		return err
	}
	j := janitor.Janitor{Config: policy, AWS: emulated(account), Clock: clock, Version: "demo"}
	return janitor.Err(j.Run(ctx, ami.NewRunID(clock(), rand.Reader), false))
}

// draw writes the page about the runs whose records are in the account's bucket.
func draw(ctx context.Context, account *emulator.Account, page string) error {
	records, err := journal.Open("s3://"+emulator.RecordsBucket, emulated(account))
	if err != nil {
		return err
	}
	made, err := collect(ctx, records)
	if err != nil {
		return err
	}
	file, err := os.Create(page) //nolint:gosec // The user names the file.
	if err != nil {
		return err
	}
	if err := made.HTML(file); err != nil {
		return err
	}
	return file.Close()
}

// collect reads all records, oldest first: what is new and where images stand depends on the order.
func collect(ctx context.Context, records *journal.Journal) (report.Report, error) {
	recorded, err := records.Recorded(ctx)
	if err != nil {
		return report.Report{}, err
	}
	var made report.Report
	for _, r := range slices.Backward(recorded) {
		text, err := records.Record(ctx, r.Run)
		if err != nil {
			return report.Report{}, err
		}
		run, err := record.Parse(text)
		if err != nil {
			return report.Report{}, err
		}
		made.Add(run)
	}
	return made, nil
}
