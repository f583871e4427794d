// Package bundle finds what an instance-store image has in S3, and hides it behind delete markers,
// as ec2-delete-bundle deletes it: the manifest, and the parts that the manifest names. What the
// bucket, the manifest or EC2 say decides only what stays.
package bundle
