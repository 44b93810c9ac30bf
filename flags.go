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

// explain adds to an error of the command line what kingpin leaves out: a
// command stands before the flags that it alone has, and where none stands it
// is the default one.
func explain(app *kingpin.Application, args []string, err error) error {
	context, parseErr := app.ParseContext(args)
	token := context.Peek()
	if parseErr == nil || !strings.Contains(err.Error(), token.String()) {
		return err // of a flag's value or a file of arguments, which it names
	}
	command := context.SelectedCommand.Model()
	named := !command.Default || slices.Contains(args, command.Name) && token.Value != command.Name
	switch {
	case !token.IsFlag() && named:
		return fmt.Errorf("%w: %s takes flags only", err, command.Name)
	case !token.IsFlag() && app.GetCommand(token.Value) != nil:
		return fmt.Errorf("%w: a command stands before the flags that not all commands have", err)
	case !token.IsFlag():
		var names []string
		for _, c := range app.Model().Commands {
			names = append(names, c.Name)
		}
		return fmt.Errorf("%w: there is no such command; there are %s", err, strings.Join(names, ", "))
	}
	flag := strings.TrimPrefix(token.Value, "no-")
	if app.GetFlag(flag) != nil || app.GetCommand(command.Name).GetFlag(flag) != nil {
		return err // of a --no- that it does not have
	}
	for _, c := range app.Model().Commands {
		switch {
		case app.GetCommand(c.Name).GetFlag(flag) == nil:
		case named:
			return fmt.Errorf("%w: it is one of %s, not of %s", err, c.Name, command.Name)
		default:
			return fmt.Errorf("%w: it is one of %s; name that command before it", err, c.Name)
		}
	}
	return fmt.Errorf("%w; see --help", err)
}
