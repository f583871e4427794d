package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ami-janitor/pkg/emulator"
)

// copied is the choice of an emulated account.
type copied struct {
	flags     *pflag.FlagSet
	directory *string
	now       *string
	lookup    func(string) string
}

func addCopied(command *cobra.Command, lookup func(string) string) copied {
	return copied{
		flags:     command.Flags(),
		directory: command.Flags().String("account", "", "directory of AWS CLI output that describes the account; the built-in sample if not set"),
		now:       command.Flags().String("now", "", "what time it is in the emulated account, in RFC 3339; the real time if not set"),
		lookup:    lookup,
	}
}

// load returns the emulated account and its clock.
func (c copied) load() (*emulator.Account, func() time.Time, error) {
	clock := time.Now
	if *c.now != "" {
		now, err := time.Parse(time.RFC3339, *c.now)
		if err != nil {
			return nil, nil, fmt.Errorf("--now: %q is not a time such as 2026-11-23T02:00:00Z", *c.now)
		}
		clock = func() time.Time { return now }
	}
	options := emulator.Options{Region: c.region(), Now: clock}
	if !c.flags.Changed("account") {
		account, err := emulator.LoadSample(options)
		return account, clock, err
	}
	account, err := emulator.Load(os.DirFS(*c.directory), options)
	if err != nil {
		err = fmt.Errorf("--account %q: %w", *c.directory, err)
	}
	return account, clock, err
}

func (c copied) region() string {
	if region := c.lookup("AWS_REGION"); region != "" {
		return region
	}
	return "us-east-1"
}

func rehearseCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "rehearse",
		Short: "Carry out tonight's run on a copy of an account; the real one is never talked to",
		Args:  cobra.NoArgs,
	}
	settings := addSettings(command, lookup)
	copied := addCopied(command, lookup)
	output := addOutput(command)
	dryRun := command.Flags().Bool("dry-run", false, "stop after the plan")
	stateOut := command.Flags().String("state-out", "", "directory for the account as the run leaves it")
	command.RunE = func(command *cobra.Command, _ []string) error {
		parsed, err := settings.parse()
		if err != nil {
			return err
		}
		account, clock, err := copied.load()
		if err != nil {
			return err
		}
		j := newJanitor(parsed, emulated(account, copied.region()), clock)
		printer := output.printer(std)
		printer.heading = "REHEARSAL on a copy: whatever it says, no real account was changed.\n\n"
		result := carryOut(command.Context(), j, *dryRun, printer)
		if *stateOut != "" {
			if err := account.Save(*stateOut); err != nil {
				_, _ = fmt.Fprintln(std.err, "ami-janitor: writing the state:", err)
				return exitStatus(exitRegionFailed)
			}
		}
		return result
	}
	return command
}

// emulated is the AWS configuration of an emulated account, with the credentials of AWS's documentation.
func emulated(account *emulator.Account, region string) aws.Config {
	return aws.Config{
		Region:      region,
		HTTPClient:  account.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""),
	}
}

func emulateCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "emulate",
		Short: "Serve a copy of an account to the AWS CLI and to any SDK",
		Args:  cobra.NoArgs,
	}
	copied := addCopied(command, lookup)
	listen := command.Flags().String("listen", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	command.RunE = func(command *cobra.Command, _ []string) error {
		account, _, err := copied.load()
		if err != nil {
			return err
		}
		listener, err := listenOnLoopback(command.Context(), *listen)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(std.out, "http://%s\n", listener.Addr())
		return serve(command.Context(), listener, account)
	}
	return command
}

// listenOnLoopback refuses every other address: whoever can reach the emulator can read the account.
func listenOnLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--listen: %s is not a loopback address", host)
	}
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", address)
}

// serve answers until it is interrupted.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
