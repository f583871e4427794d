package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ami-janitor/ami-janitor/pkg/digest"
	"github.com/ami-janitor/ami-janitor/pkg/doctor"
	"github.com/ami-janitor/ami-janitor/pkg/pace"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
)

// doctorSettings are the variables on which it depends what runs need, and where.
var doctorSettings = []string{
	"REGIONS", "EXCEPT_REGIONS", "USAGE_SOURCES", "CLOUDFORMATION_TEMPLATES", "TEXT_OBJECTS", "LAUNCH_TEMPLATE_VERSIONS", "KEEP_LIST", "KEEP_LIST_MAX_AGE",
	"SHARED_IMAGES", "IMAGE_BUILDER_IMAGES", "GRACE", "GRACE_ACTION", "DELETE_SNAPSHOTS", "ORPHANED_SNAPSHOTS", "RECYCLE_BIN_DAYS", "REQUIRE_RECYCLE_BIN", "EC2_SHARE",
}

func doctorCommand(std streams, lookup func(string) string) *cobra.Command {
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Check a deployment, or your own rights",
		Long: `Checks what a run needs, and changes nothing. With --stack it checks a
deployment: what its role may do, by IAM's simulation; every source of evidence,
once in each region; the Recycle Bin, the records, topics, alarms, the schedule
and the last run. Without it, it checks what you may do yourself. Only AWS's
answers to real calls are more than simulated.

Exit status:
  0  all is well, or there are only notes
  1  the credentials do not work
  2  wrong usage
  3  something is wrong, or could not be checked`,
		Example: examples(
			"doctor --stack ami-janitor    # AWS_REGION is the stack's region",
			"doctor --profile prod --regions eu-west-1,us-east-1",
			"doctor --stack ami-janitor --output json",
		),
		Args: cobra.NoArgs,
	}
	chosen := outputTable
	addOutputFlag(command, &outputFlag{&chosen, []output{outputTable, outputJSON}}, "table or json")
	profile, region := addAccount(command)
	settings := addSome(command, lookup, func(variable string) bool { return slices.Contains(doctorSettings, variable) })
	settings.profile, settings.region = profile, region
	settings.stack = command.Flags().String("stack", "", "check the deployment of this stack, given by name or ARN")
	group(command.Flag("stack"), flagsWhere)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return examine(command.Context(), std, settings, chosen)
	}
	return command
}

// examine checks, prints what it has found, and turns that into an exit status.
func examine(ctx context.Context, std streams, settings settings, chosen output) error {
	subject, err := settings.subject(ctx, std)
	if err != nil {
		return err
	}
	printer := &printer{streams: std}
	end := printer.begin(ctx, askingAWS)
	report := doctor.Examine(ctx, subject)
	end()
	if chosen == outputJSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		_, err = fmt.Fprint(std.out, findingsText(report, widthOf(std.out), isTerminal(std.out)))
	}
	switch {
	case err != nil:
		return err
	case report.Account == "":
		return exitStatus(exitRegionFailed)
	case report.Count(doctor.Wrong)+report.Count(doctor.Unchecked) > 0:
		return exitStatus(exitRemovalFailed)
	default:
		return nil
	}
}

// subject is what is examined: a deployment with its settings, or the rights of whoever asks. A
// function that cannot be read is for the examination to tell.
func (s settings) subject(ctx context.Context, std streams) (doctor.Subject, error) {
	account, err := s.awsConfig(ctx)
	if err != nil {
		return doctor.Subject{}, err
	}
	var deployment *doctor.Deployment
	if *s.stack != "" {
		deployment = deploymentOf(ctx, &account, *s.stack)
	}
	if deployment != nil && deployment.Unread != nil {
		s.stack = new(string) // Nobody knows its settings.
	}
	policy, err := s.parse(ctx, &account, std)
	if err != nil {
		return doctor.Subject{}, err
	}
	if account.Region = cmp.Or(account.Region, policy.FirstRegion()); account.Region == "" {
		return doctor.Subject{}, fmt.Errorf("no region: give --region or --regions, or set AWS_REGION")
	}
	pace.New(policy.EC2Share).Apply(&account)
	j := newJanitor(policy, account, time.Now)
	j.RecordsOf = ownRecords(s.lookup)
	j.BorrowedRecords = true
	return doctor.Subject{Janitor: j, Deployment: deployment}, nil
}

