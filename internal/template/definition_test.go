package template_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// substitution is a placeholder of the definition of the state machine.
var substitution = regexp.MustCompile(`\$\{(\w+)\}`)

// definition reads organization.asl.json, with the name of each placeholder in its place; a number
// in that of MaxConcurrency.
func definition(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "organization.asl.json"))
	if err != nil {
		t.Fatal(err)
	}
	var machine object
	if err := json.Unmarshal(substitution.ReplaceAll(regexp.MustCompile(`: \$\{MaxConcurrency\}`).ReplaceAll(text, []byte(": 40")), []byte("$1")), &machine); err != nil {
		t.Fatal(err)
	}
	return machine
}

// states calls visit for every state of the machine, those of the children of maps among them.
func states(machine object, visit func(name string, state object, isChild bool)) {
	var walk func(states object, isChild bool)
	walk = func(states object, isChild bool) {
		for name, state := range states {
			visit(name, state.(object), isChild)
			if inner, ok := at(state, "ItemProcessor", "States").(object); ok {
				walk(inner, true)
			}
		}
	}
	walk(machine["States"].(object), false)
}

func TestEveryPlaceholderIsSubstituted(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "organization.asl.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, match := range substitution.FindAllStringSubmatch(string(text), -1) {
		found[match[1]] = true
	}
	machine := read(t, "organization.yaml").properties("Machine")
	values := machine["DefinitionSubstitutions"].(object)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(values))); diff != "" {
		t.Errorf("the definition (-), the template (+):\n%s", diff)
	}
	for name, value := range values {
		if got := target(value); got != name && got != "AWS::"+name {
			t.Errorf("%s is substituted by %v", name, value)
		}
	}
	if strings.Contains(string(text), "arn:aws:") || machine["Type"] != "STANDARD" {
		t.Errorf("the machine is bound to a partition, or is %v", machine["Type"])
	}
}

// TestEveryErrorIsTold follows the ways of the machine: whatever fails outside of a child leads to
// Tell, whatever fails in a child ends there.
func TestEveryErrorIsTold(t *testing.T) {
	machine := definition(t)
	tasks := 0
	states(machine, func(name string, state object, isChild bool) {
		catches := list(state["Catch"])
		isFallible := state["Type"] == "Task" || state["Type"] == "Map"
		switch {
		case !isFallible:
			return
		case name == "Tell":
			if len(catches) > 0 {
				t.Error("an error of Tell does not fail the execution")
			}
			return
		case len(catches) != 1 || fmt.Sprint(at(catches[0], "ErrorEquals")) != "[States.ALL]":
			t.Errorf("%s does not catch everything: %v", name, catches)
			return
		}
		tasks++
		next := at(catches[0], "Next").(string)
		if isChild {
			caught := inner(machine, next)
			if caught["Type"] != "Pass" || caught["End"] != true {
				t.Errorf("%s: what is caught goes on to %s", name, next)
			}
		} else if next != "Tell" || at(catches[0], "ResultPath") != "$.failed" {
			t.Errorf("%s: what is caught goes to %s, as %v", name, next, at(catches[0], "ResultPath"))
		}
	})
	if tasks != 9 {
		t.Errorf("%d states catch errors", tasks)
	}
	after := inner(machine, inner(machine, "Tell")["Next"].(string))
	choice := list(after["Choices"])[0]
	if at(choice, "Variable") != "$.failed" || at(choice, "IsPresent") != true || inner(machine, at(choice, "Next").(string))["Type"] != "Fail" {
		t.Errorf("after Tell, a run that failed ends with %v", after)
	}
	if inner(machine, after["Default"].(string))["OutputPath"] != "$.told.answer" {
		t.Error("the execution answers something else than Tell")
	}
}

// inner is a state by its name, wherever it is.
func inner(machine object, wanted string) (found object) {
	states(machine, func(name string, state object, _ bool) {
		if name == wanted {
			found = state
		}
	})
	return found
}

// TestNoMapIsRead: what a failed child leaves in the output of its map is not documented.
func TestNoMapIsRead(t *testing.T) {
	labels := map[string]bool{}
	states(definition(t), func(name string, state object, isChild bool) {
		if state["Type"] != "Map" {
			return
		}
		result, isThere := state["ResultPath"]
		mode, kind := at(state, "ItemProcessor", "ProcessorConfig", "Mode"), at(state, "ItemProcessor", "ProcessorConfig", "ExecutionType")
		labels[fmt.Sprint(state["Label"])] = true
		if isChild || !isThere || result != nil || mode != "DISTRIBUTED" || kind != "STANDARD" || state["MaxConcurrency"] != 40.0 || state["ToleratedFailurePercentage"] != 100.0 {
			t.Errorf("%s: its result goes to %v; %v, %v, %v at a time, %v %% may fail", name, result, mode, kind, state["MaxConcurrency"], state["ToleratedFailurePercentage"])
		}
		for child, state := range at(state, "ItemProcessor", "States").(object) {
			if small := at(state, "ResultSelector"); at(state, "Type") == "Task" && fmt.Sprint(small) != "map[ok:true]" {
				t.Errorf("%s: a child leaves %v", child, small)
			}
		}
	})
	if diff := cmp.Diff(map[string]bool{"census": true, "plan": true, "sweep": true}, labels); diff != "" {
		t.Error(diff)
	}
}

// TestNothingIsBegunTwice: Lambda.Unknown is the error of a function that was at work, and so may
// be one of a client that gave up.
func TestNothingIsBegunTwice(t *testing.T) {
	retried := map[string][]string{}
	states(definition(t), func(name string, state object, _ bool) {
		if state["Type"] != "Task" {
			return
		}
		function := at(state, "Parameters", "FunctionName").(string)
		if state["TimeoutSeconds"] != 930.0 || at(state, "Parameters", "Payload.$") != "$" {
			t.Errorf("%s ends after %v s, before its function may; it gets %v", name, state["TimeoutSeconds"], at(state, "Parameters"))
		}
		for _, retry := range list(state["Retry"]) {
			retried[function] = append(retried[function], texts(at(retry, "ErrorEquals"))...)
			if at(retry, "JitterStrategy") != "FULL" || at(retry, "MaxDelaySeconds") == nil {
				t.Errorf("%s: all accounts try again at once: %v", name, retry)
			}
		}
	})
	for function, errors := range retried {
		for _, name := range errors {
			if name == "Lambda.Unknown" || strings.HasPrefix(name, "States.") || name == "Lambda.ClientExecutionTimeoutException" || name == "Sandbox.Timedout" {
				t.Errorf("%s is begun again after %s", function, name)
			}
		}
	}
	if fmt.Sprint(retried["SweepFunction"]) != "[Lambda.TooManyRequestsException]" || len(retried) != len(steps) {
		t.Errorf("retried: %v", retried)
	}
}

func TestNamesOfStatesAreUnique(t *testing.T) {
	count, unique := 0, map[string]bool{}
	states(definition(t), func(name string, _ object, _ bool) {
		count++
		unique[name] = true
	})
	if count != len(unique) || count < 17 {
		t.Errorf("%d states have %d names", count, len(unique))
	}
}
