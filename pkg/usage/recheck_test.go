package usage_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// Just before a removal EC2 is asked for references again; without that source, for the instances
// of just these images.
func TestRecheck(t *testing.T) {
	for name, test := range map[string]struct {
		names        []string
		action, says string
	}{
		"references":         {[]string{"references", "instances"}, "DescribeImageReferences", "references"},
		"instances":          {[]string{"instances", "launch-templates"}, "DescribeInstances", "instances"},
		"neither_of_the_two": {[]string{"launch-templates"}, "DescribeInstances", "instances"},
		"no_source_at_all":   {nil, "DescribeInstances", "instances"},
	} {
		t.Run(name, func(t *testing.T) {
			account := holding(t, instances(imageID(1), "running"))
			asked := lookup(candidates(3))
			asked.Names, asked.Reports, asked.Originals = test.names, true, []ami.Image{{ID: imageID(9)}}
			want := findings{
				imageID(1): {Use: ami.Used, References: []ami.Reference{{Source: test.says, Type: "ec2:Instance", ARN: instance(1).ARN}}},
				imageID(2): {Use: ami.Unused}, imageID(3): {Use: ami.Unused},
			}
			if diff := cmp.Diff(want, usage.Recheck(t.Context(), clients(account.Client()), asked).Images); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]int{test.action: 1}, callsOf(account)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			for name, fault := range faults {
				synctest.Test(t, func(t *testing.T) {
					evidence := usage.Recheck(t.Context(), clients(fault.fault(account.Client(), test.action, nil)), asked)
					for n := 1; n <= 3; n++ {
						gap(t, evidence, imageID(n), test.says, fault.says)
					}
					if len(evidence.Images) != 3 {
						t.Errorf("%s: evidence %+v", name, evidence)
					}
				})
			}
		})
	}
}

// No more images are named in a filter than it takes. The instances that services manage count.
func TestRecheckOfManyImages(t *testing.T) {
	managed := instances(imageID(1), "running")
	list := managed["describe-instances.json"].(object)["Reservations"].([]object)[0]["Instances"].([]object)
	list[0]["Operator"] = object{"Managed": true}
	account := holding(t, managed)
	var a asked
	asked := lookup(candidates(450), "instances")
	evidence := usage.Recheck(t.Context(), clients(a.by(account.Client())), asked)
	if evidence.Images[imageID(1)].Use != ami.Used || len(evidence.Images) != 450 {
		t.Errorf("%+v, and evidence for %d images", evidence.Images[imageID(1)], len(evidence.Images))
	}
	var seen []string
	for _, form := range a.forms["DescribeInstances"] {
		if form.Get("Filter.1.Name") != "image-id" || form.Get("MaxResults") != "1000" || form.Get("IncludeManagedResources") != "true" || form.Has("Filter.1.Value.201") {
			t.Errorf("asked with %v", form)
		}
		for n := 1; form.Has(fmt.Sprintf("Filter.1.Value.%d", n)); n++ {
			seen = append(seen, form.Get(fmt.Sprintf("Filter.1.Value.%d", n)))
		}
	}
	if slices.Sort(seen); len(a.forms["DescribeInstances"]) != 3 || len(slices.Compact(seen)) != 450 {
		t.Errorf("%d calls for %d images, want 3 for 450", len(a.forms["DescribeInstances"]), len(seen))
	}
}

func TestRecheckOfNothing(t *testing.T) {
	account := holding(t, nil)
	for _, name := range []string{"references", "instances"} {
		if evidence := usage.Recheck(t.Context(), clients(account.Client()), lookup(nil, name)); len(evidence.Images) > 0 {
			t.Errorf("evidence %+v", evidence)
		}
	}
	if calls := account.Calls(); len(calls) > 0 {
		t.Errorf("calls %+v", calls)
	}
}
