package emulator_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestWhatCannotBeRegistered(t *testing.T) {
	a := load(t, directory("describe-images.json", `{"Images": [
		{"ImageId": "ami-0000000a", "Name": "taken", "OwnerId": "`+self+`", "State": "disabled"},
		{"ImageId": "ami-0000000b", "Name": "of others", "OwnerId": "`+other+`"}]}`,
		"describe-snapshots.json", `{"Snapshots": [
		{"SnapshotId": "snap-0000000a", "OwnerId": "`+self+`", "State": "completed", "VolumeSize": 8, "Encrypted": true},
		{"SnapshotId": "snap-0000000b", "OwnerId": "`+self+`", "State": "pending", "VolumeSize": 8},
		{"SnapshotId": "snap-0000000c", "OwnerId": "`+self+`", "State": "error", "VolumeSize": 8},
		{"SnapshotId": "snap-0000000d", "OwnerId": "`+other+`", "State": "completed", "VolumeSize": 8}]}`))
	client := ec2Client(a.Client())
	mapping := func(id string) func(*ec2.RegisterImageInput) {
		return func(i *ec2.RegisterImageInput) { i.BlockDeviceMappings[0].Ebs.SnapshotId = &id }
	}
	tagged := func(kind types.ResourceType, key string) func(*ec2.RegisterImageInput) {
		return func(i *ec2.RegisterImageInput) {
			i.TagSpecifications[0].ResourceType, i.TagSpecifications[0].Tags[0].Key = kind, &key
		}
	}
	for _, test := range []struct {
		name   string
		change func(*ec2.RegisterImageInput)
		want   string
	}{
		{"a short name", func(i *ec2.RegisterImageInput) { i.Name = aws.String("ab") }, "InvalidAMIName.Malformed"},
		{"a name with a colon", func(i *ec2.RegisterImageInput) { i.Name = aws.String("a:trial") }, "InvalidAMIName.Malformed"},
		{"a name of its own", func(i *ec2.RegisterImageInput) { i.Name = aws.String("taken") }, "InvalidAMIName.Duplicate"},
		{"no root device", func(i *ec2.RegisterImageInput) { i.RootDeviceName = nil }, "InvalidBlockDeviceMapping"},
		{"another root device", func(i *ec2.RegisterImageInput) { i.RootDeviceName = aws.String("/dev/sda1") }, "InvalidBlockDeviceMapping"},
		{"a smaller volume", func(i *ec2.RegisterImageInput) { i.BlockDeviceMappings[0].Ebs.VolumeSize = aws.Int32(7) }, "InvalidBlockDeviceMapping"},
		{"an encryption", func(i *ec2.RegisterImageInput) { i.BlockDeviceMappings[0].Ebs.Encrypted = aws.Bool(true) }, "UnknownParameter"},
		{"a snapshot that is pending", mapping("snap-0000000b"), "IncorrectState"},
		{"a snapshot in error", mapping("snap-0000000c"), "IncorrectState"},
		{"a snapshot of others", mapping("snap-0000000d"), "AuthFailure"},
		{"no snapshot", mapping("snap-0000000e"), "InvalidSnapshot.NotFound"},
		{"no snapshot's id", mapping("ami-0000000a"), "InvalidSnapshotID.Malformed"},
		{"a boot mode", func(i *ec2.RegisterImageInput) { i.BootMode = "bios" }, "InvalidParameterValue"},
		{"a tag for its snapshot", tagged(types.ResourceTypeSnapshot, "team"), "InvalidParameterValue"},
		{"a reserved tag", tagged(types.ResourceTypeImage, "aws:team"), "InvalidParameterValue"},
		{"what is not emulated", func(i *ec2.RegisterImageInput) { i.KernelId = aws.String("aki-00000000") }, "UnknownParameter"},
		{"a dry run", func(i *ec2.RegisterImageInput) { i.DryRun = aws.Bool(true) }, "DryRunOperation"},
	} {
		input := registration("snap-0000000a")
		test.change(input)
		_, err := client.RegisterImage(t.Context(), input)
		equal(t, test.name, code(err), test.want)
	}
	images, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil || len(images.Images) != 0 {
		t.Errorf("%+v, %v", images, err)
	}

	input := registration("snap-0000000a")
	input.Name, input.BlockDeviceMappings[0].Ebs.VolumeSize = aws.String("of others"), aws.Int32(9)
	out, err := client.RegisterImage(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	images, err = client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{*out.ImageId}})
	if err != nil {
		t.Fatal(err)
	}
	volume := images.Images[0].BlockDeviceMappings[0].Ebs
	equal(t, "volume", []any{*volume.Encrypted, *volume.VolumeSize, *volume.DeleteOnTermination}, []any{true, int32(9), true})

	_, err = client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: out.ImageId, DryRun: aws.Bool(true)})
	equal(t, "a dry run of its removal", code(err), "DryRunOperation")
	if err := deregister(t.Context(), client, *out.ImageId); err != nil {
		t.Fatal(err)
	}
	again, err := client.RegisterImage(t.Context(), input)
	if err != nil || *again.ImageId == *out.ImageId {
		t.Errorf("%+v, %v", again, err)
	}
}
