package usage_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ami-janitor/ami-janitor/internal/disturb"
	"github.com/ami-janitor/ami-janitor/internal/testaccount"
	"github.com/ami-janitor/ami-janitor/pkg/ami"
	"github.com/ami-janitor/ami-janitor/pkg/emulator"
	"github.com/ami-janitor/ami-janitor/pkg/usage"
)

// inBuckets is an account with objects in S3, by bucket and key.
func inBuckets(t rapid.TB, objects map[string]string) *emulator.Account {
	t.Helper()
	files := fstest.MapFS{"get-caller-identity.json": {Data: []byte(`{"Account": "` + owner + `"}`)}}
	for name, content := range objects {
		files["s3/"+name] = &fstest.MapFile{Data: []byte(content)}
	}
	account, err := emulator.Load(files, emulator.Options{Region: region, Now: func() time.Time { return time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// searching asks for the use of two images in the text of objects.
func searching(ctx context.Context, t rapid.TB, doer emulator.Doer, locations ...string) ami.Evidence {
	t.Helper()
	var objects []usage.TextObjects
	for _, location := range locations {
		some, err := usage.ParseTextObjects(location)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, some)
	}
	asked := lookup(candidates(2), usage.S3TextSource)
	asked.Texts = usage.NewTexts(ctx, testaccount.Config(doer), objects, asked.SnapshotsInText)
	c := usage.List(ctx, clients(noPermissions(doer)), asked)
	c.LookUp(context.WithoutCancel(ctx), idsOf(asked.Images), func(int, int) {})
	return whole(c)
}

// noPermissions answers every question about launch permissions: nobody has any.
func noPermissions(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if q, err := emulator.Inspect(r); err == nil && q.Action == "DescribeImageAttribute" {
			body := "<DescribeImageAttributeResponse><imageId>" + q.Form.Get("ImageId") + "</imageId><launchPermission/></DescribeImageAttributeResponse>"
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
		return next.Do(r)
	})
}

func zipped(t rapid.TB, texts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// state is what Terraform writes, about an image.
func state(imageID string) string {
	return `{"version": 4, "resources": [{"type": "aws_launch_template", "instances": [{"attributes": {"image_id": "` + imageID + `", "password": "hunter2"}}]}]}`
}

// An object names an image wherever its id is, and whatever else there is.
func TestTextInS3(t *testing.T) {
	id := imageID(1)
	for name, c := range map[string]struct {
		objects map[string]string
		from    string // Its locations; s3://states/ if empty.
		used    string // The object that names image 1; empty if none does.
	}{
		"a state":               {map[string]string{"states/prod.tfstate": state(id)}, "", "states/prod.tfstate"},
		"another state":         {map[string]string{"states/prod.tfstate": state(imageID(9))}, "", ""},
		"one of several":        {map[string]string{"states/a/1": "none", "states/a/2": "id: " + id, "states/b": "none"}, "", "states/a/2"},
		"compressed":            {map[string]string{"states/a": zipped(t, state(id))}, "", "states/a"},
		"compressed in parts":   {map[string]string{"states/a": zipped(t, "x", state(id))}, "", "states/a"},
		"compressed, unused":    {map[string]string{"states/a": zipped(t, state(imageID(9)))}, "", ""},
		"in capitals":           {map[string]string{"states/a": strings.ToUpper(id)}, "", "states/a"},
		"far back":              {map[string]string{"states/a": strings.Repeat("-ami-\n", 50_000) + id}, "", "states/a"},
		"below a prefix":        {map[string]string{"states/env/a": id, "states/other": "x"}, "s3://states/env", "states/env/a"},
		"outside of the prefix": {map[string]string{"states/env/a": "x", "states/other": id}, "s3://states/env/", ""},
		"one object":            {map[string]string{"states/a": id}, "s3://states/a", "states/a"},
		"with a suffix":         {map[string]string{"states/e/p/a.tfstate": id, "states/e/p/a.zip": "PK\x03\x04"}, "s3://states/e/*.tfstate", "states/e/p/a.tfstate"},
		"without the suffix":    {map[string]string{"states/a.tfstate": "x", "states/a.tfstate.backup": id}, "s3://states/*.tfstate", ""},
		"in two buckets":        {map[string]string{"states/a": "x", "others/a": id}, "s3://states/,s3://others/", "others/a"},
		"listed twice":          {map[string]string{"states/a": id}, "s3://states/,s3://states/a", "states/a"},
		"a folder beside it":    {map[string]string{"states/a": id}, "", "states/a"},
		"a string of that name": {map[string]string{"states/a": `{"x": "{\"encrypted_data\": 1}", "y": "encrypted_data", "z": "` + id + `"}`}, "", "states/a"},
		"an odd key":            {map[string]string{"states/ä b/[1]?": id}, "s3://states/ä b/", "states/ä b/[1]?"},
	} {
		t.Run(name, func(t *testing.T) {
			from := []string{"s3://states/"}
			if c.from != "" {
				from = strings.Split(c.from, ",")
			}
			account := inBuckets(t, c.objects)
			if strings.HasPrefix(name, "a folder") {
				put(t, account, "states", "folder/", "")
			}
			evidence := searching(t.Context(), t, account.Client(), from...)
			want := ami.Finding{Use: ami.Unused}
			if c.used != "" {
				want = ami.Finding{Use: ami.Used, References: []ami.Reference{{Source: "s3-text", Type: "s3:Object", ARN: "arn:aws:s3:::" + c.used}}}
			}
			if diff := cmp.Diff(findings{imageID(1): want, imageID(2): {Use: ami.Unused}}, evidence.Images); diff != "" || len(evidence.Gaps) > 0 {
				t.Errorf("%v\n%s", evidence.Gaps, diff)
			}
		})
	}
}

func put(t *testing.T, account *emulator.Account, bucket, key, content string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://s3."+region+".amazonaws.com/"+bucket+"/"+key, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(content))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261123/"+region+"/s3/aws4_request, SignedHeaders=host, Signature=0")
	response, err := account.Client().Do(r)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %+v", err, response)
	}
}

// What cannot be read as a whole proves nothing, about any image, and is named; its content is not.
// What names an image in the rest still does.
func TestTextInS3ThatIsNotWhole(t *testing.T) {
	whole := zipped(t, strings.Repeat(state(imageID(9)), 50))
	for name, c := range map[string]struct{ content, says string }{
		"encrypted by OpenTofu": {`{"serial":1,"lineage":"x","meta":{"key_provider.pbkdf2.k":"hunter2"},"encrypted_data":"hunter2","encryption_version":"v0"}`, "is encrypted"},
		"spaced out":            {"{\n  \"encrypted_data\" : \"hunter2\"}", "is encrypted"},
		"encrypted by SOPS":     {"password: ENC[AES256_GCM,data:hunter2]", "is encrypted"},
		"encrypted by Ansible":  {"$ANSIBLE_VAULT;1.1;AES256\nhunter2", "is encrypted"},
		"encrypted far back":    {strings.Repeat("x", 65535) + ` "encrypted_data":"hunter2"`, "is encrypted"},
		"a zip archive":         {"PK\x03\x04hunter2", "is a zip archive"},
		"a cut gzip":            {whole[:len(whole)-20], "is not whole: unexpected EOF"},
		"a broken gzip":         {whole[:len(whole)-6] + "123456", "is not whole: gzip: invalid checksum"},
		"a gzip with more":      {whole + "hunter2 hunter2", "is not whole: gzip: invalid header"},
		"no gzip":               {"\x1f\x8bhunter2 and more", "begins as gzip, and is not"},
		"an empty gzip":         {zipped(t, ""), "is empty"},
		"a zip in a gzip":       {zipped(t, "PK\x03\x04hunter2"), "is not text"},
		"compressed otherwise":  {"BZh91AY&SY\x01\x02hunter2", "is not text"},
		"in UTF-16":             {"h\x00u\x00n\x00t\x00e\x00r\x002\x00", "is not text"},
		"empty":                 {"", "is empty"},
		"a cut state":           {state(imageID(9))[:70] + "\n", "begins as JSON, and does not end so"},
		"a bomb":                {strings.Repeat(zipped(t, strings.Repeat("hunter2 ", 1<<17)), 257), "has more than 256 MiB of text"},
	} {
		t.Run(name, func(t *testing.T) {
			account := inBuckets(t, map[string]string{"states/a": state(imageID(1)), "states/b": c.content})
			evidence := searching(t.Context(), t, account.Client(), "s3://states/")
			gap := []ami.Gap{{Source: "s3-text", Err: "s3://states/b " + c.says}}
			want := findings{
				imageID(1): {Use: ami.Used, References: []ami.Reference{{Source: "s3-text", Type: "s3:Object", ARN: "arn:aws:s3:::states/a"}}, Gaps: gap},
				imageID(2): {Use: ami.Unknown, Gaps: gap},
			}
			if diff := cmp.Diff(want, evidence.Images); diff != "" {
				t.Error(diff)
			}
			if said := fmt.Sprint(evidence); strings.Contains(said, "hunter2") {
				t.Errorf("it tells what it has read: %s", said)
			}
		})
	}
}

// 200,000 mentions are kept in memory. One more is not, so that nothing is proven.
func TestTextInS3ThatNamesTooMuch(t *testing.T) {
	objects := map[string]string{}
	for n := range 20 {
		var text strings.Builder
		for m := range 10_000 - n/19 { // The last one leaves room for another mention.
			fmt.Fprintf(&text, "ami-%017x\n", 1<<40+n*10_000+m)
		}
		objects[fmt.Sprintf("states/%02d", n)] = text.String()
	}
	objects["states/20"] = state(imageID(1))
	used := ami.Finding{Use: ami.Used, References: []ami.Reference{{Source: "s3-text", Type: "s3:Object", ARN: "arn:aws:s3:::states/20"}}}
	want := findings{imageID(1): used, imageID(2): {Use: ami.Unused}}
	if diff := cmp.Diff(want, searching(t.Context(), t, inBuckets(t, objects).Client(), "s3://states/").Images); diff != "" {
		t.Errorf("200,000 mentions (-want +got):\n%s", diff)
	}
	objects["states/21"] = state(imageID(2))
	used.Gaps = []ami.Gap{{Source: "s3-text", Err: "the objects name images more than 200000 times"}}
	want = findings{imageID(1): used, imageID(2): {Use: ami.Unknown, Gaps: used.Gaps}}
	if diff := cmp.Diff(want, searching(t.Context(), t, inBuckets(t, objects).Client(), "s3://states/").Images); diff != "" {
		t.Errorf("200,001 mentions (-want +got):\n%s", diff)
	}
}

// Whatever is denied, throttled, cut or garbled is a gap, and so are a prefix without objects, and
// no prefix at all.
func TestTextInS3ThatCannotBeRead(t *testing.T) {
	objects := map[string]string{}
	for n := range 8 {
		objects[fmt.Sprint("states/", n)] = state(imageID(9))
	}
	second := func(n int, _ emulator.Request) bool { return n > 1 }
	third := func(n int, _ emulator.Request) bool { return n > 2 }
	fail := func(action string, match func(int, emulator.Request) bool, status int, code string) func(emulator.Doer) emulator.Doer {
		return func(d emulator.Doer) emulator.Doer { return disturb.Fail(d, action, match, status, code, "Said so.") }
	}
	for name, c := range map[string]struct {
		fault func(emulator.Doer) emulator.Doer
		from  []string
		says  string
	}{
		"nothing wrong":               {},
		"listing denied":              {fault: func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "ListObjectsV2") }, says: "s3://states/ cannot be listed: s3:ListBucket: AccessDenied"},
		"reading denied":              {fault: func(d emulator.Doer) emulator.Doer { return disturb.Deny(d, "GetObject") }, says: "s3://states/0 cannot be read: s3:GetObject: AccessDenied: You are not authorized to perform this operation.; s3://states/1 cannot be read: s3:GetObject: AccessDenied: You are not authorized to perform this operation.; nor can 6 more"},
		"one denied":                  {fault: fail("GetObject", func(_ int, q emulator.Request) bool { return q.Form.Get("Key") == "3" }, 403, "AccessDenied"), says: "s3://states/3 cannot be read: s3:GetObject: AccessDenied: Said so."},
		"one archived":                {fault: fail("GetObject", func(_ int, q emulator.Request) bool { return q.Form.Get("Key") == "3" }, 403, "InvalidObjectState"), says: "s3://states/3 cannot be read: s3:GetObject: InvalidObjectState"},
		"gone since it was listed":    {fault: fail("GetObject", func(_ int, q emulator.Request) bool { return q.Form.Get("Key") == "3" }, 404, "NoSuchKey"), says: "s3://states/3 cannot be read: s3:GetObject: NoSuchKey"},
		"throttled in the middle":     {fault: fail("GetObject", third, 503, "SlowDown"), says: "s3:GetObject: SlowDown"},
		"listing throttled at page 2": {fault: fail("ListObjectsV2", second, 503, "SlowDown"), says: "s3:ListBucket: SlowDown"},
		"listing cut at page 2":       {fault: func(d emulator.Doer) emulator.Doer { return cutPage(d, 2) }, says: "not a complete answer"},
		"listing garbled":             {fault: func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, "ListObjectsV2", nil) }, says: "not a complete answer"},
		"an object garbled":           {fault: func(d emulator.Doer) emulator.Doer { return disturb.Garble(d, "GetObject", third) }, says: "without ETag"},
		"an object lost":              {fault: func(d emulator.Doer) emulator.Doer { return disturb.LoseAnswer(d, "GetObject", third) }, says: "connection reset"},
		"an object cut":               {fault: cutObjects, says: "another length"},
		"no object":                   {from: []string{"s3://states/", "s3://states/none/"}, says: "s3://states/none/ has no object"},
		"no object of that suffix":    {from: []string{"s3://states/*.tfstate"}, says: "s3://states/*.tfstate has no object"},
		"no locations":                {from: []string{}, says: "there are no objects to read"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				doer := pagesOf(3, inBuckets(t, objects).Client())
				if c.fault != nil {
					doer = c.fault(doer)
				}
				from := c.from
				if from == nil {
					from = []string{"s3://states/"}
				}
				evidence := searching(t.Context(), t, doer, from...)
				if c.says == "" {
					proven(t, evidence, imageID(1), imageID(2))
					return
				}
				gap(t, evidence, imageID(1), "s3-text", c.says)
				gap(t, evidence, imageID(2), "s3-text", c.says)
			})
		})
	}
}

