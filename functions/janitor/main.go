// The janitor's Lambda function. It is invoked by a schedule, or manually with an event of its own;
// see event.go.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/janitor"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// version is set by the linker.
var version = "dev"

func main() {
	limitMemory(os.Getenv)
	log := slog.New(lambdacontext.NewLogHandler())
	function, err := newFunction(context.Background(), os.Getenv, log)
	if err != nil {
		log.Error("the function cannot start", "faults", strings.Split(err.Error(), "\n"), "version", version)
		os.Exit(1)
	}
	log.Info("the function has started", "version", version, "policy", function.janitor.Config.Policy.String())
	lambda.Start(function.handle)
}

// limitMemory tells the garbage collector how much memory there is, unless GOMEMLIMIT does. Without
// a limit, the heap may grow to twice its live size, although Lambda kills a process that exceeds
// the function's memory (AWS Lambda Developer Guide, "Defined runtime environment variables"). Two
// fifths remain for memory outside of the limit, mainly the pages of the binary, and for exceeding
// it: it is a soft limit (package runtime/debug, SetMemoryLimit).
func limitMemory(lookup func(string) string) {
	megabytes, err := strconv.ParseInt(lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 32)
	if err == nil && megabytes > 0 && lookup("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(megabytes << 20 * 3 / 5)
	}
}

// function is the state that is built once, at the cold start.
type function struct {
	janitor janitor.Janitor
	out     io.Writer // Where the log and the metrics go, one JSON object a line.
}

func newFunction(ctx context.Context, lookup func(string) string, log *slog.Logger) (*function, error) {
	settings, faults := config.Parse(lookup)
	aws, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.LoggerFunc(
		func(_ logging.Classification, format string, values ...any) {
			log.WarnContext(ctx, "the SDK says", "what", fmt.Sprintf(format, values...))
		})))
	if err := errors.Join(faults, err); err != nil {
		return nil, err
	}
	pace.New(settings.EC2Share).Apply(&aws)
	return &function{
		janitor: janitor.Janitor{
			Config: settings, AWS: aws, Clock: time.Now, Version: version, ReadFile: readFile,
			Reader: record.Reader{
				Stack: settings.StackName, Function: lookup("AWS_LAMBDA_FUNCTION_NAME"), Home: lookup("AWS_REGION"), HasPages: settings.ReportPages,
			},
		},
		out: os.Stdout,
	}, nil
}

// readFile reads a keep list that was deployed with the function.
func readFile(path string) (text []byte, modified time.Time, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	text, err = os.ReadFile(path) //nolint:gosec // Whoever deploys the function names the file.
	return text, info.ModTime(), err
}

// handle runs the janitor once. The digest is sent, and the log is written, before an error is
// returned.
func (f *function) handle(ctx context.Context, payload json.RawMessage) (record.Answer, error) {
	event, err := parseEvent(payload)
	if err != nil {
		return record.Answer{}, fmt.Errorf("the event is not understood, and nothing was done: %w", err)
	}
	run := f.janitor.Run(ctx, ami.NewRunID(time.Now(), rand.Reader), f.janitor.Config.DryRun || bool(event.DryRun))
	unsent := f.janitor.Tell(ctx, run)
	return record.Result(run), errors.Join(janitor.Err(run), unsent, f.log(run, unsent == nil))
}

// log writes a line for each image acted on and for each leftover of earlier runs, and the metrics.
// They are JSON already; a logger would wrap the metrics.
func (f *function) log(run record.Run, digestSent bool) error {
	lines := json.NewEncoder(f.out)
	for _, line := range record.Lines(run) {
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	for _, line := range record.LeftoverLines(run) {
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return lines.Encode(json.RawMessage(record.Metrics(run, lambdacontext.FunctionName, digestSent)))
}
