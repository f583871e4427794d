package emulator

// describeExportImageTasks lists exports of images. How long a page is if no size is given is not
// documented.
func describeExportImageTasks(c *call) (object, error) {
	tasks, err := selected(c.region.items(exportTasksFile), "ExportImageTaskId", c.list("ExportImageTaskId"), "InvalidExportTaskID.NotFound")
	if err == nil {
		tasks, err = c.filter(tasks, map[string]string{"task-state": "Status"})
	}
	if err != nil {
		return nil, err
	}
	tasks, token, err := page(c, tasks, paging{least: 1, most: 1000})
	return listing("ExportImageTasks", tasks, token), err
}

// describeStoreImageTasks lists what stores images in S3 (EC2 API Reference,
// DescribeStoreImageTasks).
func describeStoreImageTasks(c *call) (object, error) {
	if err := c.notBoth("ImageId", "ImageIds"); err != nil {
		return nil, err
	}
	tasks, err := selected(c.region.items(storeTasksFile), "AmiId", c.list("ImageId"), "InvalidAMIID.NotFound")
	if err == nil {
		tasks, err = c.filter(tasks, map[string]string{"bucket": "Bucket", "task-state": "StoreTaskState"})
	}
	if err != nil {
		return nil, err
	}
	tasks, token, err := page(c, tasks, paging{least: 1, most: 200, usual: 200})
	return listing("StoreImageTaskResults", tasks, token), err
}

// describeReplaceRootVolumeTasks lists replacements of root volumes (EC2 API Reference,
// DescribeReplaceRootVolumeTasks).
func describeReplaceRootVolumeTasks(c *call) (object, error) {
	ids := c.list("ReplaceRootVolumeTaskId")
	tasks, err := selected(c.region.items(replacementsFile), "ReplaceRootVolumeTaskId", ids, "InvalidReplaceRootVolumeTaskId.NotFound")
	if err == nil {
		tasks, err = c.filter(tasks, map[string]string{"instance-id": "InstanceId"})
	}
	if err != nil {
		return nil, err
	}
	tasks, token, err := page(c, tasks, paging{least: 1, most: 50, usual: 50})
	return listing("ReplaceRootVolumeTasks", tasks, token), err
}
