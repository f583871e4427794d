package digest

import (
	"slices"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/plain"
	"github.com/ami-janitor/ami-janitor/pkg/record"
)

// launchDataComplaints complains once about every region where launch data is missing.
func (r run) launchDataComplaints() []complaint {
	var complaints []complaint
	for _, region := range r.Regions {
		if i := slices.IndexFunc(region.Images, record.Image.LaunchDataMissing); i >= 0 {
			reason, _ := region.Images[i].Reason(ami.ReasonLaunchDataMissing)
			complaints = append(complaints, complaint{plain.Text(region.Region), "", reason.Detail})
		}
	}
	return complaints
}

func launchDataRemedy(region string) string {
	return "Look at an image that has been launched:\naws ec2 describe-image-attribute --region " + region +
		" --attribute lastLaunchedTime --image-id IMAGE_ID\nIf there is no time either, open a case with AWS Support."
}

// launchDataProblems says that launch data is missing, and what to do about that.
func (r run) launchDataProblems() []Problem {
	complaints, region := r.launchDataComplaints(), "REGION"
	var regions []string
	for _, c := range complaints {
		regions = append(regions, c.subject)
	}
	if len(complaints) == 1 {
		region = regions[0]
	}
	remedy := func(string) string { return launchDataRemedy(region) }
	problems := grouped(complaints, remedy, func(int) string {
		return "Launch data is missing in " + fewRegions(regions) + ": EC2 reports no last launch of any image there, although an instance " +
			"launched more than 48 hours ago runs an image of the account. That keeps " + count(r.Count(record.Image.LaunchDataMissing), "AMI") +
			" without a launch on record."
	})
	for i := range problems {
		problems[i].Short = "Launch data missing"
		problems[i].says = func(n int) string {
			return "Launch data is missing in " + count(n, "region") + ", which keeps AMIs without a launch on record."
		}
	}
	return problems
}
