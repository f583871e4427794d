package emulator_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// scope is the header of a request that is signed for a service in us-east-1.
func scope(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
}

// Whatever is asked, and however, the answer is a success or a well-formed error, of a kind that
// its client understands.
func FuzzRequests(f *testing.F) {
	for _, seed := range []struct{ method, target, authorization, header, value, body string }{
		{"POST", "/", scope("ec2"), "Content-Type", "application/x-www-form-urlencoded", "Action=ListImagesInRecycleBin&ImageId.1=ami-00000001&Version=2016-11-15"},
		{"POST", "/", scope("ec2"), "", "", "Action=RestoreImageFromRecycleBin&ImageId=ami-0000000a"},
		{"POST", "/", scope("ec2"), "", "", "Action=RestoreSnapshotFromRecycleBin&SnapshotId=snap-0000000a"},
		{"POST", "/", scope("ec2"), "", "", "Action=DeregisterImage&ImageId=ami-00000001&DeleteAssociatedSnapshots=true"},
		{"POST", "/", scope("ec2"), "", "", "Action=DescribeTags&Filter.1.Name=tag:intent&Filter.1.Value.1=*&MaxResults=5&NextToken=RGVzY3JpYmVUYWdzIDUgdHJ1ZQ=="},
		{"POST", "/", scope("ec2"), "", "", "Action=CreateTags&ResourceId.1=ami-0000000a&ResourceId.2=snap-00000001&Tag.1.Key=%00&Tag.1.Value=]]>"},
		{"POST", "/", scope("ec2"), "", "", "Action=DeleteTags&ResourceId.1=ami-0000000a&Tag.99999999999999999999.Key=a&Tag.-1=b"},
		{"POST", "/", scope("ec2"), "", "", "Action=DescribeSnapshotAttribute&SnapshotId=snap-00000001&Attribute=createVolumePermission"},
		{"GET", "/?Action=DescribeRegions&X-Amz-Credential=K/20261123/us-east-1/ec2/aws4_request", "", "", "", ""},
		{"POST", "/list-rules", scope("rbin"), "", "", `{"ResourceType": "EC2_IMAGE", "MaxResults": 1, "ResourceTags": [{"ResourceTagKey": "intent"}, null, [1]]}`},
		{"POST", "/rules", scope("rbin"), "", "", `{"ResourceType": "EBS_SNAPSHOT", "RetentionPeriod": {"RetentionPeriodValue": 14, "RetentionPeriodUnit": "DAYS"}, "ResourceTags": [{"ResourceTagKey": "a", "ResourceTagValue": "b"}], "Tags": []}`},
		{"POST", "/rules", scope("rbin"), "", "", `{"RetentionPeriod": {"RetentionPeriodValue": 1e1}, "ResourceType": {"": "EC2_IMAGE"}}`},
		{"GET", "/rules/imageRule01", scope("rbin"), "", "", ""},
		{"GET", "/rules/%2e%2e%2f%00", scope("rbin"), "", "", "x"},
		{"DELETE", "/rules/imageRule01?Identifier=snapRule001", scope("rbin"), "", "", "{}"},
		{"PATCH", "/rules/imageRule01/lock", scope("rbin"), "", "", `{}`},
		{"POST", "/", scope("ssm"), "X-Amz-Target", "AmazonSSM.GetParameters", `{"Names": ["a", {"x": [[]]}], "WithDecryption": "yes"}`},
		{"POST", "/", "", "X-Amz-Target", "AmazonSSM.DescribeParameters", "{"},
		{"POST", "/", scope("sns"), "", "", "Action=Publish&TopicArn=" + topic + "&Message=m"},
		{"PUT", "/bucket/key?x-id=PutObject", scope("s3"), "If-None-Match", "*", "content"},
		{"GET", "/bucket?list-type=2&prefix=%", scope("s3"), "", "", ""},
		{"POST", "/", scope("organizations"), "X-Amz-Target", "AWSOrganizationsV20161128.ListAccountsForParent", `{"ParentId": "r-ab12", "MaxResults": 2, "NextToken": {}}`},
		{"POST", "/", scope("sts"), "", "", "Action=AssumeRole&RoleArn=arn:aws:iam::111122223333:role/ami-janitor/ami-janitor-a-read&RoleSessionName=ab&DurationSeconds=900"},
		{"POST", "/?X-Amz-Security-Token=a", scope("sts"), "", "", "Action=AssumeRole&RoleArn=arn:aws:iam::111122223333:role///x&RoleSessionName=%00&ExternalId="},
		{"HEAD", "/", scope("%"), "Authorization", "Credential=////", ""},
		{"OPTIONS", "//rules//", scope("rbin"), "X-Amz-Target", ".", "\xff\xfe"},
	} {
		f.Add(seed.method, seed.target, seed.authorization, seed.header, seed.value, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, target, authorization, header, value, body string) {
		account := load(t, directory(
			"describe-images.json", binImages, "describe-snapshots.json", binSnapshots, "list-rules.json", rulesByTag,
			"list-images-in-recycle-bin.json", `{"Images": [{"ImageId": "ami-0000000a", "Name": "</x>"}]}`,
			"list-snapshots-in-recycle-bin.json", `{"Snapshots": [{"SnapshotId": "snap-0000000a", "Snapshot": {"SnapshotId": "snap-0000000a", "<": 1}}]}`,
		))
		for _, handler := range []http.Handler{account, loadOrganization(t, organizationFiles(), options())} {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1/"+strings.TrimPrefix(target, "/"), strings.NewReader(body))
			if err != nil || strings.HasPrefix(r.URL.Path, "/_ami-janitor") {
				return
			}
			r.Header.Set("Authorization", authorization)
			r.Header.Set(header, value)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code < 200 || w.Code > 599 || w.Code >= 500 && w.Code != http.StatusNotImplemented {
				t.Errorf("status %d", w.Code)
			}
			if w.Code >= 300 && w.Code != http.StatusNotModified && method != http.MethodHead {
				wantError(t, w)
			}
		}
	})
}

// wantError wants a well-formed error with a code and a message.
func wantError(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	found := map[string]string{}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		found["Code"] = found["__type"] + w.Header().Get("X-Amzn-ErrorType")
		found["Message"] += found["message"]
	} else {
		d := xml.NewDecoder(w.Body)
		var path []string
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			switch token := token.(type) {
			case xml.StartElement:
				path = append(path, token.Name.Local)
			case xml.EndElement:
				path = path[:len(path)-1]
			case xml.CharData:
				if slices.Contains(path, "Error") {
					found[path[len(path)-1]] += string(token)
				}
			}
			if err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
		}
	}
	if found["Code"] == "" || found["Message"] == "" {
		t.Errorf("status %d, but no code or no message: %v", w.Code, found)
	}
}
