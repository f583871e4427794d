package speed

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ami-janitor/ami-janitor/pkg/runtimeapi"
)

var (
	bootstrapFlag = flag.String("bootstrap", "", "measure the memory of this binary of the function")
	accountFlag   = flag.Int("account", 50_000, "how many images the account has for that")
	limitFlag     = flag.Duration("limit", 3*time.Minute, "the time of that run")
)

// The most that the process of the function may have resident, of the 256 MB that template.yaml
// gives it.
const mostResident = 200_000_000

// The function's own binary in a process of its own, over an account that it does not get through
// in the time that it has: every image is in its plan and in its record, and those are removed that
// there is time for.
func TestMemory(t *testing.T) {
	if *bootstrapFlag == "" {
		t.Skip("measures only if -bootstrap names the binary")
	}
	account := newAccount(t, *accountFlag)
	server := httptest.NewServer(account)
	defer server.Close()
	variables := map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_FUNCTION_NAME": "ami-janitor", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
	}
	maps.Copy(variables, settings(*accountFlag, "1"))
	var environment []string
	for name, value := range variables {
		environment = append(environment, name+"="+value)
	}
	began := time.Now()
	result, err := runtimeapi.Invoke(context.Background(), runtimeapi.Invocation{
		Bootstrap: *bootstrapFlag, Environment: environment, Event: []byte("{}"), Deadline: time.Now().Add(*limitFlag),
	})
	if err != nil || result.Error != nil {
		t.Fatalf("%v, %s\n%.2000s", err, result.Error, result.Log)
	}
	removed := 0
	for _, call := range account.Calls() {
		if call.Action == "DeregisterImage" && call.Code == "" {
			removed++
		}
	}
	fmt.Printf("%d images, a run of %v with %v to spare: %d removed, %.1f MB resident at most\n",
		*accountFlag, *limitFlag, (*limitFlag - time.Since(began)).Round(time.Second), removed, float64(result.Resident)/1e6)
	if removed == 0 || len(account.Published()) == 0 {
		t.Errorf("%d images removed, %d digests", removed, len(account.Published()))
	}
	if result.Resident > mostResident {
		t.Errorf("more than %d MB", mostResident/1_000_000)
	}
}
