package digest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	generator "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ami-janitor/ami-janitor/pkg/record"
)

const schemaFolder = "../../docs/schema"

// described is a record with a schema, and its golden records.
type described struct {
	file, title string
	of          any
	goldens     string
	fewest      int // Golden records.
}

var schemas = []described{
	{"record.schema.json", "The record of a run of AMI Janitor", record.Run{}, "testdata/*/record.json", 20},
	{"organization.schema.json", "The record of a run of AMI Janitor over an organization", record.Organization{}, "testdata/organization/*/record.json", 5},
}

// schemaOf generates the JSON schema of a record from the Go types. A reader takes fields that are
// added later; a strict schema does not.
func schemaOf(t *testing.T, d described, isStrict bool) []byte {
	t.Helper()
	reflector := generator.Reflector{Anonymous: true, AllowAdditionalProperties: !isStrict}
	for _, folder := range []string{"../record", "../retention", "../ami"} {
		if err := reflector.AddGoComments("github.com/ami-janitor/ami-janitor/pkg/digest", folder); err != nil {
			t.Fatal(err)
		}
	}
	schema := reflector.Reflect(d.of)
	schema.Title = d.title
	return indented(t, marshalled(t, schema))
}

// TestSchema: that no field is lost also holds while the golden files are rewritten.
func TestSchema(t *testing.T) {
	for _, d := range schemas {
		generated := schemaOf(t, d, false)
		published, err := os.ReadFile(filepath.Join(schemaFolder, d.file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		now := fieldsOf(t, generated)
		for field := range fieldsOf(t, published) {
			if !now[field] {
				t.Errorf("%s is gone from the record, which readers of old and new records rely on: put it back under its name. "+
					"If it must go, raise record.SchemaVersion, remove docs/schema/%s, and run make golden.", field, d.file)
			}
		}
		if !t.Failed() {
			golden(t, schemaFolder, d.file, generated)
		}
	}
}

// fieldsOf returns the names of all fields of a schema, each with that of its type.
func fieldsOf(t *testing.T, schema []byte) map[string]bool {
	t.Helper()
	var parsed struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if len(schema) > 0 {
		if err := json.Unmarshal(schema, &parsed); err != nil {
			t.Fatal(err)
		}
	}
	fields := map[string]bool{}
	for name, def := range parsed.Defs {
		for field := range def.Properties {
			fields[name+"."+field] = true
		}
	}
	return fields
}

// TestRecordsKeepToTheSchema validates every golden record.
func TestRecordsKeepToTheSchema(t *testing.T) {
	for _, d := range schemas {
		published, err := os.ReadFile(filepath.Join(schemaFolder, d.file))
		if err != nil {
			t.Fatal(err)
		}
		records, err := filepath.Glob(d.goldens)
		if err != nil || len(records) < d.fewest {
			t.Fatalf("%d golden records, %v", len(records), err)
		}
		for name, schema := range map[string][]byte{"published": published, "strict": schemaOf(t, d, true)} {
			validator := compiled(t, schema)
			for _, path := range records {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := validator.Validate(parsed(t, data)); err != nil {
					t.Errorf("%s, by the %s schema: %v", path, name, err)
				}
			}
			data, err := os.ReadFile(records[len(records)-1])
			if err != nil {
				t.Fatal(err)
			}
			if validator.Validate(parsed(t, bytes.Replace(data, []byte(`"version": "1.0.0"`), []byte(`"version": 1`), 1))) == nil {
				t.Errorf("the %s schema takes a number for a version", name)
			}
		}
	}
}

func compiled(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", parsed(t, schema)); err != nil {
		t.Fatal(err)
	}
	validator, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return validator
}

func parsed(t *testing.T, data []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
