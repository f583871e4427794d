// Command demo invokes the built Lambda function on the sample account and prints the digest that
// it sends. It talks to nothing but this machine.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/emulator/sample"
	"github.com/ami-janitor/ami-janitor/pkg/runtimeapi"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo BOOTSTRAP")
		os.Exit(2)
	}
	if err := demo(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, bootstrap string) error {
	account, err := emulator.Load(sample.Files(time.Now(), "us-east-1"), emulator.Options{Now: time.Now})
	if err != nil {
		return err
	}
	server := httptest.NewServer(http.Handler(account))
	defer server.Close()
	result, err := runtimeapi.Invoke(ctx, runtimeapi.Invocation{
		Bootstrap: bootstrap,
		Environment: []string{
			"AWS_ENDPOINT_URL=" + server.URL,
			"AWS_REGION=us-east-1",
			"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
			"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
			"STACK_NAME=ami-janitor",
			"DRY_RUN=false",
			"MAX_DEREGISTRATIONS=8",
			"TOPIC_ARN=arn:aws:sns:us-east-1:123456789012:ami-janitor",
			"RECORDS=s3://" + emulator.RecordsBucket,
		},
		Event:    []byte("{}"),
		Deadline: time.Now().Add(15 * time.Minute),
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, result.Log)
	}
	if result.Error != nil {
		return fmt.Errorf("the function failed: %s", result.Error)
	}
	for _, message := range account.Published() {
		fmt.Printf("Subject: %s\n\n%s\n", message.Subject, message.Message)
	}
	return nil
}
