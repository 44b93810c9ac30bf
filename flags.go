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
	flag.SetValue(&namedValue{flag, "not a whole number", func(text string) bool {
		n, err := strconv.Atoi(text)
		*value = n
		return err == nil
	}})
}

func duration(flag *kingpin.FlagClause, value *time.Duration) {
	flag.SetValue(&namedValue{flag, "not a duration such as 0.5s", func(text string) bool {
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

// parse reads the command line. Where no command is named it is read as that of
// serve. Kingpin's own default command is no help: it hides an error in a flag
// that stands before any command, so that a flag without its value is ignored.
func parse(app *kingpin.Application, args []string) (string, error) {
	args, err := expand(args)
	if err != nil {
		return "", err
	}
	context, err := app.ParseContext(args)
	if context.SelectedCommand == nil && !asksForHelp(context) {
		args = append([]string{"serve"}, args...)
		context, err = app.ParseContext(args)
	}
	if err != nil {
		return "", explain(app, context.Peek().Value, err)
	}
	for _, element := range context.Elements {
		if flag, ok := element.Clause.(*kingpin.FlagClause); ok && *element.Value == "" {
			return "", fmt.Errorf("--%s: the value is empty; set one, or leave out the flag", flag.Model().Name)
		}
	}
	return app.Parse(args)
}

// expand replaces each @FILE by the arguments in that file, as kingpin would at
// every parse; but a pipe has its content only once.
func expand(args []string) (expanded []string, err error) {
	kingpin.EnableFileExpansion = false
	for _, arg := range args {
		inFile := []string{arg}
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			if inFile, err = kingpin.ExpandArgsFromFile(file); err != nil {
				return nil, err
			}
		}
		expanded = append(expanded, inFile...)
	}
	return expanded, nil
}

// asksForHelp reports whether there is --help, or --help-long or --help-man.
func asksForHelp(context *kingpin.ParseContext) bool {
	return slices.ContainsFunc(context.Elements, func(e *kingpin.ParseElement) bool {
		flag, ok := e.Clause.(*kingpin.FlagClause)
		return ok && strings.HasPrefix(flag.Model().Name, "help")
	})
}

// explain adds to an error of the command line what kingpin leaves out: where a
// word may stand, and which command has a flag.
func explain(app *kingpin.Application, token string, err error) error {
	var commands, owners []string
	for _, c := range app.Model().Commands {
		commands = append(commands, c.Name)
		if app.GetCommand(c.Name).GetFlag(strings.TrimPrefix(token, "no-")) != nil {
			owners = append(owners, c.Name)
		}
	}
	switch {
	case strings.HasPrefix(err.Error(), "unexpected "):
		return fmt.Errorf("%w; usage: petra_exporter [%s] [--FLAG=VALUE ...]", err, strings.Join(commands, "|"))
	case strings.HasPrefix(err.Error(), "unknown ") && owners != nil:
		return fmt.Errorf("%w; it is a flag of %s", err, strings.Join(owners, ", "))
	case strings.HasPrefix(err.Error(), "unknown "):
		return fmt.Errorf("%w; see --help", err)
	}
	return err
}