// pagesOf makes every listing of objects page after so many keys.
func pagesOf(n int, next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		if query := r.URL.Query(); query.Get("list-type") == "2" {
			query.Set("max-keys", fmt.Sprint(n))
			r = r.Clone(r.Context())
			r.URL.RawQuery = query.Encode()
		}
		return next.Do(r)
	})
}

// cutPage cuts a page of a listing, whenever it is read.
func cutPage(next emulator.Doer, page int64) emulator.Doer {
	var pages atomic.Int64
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		response, err := next.Do(r)
		if q, bad := emulator.Inspect(r); err == nil && bad == nil && q.Action == "ListObjectsV2" && pages.Add(1) >= page {
			response.Body = io.NopCloser(io.LimitReader(response.Body, 300))
		}
		return response, err
	})
}

// cutObjects cuts every object.
func cutObjects(next emulator.Doer) emulator.Doer {
	return emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
		response, err := next.Do(r)
		if q, bad := emulator.Inspect(r); err == nil && bad == nil && q.Action == "GetObject" {
			response.Body = io.NopCloser(io.LimitReader(response.Body, 50))
		}
		return response, err
	})
}

// Without time, the objects are not reached, in the words of every source.
func TestTextInS3ThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		account := inBuckets(t, map[string]string{"states/a": state(imageID(9))})
		evidence := searching(ctx, t, emulator.DoerFunc(func(r *http.Request) (*http.Response, error) {
			if q, err := emulator.Inspect(r); err == nil && q.Action == "GetObject" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return account.Client().Do(r)
		}), "s3://states/")
		gap(t, evidence, imageID(1), "s3-text", ami.NotReached)
	})
}

