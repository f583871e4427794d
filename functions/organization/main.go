// The steps of the state machine over an organization, each as a Lambda function of its own: STEP
// says which one a function is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/ami-janitor/ami-janitor/pkg/config"
	"github.com/ami-janitor/ami-janitor/pkg/organization"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// version is set by the linker.
var version = "dev"

func main() {
	log := slog.New(lambdacontext.NewLogHandler())
	function, err := newFunction(context.Background(), os.Getenv)
	if err != nil {
		log.Error("the function cannot start", "faults", strings.Split(err.Error(), "\n"), "version", version)
		os.Exit(1)
	}
	log.Info("the function has started", "version", version, "step", function.step)
	lambda.Start(function.handle)
}

// function is the state that is built once, at the cold start.
type function struct {
	step string
	hub  organization.Hub
	out  io.Writer // Where the metrics go, one JSON object a line.
}

func newFunction(ctx context.Context, lookup func(string) string) (*function, error) {
	settings, faults := config.ParseOrganization(lookup)
	home, err := awsconfig.LoadDefaultConfig(ctx)
	f := &function{
		step: lookup("STEP"),
		hub: organization.Hub{
			Config: settings, AWS: home, Clock: time.Now, Version: version, Paced: true, ReadFile: readFile,
			Reader: record.Reader{Stack: settings.StackName, Function: lookup("AWS_LAMBDA_FUNCTION_NAME"), Home: lookup("AWS_REGION")},
		},
		out: os.Stdout,
	}
	var unknown error
	if steps[f.step] == nil {
		unknown = fmt.Errorf("STEP: %q is no step of the run", f.step)
	}
	return f, errors.Join(faults, err, unknown)
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

// handle carries out the step that the function is.
func (f *function) handle(ctx context.Context, payload json.RawMessage) (any, error) {
	var state state
	if err := json.Unmarshal(payload, &state); err != nil {
		return nil, fmt.Errorf("the input is not understood, and nothing was done: %w", err)
	}
	return steps[f.step](ctx, f, state)
}
