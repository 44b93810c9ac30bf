package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// oneOf is the value of a flag that must be one of these.
func oneOf(flag *kingpin.FlagClause, values ...string) *string {
	value := new(string)
	flag.SetValue(&namedValue{flag, "none of " + strings.Join(values, ", "), func(text string) bool {
		*value = text
		return slices.Contains(values, text)
	}})
	return value
}

func number(flag *kingpin.FlagClause, value *int) {
	flag.SetValue(&namedValue{flag, "no whole number", func(text string) bool {
		n, err := strconv.Atoi(text)
		*value = n
		return err == nil
	}})
}

func duration(flag *kingpin.FlagClause, value *time.Duration) {
	flag.SetValue(&namedValue{flag, "no duration such as 0.5s", func(text string) bool {
		d, err := time.ParseDuration(text)
		*value = d
		return err == nil
	}})
}

// namedValue is a flag's value whose error names the flag, as kingpin's do not.
type namedValue struct {
	flag  *kingpin.FlagClause
	wrong string // what a value is that cannot be set
	set   func(string) bool
}

func (v *namedValue) Set(text string) error {
	if !v.set(text) {
		return fmt.Errorf("--%s: %q is %s", v.flag.Model().Name, text, v.wrong)
	}
	return nil
}

func (v *namedValue) String() string { return "" }
