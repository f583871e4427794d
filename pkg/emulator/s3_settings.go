package emulator

import (
	"net/http"
)

// setting is what a file says of the request's bucket; nil if it says nothing.
func (c *s3Call) setting(file string) object {
	return first(c.account.region(c.Region).items(file), "Bucket", c.text("Bucket"))
}

// show writes an answer with members of its own, or with a list under the name of its element.
func (out *answer) show(name string, members object, item string, items []any) {
	w := newWriter(restXMLProtocol)
	w.open(name, serviceNamed(s3Service).namespace)
	w.members("", members)
	for _, one := range items {
		o, _ := one.(object)
		w.value(item, o)
	}
	w.close(name)
	out.header.Set("Content-Type", "application/xml")
	out.body.Write(w.Bytes())
}

// getBucketEncryption shows how a bucket encrypts (S3 API Reference, GetBucketEncryption).
func (c *s3Call) getBucketEncryption(out *answer) error {
	rules, _ := child(c.setting(bucketEncryptionFile), "ServerSideEncryptionConfiguration")["Rules"].([]any)
	if len(rules) == 0 {
		return &Error{http.StatusNotFound, "ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found"}
	}
	out.show("ServerSideEncryptionConfiguration", nil, "Rule", rules)
	return nil
}

// getPublicAccessBlock shows what a bucket blocks (S3 API Reference, GetPublicAccessBlock).
func (c *s3Call) getPublicAccessBlock(out *answer) error {
	block := child(c.setting(publicAccessBlockFile), "PublicAccessBlockConfiguration")
	if block == nil {
		return &Error{http.StatusNotFound, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"}
	}
	out.show("PublicAccessBlockConfiguration", block, "", nil)
	return nil
}