// deploymentOf finds the function of a stack and its role.
func deploymentOf(ctx context.Context, account *aws.Config, stack string) *doctor.Deployment {
	if parsed, err := arn.Parse(stack); err == nil {
		account.Region = parsed.Region
	}
	d := &doctor.Deployment{Stack: stack, Region: account.Region}
	from, err := findDeployed(ctx, *account, stack, "")
	if err != nil {
		d.Unread = err
		return d
	}
	d.Function = from.name
	out, err := lambda.NewFromConfig(*account).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &from.name})
	if err != nil {
		d.Unread = err
		return d
	}
	d.Role = aws.ToString(out.Role)
	return d
}

// findingsText is a table of what was found, the worst first, with the remedy below each.
func findingsText(report doctor.Report, width int, colour bool) string {
	s := newSheet(width, colour)
	level, check, only := 0, 0, onlyRegion(report)
	for _, f := range report.Findings {
		level, check = max(level, len(f.Level)), max(check, len(checkOf(f, only)))
	}
	check = min(check, s.width/3)
	found := s.width - level - check - 2*gap
	t := plainTable()
	t.AppendHeader(table.Row{"", "check", "found"})
	for _, f := range report.Findings {
		cell := wrap(plain.Printable(f.Found), found)
		if f.Remedy != "" {
			cell += "\n" + wrap("What to do: "+plain.Printable(f.Remedy), found)
		}
		t.AppendRow(table.Row{s.paint(levelColours[f.Level], string(f.Level)), wrap(checkOf(f, only), check), cell})
	}
	s.WriteString(t.Render() + "\n\n")
	s.paragraph("", examined(report))
	s.WriteString(s.paint(text.Bold, summed(report)) + "\n")
	return s.String()
}

var levelColours = map[doctor.Level]text.Color{doctor.Wrong: text.FgRed, doctor.Unchecked: text.FgYellow, doctor.Note: text.FgCyan, doctor.Good: text.FgGreen}

// checkOf names a check and its region, unless there is only one.
func checkOf(f doctor.Finding, only string) string {
	if f.Region == only {
		return plain.Printable(f.Check)
	}
	return strings.TrimSpace(plain.Printable(f.Check) + " " + plain.Printable(f.Region))
}

// onlyRegion is the one region that findings name; empty if they name several.
func onlyRegion(report doctor.Report) string {
	only := ""
	for _, f := range report.Findings {
		switch {
		case f.Region == "" || f.Region == only:
		case only != "":
			return ""
		default:
			only = f.Region
		}
	}
	return only
}

// examined says what was checked.
func examined(report doctor.Report) string {
	what := "Checked what " + cmp.Or(plain.Printable(report.Caller), "nobody") + " may do"
	if report.Stack != "" {
		what = "Checked stack " + plain.Printable(report.Stack)
	}
	if report.Account != "" {
		what += " in account " + plain.Printable(report.Account)
		if report.AccountAlias != "" {
			what += " (" + plain.Printable(report.AccountAlias) + ")"
		}
	}
	if only := onlyRegion(report); only != "" {
		what += ", " + plain.Printable(only)
	}
	return what + "; nothing was changed."
}

// summed counts the findings in a line.
func summed(report doctor.Report) string {
	return fmt.Sprintf("%s wrong, %s not checked, %s, %s good.", digest.Thousands(int64(report.Count(doctor.Wrong))),
		digest.Thousands(int64(report.Count(doctor.Unchecked))), digest.Count(report.Count(doctor.Note), "note"), digest.Thousands(int64(report.Count(doctor.Good))))
}