// Lookups that share the texts read them once.
func TestTextInS3IsReadOnce(t *testing.T) {
	account := inBuckets(t, map[string]string{"states/a": state(imageID(1)), "states/b": state(imageID(2))})
	objects, err := usage.ParseTextObjects("s3://states/")
	if err != nil {
		t.Fatal(err)
	}
	config := testaccount.Config(account.Client())
	config.Region = region // Else the first call would find out where the bucket is.
	texts := usage.NewTexts(t.Context(), config, []usage.TextObjects{objects}, false)
	for range 3 {
		asked := lookup(candidates(2), usage.S3TextSource)
		asked.Texts = texts
		if evidence := collectFor(t.Context(), noPermissions(account.Client()), asked); evidence.Images[imageID(2)].Use != ami.Used {
			t.Errorf("%+v", evidence)
		}
	}
	if calls := callsOf(account); calls["ListObjectsV2"] != 1 || calls["GetObject"] != 2 {
		t.Errorf("%v", calls)
	}
}

// However many objects there are, what names an image in any of them that can be read keeps it, and
// one that cannot proves nothing of the others.
func TestAnyTextInS3(t *testing.T) {
	contents := map[string]string{
		"names 1": state(imageID(1)), "names 2": "x " + imageID(2), "names both": zipped(t, imageID(1)+imageID(2)), "names neither": state(imageID(9)),
		"encrypted": `{"encrypted_data": ""}`, "empty": "", "binary": "\x00" + imageID(1),
	}
	unread := []string{"encrypted", "empty", "binary"}
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(rapid.SampledFrom(slices.Sorted(maps.Keys(contents))), 0, 12).Draw(t, "objects")
		objects := map[string]string{}
		for i, kind := range drawn {
			objects[fmt.Sprintf("states/%d", i)] = contents[kind]
		}
		evidence := searching(context.Background(), t, pagesOf(2, inBuckets(t, objects).Client()), "s3://states/")
		for n, kinds := range map[int][]string{1: {"names 1", "names both"}, 2: {"names 2", "names both"}} {
			isIn := func(some []string) bool {
				return slices.ContainsFunc(drawn, func(kind string) bool { return slices.Contains(some, kind) })
			}
			got := evidence.Images[imageID(n)]
			switch {
			case isIn(kinds) && got.Use != ami.Used,
				!isIn(kinds) && n == 2 && (isIn(unread) || len(drawn) == 0) && got.Use != ami.Unknown,
				(isIn(unread) || len(drawn) == 0) && len(got.Gaps) == 0,
				!isIn(kinds) && !isIn(unread) && len(drawn) > 0 && got.Use != ami.Unused:
				t.Fatalf("image %d, %v: %+v", n, drawn, got)
			}
		}
	})
}
