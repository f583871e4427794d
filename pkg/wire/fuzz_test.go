package wire_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// FuzzAnswers reads a text as what EC2 or Systems Manager answers to a listing. It is a list only
// if it is whole: what was cut anywhere is an error.
func FuzzAnswers(f *testing.F) {
	const images = `<?xml version="1.0" encoding="UTF-8"?><DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">` +
		`<requestId>1</requestId><imagesSet><item><imageId>ami-00000000000000001</imageId></item></imagesSet></DescribeImagesResponse>`
	for _, seed := range []string{"", "{}", "null", "[]", images, images[:len(images)/2], images + images, `{"Parameters": [{"Name": "web"}]}`, `{"Parameters": null}`, "<html></html>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := client(answering(200, text))
		_, err := c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
		isComplete := strings.Contains(text, "<DescribeImagesResponse") && strings.Contains(text, "<imagesSet") &&
			strings.HasSuffix(strings.TrimSpace(text), "</DescribeImagesResponse>")
		if err == nil && !isComplete {
			t.Errorf("taken for a list of images: %q", text)
		}
		_, err = c.ssm.DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
		if err == nil && !strings.Contains(text, `Parameters"`) {
			t.Errorf("taken for a list of parameters: %q", text)
		}
	})
}
