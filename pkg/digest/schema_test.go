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

const (
	schemaFolder = "../../docs/schema"
	schemaFile   = "record.schema.json"
)

// schemaOf generates the JSON schema of a record from the Go types. A reader takes fields that are
// added later; a strict schema does not.
func schemaOf(t *testing.T, isStrict bool) []byte {
	t.Helper()
	reflector := generator.Reflector{Anonymous: true, AllowAdditionalProperties: !isStrict}
	for _, folder := range []string{"../record", "../retention", "../ami"} {
		if err := reflector.AddGoComments("github.com/ami-janitor/ami-janitor/pkg/digest", folder); err != nil {
			t.Fatal(err)
		}
	}
	schema := reflector.Reflect(record.Run{})
	schema.Title = "The record of a run of AMI Janitor"
	return indented(t, marshalled(t, schema))
}

// TestSchema: that no field is lost also holds while the golden files are rewritten.
func TestSchema(t *testing.T) {
	generated := schemaOf(t, false)
	published, err := os.ReadFile(filepath.Join(schemaFolder, schemaFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	now := fieldsOf(t, generated)
	for field := range fieldsOf(t, published) {
		if !now[field] {
			t.Errorf("%s is gone from the record, which readers of old and new records rely on: put it back under its name. "+
				"If it must go, raise record.SchemaVersion, remove docs/schema/%s, and run make golden.", field, schemaFile)
		}
	}
	if !t.Failed() {
		golden(t, schemaFolder, schemaFile, generated)
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
	published, err := os.ReadFile(filepath.Join(schemaFolder, schemaFile))
	if err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob("testdata/*/record.json")
	if err != nil || len(records) < 20 {
		t.Fatalf("%d golden records, %v", len(records), err)
	}
	for name, schema := range map[string][]byte{"published": published, "strict": schemaOf(t, true)} {
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
		data := bytes.Replace(marshalled(t, situations()["ordinary"]), []byte(`"sizeGiB":58`), []byte(`"sizeGiB":"58"`), 1)
		if validator.Validate(parsed(t, data)) == nil {
			t.Errorf("the %s schema takes a size that is a text", name)
		}
	}
}

func compiled(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaFile, parsed(t, schema)); err != nil {
		t.Fatal(err)
	}
	validator, err := compiler.Compile(schemaFile)
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
