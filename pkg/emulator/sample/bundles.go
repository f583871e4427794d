package sample

// bundleBucket is the bucket with the bundle of the sample's instance-store image.
const bundleBucket = "example-bundles"

// renderNode is a manifest as ec2-bundle-image writes it, without what EC2 needs to read the parts.
const renderNode = `<?xml version='1.0'?><manifest><version>2007-10-10</version>` +
	`<bundler><name>ec2-ami-tools</name><version>1.5</version><release>7</release></bundler>` +
	`<machine_configuration><architecture>x86_64</architecture></machine_configuration>` +
	`<image><name>render-node</name><user>` + accountID + `</user><type>machine</type><parts count='2'>` +
	`<part index='0'><filename>render-node.part.0</filename><digest algorithm='SHA1'>da39a3ee5e6b4b0d3255bfef95601890afd80709</digest></part>` +
	`<part index='1'><filename>render-node.part.1</filename><digest algorithm='SHA1'>da39a3ee5e6b4b0d3255bfef95601890afd80709</digest></part>` +
	`</parts></image></manifest>`

// bundles are the objects of S3 that the sample's instance-store image was registered from.
func bundles() map[string]any {
	return map[string]any{
		"s3-buckets.json": object{"Buckets": []object{{
			"Name": bundleBucket, "Versioning": object{"Status": "Enabled"},
			"Rules": []object{{
				"ID": "old-versions", "Status": "Enabled", "Filter": object{"Prefix": ""}, "NoncurrentVersionExpiration": object{"NoncurrentDays": 30},
			}},
		}}},
		"s3/" + bundleBucket + "/render-node.manifest.xml": []byte(renderNode),
		"s3/" + bundleBucket + "/render-node.part.0":       []byte("the first part\n"),
		"s3/" + bundleBucket + "/render-node.part.1":       []byte("the second part\n"),
	}
}
