package sample

import "time"

// awsImage is an image of AWS's.
const awsImage = "ami-0abcdef1234567890"

// serviceFiles are what other services than EC2 hold, and tasks of EC2. They name AWS's images, and
// those of the account only where they are done with them.
func serviceFiles(now time.Time, region string) map[string]any {
	image := idOf("ami", images[0].name, images[0].age)
	at := func(days int) string { return now.AddDate(0, 0, -days).Format(time.RFC3339) }
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":" + region + ":" + accountID + ":" + resource
	}
	return map[string]any{
		"cloudformation-describe-stacks.json": object{"Stacks": []object{{
			"StackId": arn("cloudformation", "stack/build-agents/0ec0ffee-0000-11ef-8000-0123456789ac"), "StackName": "build-agents",
			"CreationTime": at(200), "LastUpdatedTime": at(40), "StackStatus": "UPDATE_COMPLETE", "DisableRollback": false,
			"Parameters": []object{
				{"ParameterKey": "Image", "ParameterValue": awsImage},
				{"ParameterKey": "Latest", "ParameterValue": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "ResolvedValue": awsImage},
				{"ParameterKey": "Password", "ParameterValue": "****"},
			},
			"Outputs": []object{{"OutputKey": "Group", "OutputValue": "build-agents"}}, "Tags": []object{}, "NotificationARNs": []string{}, "Capabilities": []string{},
		}}},
		"cloudformation-get-template.json": []object{{
			"StackName": "build-agents", "StagesAvailable": []string{"Original", "Processed"},
			"TemplateBody": object{"Resources": object{"Agents": object{"Type": "AWS::EC2::LaunchTemplate", "Properties": object{"LaunchTemplateData": object{"ImageId": awsImage}}}}},
		}},
		"batch-describe-compute-environments.json": object{"computeEnvironments": []object{{
			"computeEnvironmentName": "nightly", "computeEnvironmentArn": arn("batch", "compute-environment/nightly"),
			"ecsClusterArn": arn("ecs", "cluster/nightly"), "type": "MANAGED", "state": "DISABLED", "status": "VALID", "tags": object{"Team": "search"},
			"computeResources": object{
				"type": "SPOT", "minvCpus": 0, "maxvCpus": 64, "instanceTypes": []string{"optimal"}, "subnets": []string{"subnet-0123456789abcdef0"},
				"ec2Configuration": []object{{"imageType": "ECS_AL2023", "imageIdOverride": awsImage}},
			},
		}}},
		"pcs-list-clusters.json": object{"clusters": []object{{
			"id": "pcs_0123456789", "arn": arn("pcs", "cluster/pcs_0123456789"), "name": "simulation", "status": "ACTIVE", "createdAt": at(90), "modifiedAt": at(90),
		}}},
		"pcs-get-compute-node-group.json": []object{{"computeNodeGroup": object{
			"id": "pcs_abcdefghij", "arn": arn("pcs", "cluster/pcs_0123456789/computenodegroup/pcs_abcdefghij"), "clusterId": "pcs_0123456789", "name": "large",
			"status": "ACTIVE", "createdAt": at(90), "modifiedAt": at(80), "amiId": awsImage, "subnetIds": []string{"subnet-0123456789abcdef0"},
		}}},
		"rds-describe-db-engine-versions.json": object{"DBEngineVersions": []object{{
			"Engine": "custom-oracle-ee", "EngineVersion": "19.my_cev", "DBEngineVersionArn": arn("rds", "cev:custom-oracle-ee/19.my_cev/0123"),
			"Status": "inactive", "Image": object{"ImageId": awsImage, "Status": "active"}, "CreateTime": at(300),
		}}},
		"emr-list-clusters.json": object{"Clusters": []object{{
			"Id": "j-0123456789ABC", "Name": "reports", "ClusterArn": arn("elasticmapreduce", "cluster/j-0123456789ABC"), "NormalizedInstanceHours": 8,
			"Status": object{"State": "WAITING", "Timeline": object{"CreationDateTime": at(5), "ReadyDateTime": at(5)}},
		}, {
			"Id": "j-1123456789ABC", "Name": "features", "ClusterArn": arn("elasticmapreduce", "cluster/j-1123456789ABC"), "NormalizedInstanceHours": 8,
			"Status": object{"State": "RUNNING", "Timeline": object{"CreationDateTime": at(4), "ReadyDateTime": at(4)}},
		}}},
		"emr-describe-cluster.json": []object{{"Cluster": object{
			"Id": "j-0123456789ABC", "Name": "reports", "ClusterArn": arn("elasticmapreduce", "cluster/j-0123456789ABC"), "InstanceCollectionType": "INSTANCE_GROUP",
			"CustomAmiId": awsImage, "Status": object{"State": "WAITING"},
			"InstanceGroups": []object{{"Id": "ig-0123456789ABC", "InstanceGroupType": "TASK", "RequestedInstanceCount": 0, "CustomAmiId": awsImage}},
		}}, {"Cluster": object{
			"Id": "j-1123456789ABC", "Name": "features", "ClusterArn": arn("elasticmapreduce", "cluster/j-1123456789ABC"), "InstanceCollectionType": "INSTANCE_FLEET",
			"Status":         object{"State": "RUNNING"},
			"InstanceFleets": []object{{"Id": "if-0123456789ABC", "InstanceFleetType": "TASK", "InstanceTypeSpecifications": []object{{"InstanceType": "m7g.xlarge", "CustomAmiId": awsImage}}}},
		}}},
		"sagemaker-list-clusters.json": object{"ClusterSummaries": []object{{
			"ClusterName": "training", "ClusterArn": arn("sagemaker", "cluster/0123456789ab"), "ClusterStatus": "InService", "CreationTime": at(30),
		}}},
		"sagemaker-describe-cluster.json": []object{{
			"ClusterName": "training", "ClusterArn": arn("sagemaker", "cluster/0123456789ab"), "ClusterStatus": "InService", "CreationTime": at(30),
			"InstanceGroups": []object{
				{"InstanceGroupName": "workers", "CurrentCount": 0, "TargetCount": 0, "CurrentImageId": awsImage, "DesiredImageId": awsImage},
				{"InstanceGroupName": "head", "CurrentCount": 1, "TargetCount": 1, "CurrentImageId": "default"},
			},
		}},
		"imagebuilder-list-image-recipes.json": object{"imageRecipeSummaryList": []object{{
			"arn": arn("imagebuilder", "image-recipe/hardened/1.0.0"), "name": "hardened", "owner": accountID, "platform": "Linux", "dateCreated": at(60),
			"parentImage": "arn:aws:imagebuilder:" + region + ":aws:image/amazon-linux-2023-arm64/x.x.x", "tags": object{"Team": "platform"},
		}}},
		"imagebuilder-list-container-recipes.json": object{"containerRecipeSummaryList": []object{{
			"arn": arn("imagebuilder", "container-recipe/runner/1.0.0"), "name": "runner", "owner": accountID, "containerType": "DOCKER", "platform": "Linux",
			"parentImage": "amazonlinux:latest", "instanceImage": awsImage, "dateCreated": at(60),
		}}},
		"elasticbeanstalk-describe-applications.json": object{"Applications": []object{{
			"ApplicationArn": arn("elasticbeanstalk", "application/shop"), "ApplicationName": "shop", "DateCreated": at(300), "DateUpdated": at(300),
			"Versions": []string{"v7"}, "ConfigurationTemplates": []string{"large"},
		}}},
		"elasticbeanstalk-describe-environments.json": object{"Environments": []object{{
			"ApplicationName": "shop", "EnvironmentName": "shop-test", "EnvironmentId": "e-0123456789", "DateCreated": at(20), "DateUpdated": at(20),
			"EnvironmentArn": arn("elasticbeanstalk", "environment/shop/shop-test"), "Status": "Ready", "Health": "Green", "AbortableOperationInProgress": false,
		}}},
		"elasticbeanstalk-describe-configuration-settings.json": []object{
			{"ConfigurationSettings": []object{{
				"ApplicationName": "shop", "EnvironmentName": "shop-test", "DeploymentStatus": "deployed", "DateCreated": at(20), "DateUpdated": at(20),
				"OptionSettings": []object{{"Namespace": "aws:autoscaling:launchconfiguration", "OptionName": "ImageId", "Value": awsImage}},
			}}},
			{"ConfigurationSettings": []object{{
				"ApplicationName": "shop", "TemplateName": "large", "DateCreated": at(200), "DateUpdated": at(200),
				"OptionSettings": []object{{"Namespace": "aws:autoscaling:launchconfiguration", "OptionName": "ImageId", "Value": awsImage}},
			}}},
		},
		"elasticbeanstalk-list-platform-versions.json": object{"PlatformSummaryList": []object{{
			"PlatformArn": arn("elasticbeanstalk", "platform/hardened/1.0.0"), "PlatformOwner": "self", "PlatformStatus": "Ready",
		}}},
		"elasticbeanstalk-describe-platform-version.json": []object{{"PlatformDescription": object{
			"PlatformArn": arn("elasticbeanstalk", "platform/hardened/1.0.0"), "PlatformOwner": "self", "PlatformName": "hardened", "PlatformVersion": "1.0.0",
			"PlatformStatus": "Ready", "DateCreated": at(100), "DateUpdated": at(100), "CustomAmiList": []object{{"VirtualizationType": "HVM", "ImageId": awsImage}},
		}}},
		"describe-export-image-tasks.json": object{"ExportImageTasks": []object{{
			"ExportImageTaskId": "export-ami-0123456789abcdef0", "ImageId": image, "Status": "completed",
			"S3ExportLocation": object{"S3Bucket": "amzn-s3-demo-bucket", "S3Prefix": "exports/"}, "Tags": []object{},
		}}},
		"describe-store-image-tasks.json": object{"StoreImageTaskResults": []object{{
			"AmiId": image, "Bucket": "amzn-s3-demo-bucket", "S3objectKey": image + ".bin", "ProgressPercentage": 100,
			"StoreTaskState": "Completed", "StoreTaskFailureReason": "", "TaskStartTime": at(9),
		}}},
		"describe-replace-root-volume-tasks.json": object{"ReplaceRootVolumeTasks": []object{{
			"ReplaceRootVolumeTaskId": "replacevol-0123456789abcdef0", "InstanceId": "i-0123456789abcdef0", "TaskState": "succeeded",
			"StartTime": at(3), "CompleteTime": at(3), "ImageId": image, "DeleteReplacedRootVolume": false, "Tags": []object{},
		}}},
	}
}
