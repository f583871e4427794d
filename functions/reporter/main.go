// The reporter's Lambda function: it draws a page of each record that arrives in the bucket of the
// janitor's records. It removes nothing, and the janitor never reads what it writes.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/ami-janitor/ami-janitor/pkg/journal"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// version is set by the linker.
var version = "dev"

func main() {
	log := slog.New(lambdacontext.NewLogHandler())
	function, err := newFunction(context.Background(), os.Getenv, log)
	if err != nil {
		log.Error("the function cannot start", "faults", strings.Split(err.Error(), "\n"), "version", version)
		os.Exit(1)
	}
	log.Info("the function has started", "version", version)
	lambda.Start(function.handle)
}

// function is the state that is built once, at the cold start.
type function struct {
	records *journal.Journal
	reader  record.Reader // Its region is that of the bucket.
	log     *slog.Logger
}

func newFunction(ctx context.Context, lookup func(string) string, log *slog.Logger) (*function, error) {
	place := lookup("RECORDS")
	if !strings.HasPrefix(place, "s3://") {
		return nil, fmt.Errorf("the place of the records, %q, is no s3:// URL", place)
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	records, wrong := journal.Open(place, aws)
	if err := errors.Join(err, wrong); err != nil {
		return nil, err
	}
	return &function{records, record.Reader{Stack: lookup("STACK_NAME"), Home: aws.Region}, log}, nil
}
