package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	for name, test := range map[string]struct {
		variables map[string]string
		want      int64
	}{
		"in Lambda":     {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}, 161_061_273},
		"elsewhere":     {nil, math.MaxInt64},
		"not a number":  {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256 MB"}, math.MaxInt64},
		"set by others": {map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "GOMEMLIMIT": "1GiB"}, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetMemoryLimit(math.MaxInt64)
			limitMemory(func(variable string) string { return test.variables[variable] })
			if got := debug.SetMemoryLimit(-1); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}
