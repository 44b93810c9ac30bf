package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// wholeNumber is the value of a flag; kingpin's Int reads 0.5 as 0.
type wholeNumber int

func (n *wholeNumber) Set(text string) error {
	number, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	*n = wholeNumber(number)
	return nil
}

func (n *wholeNumber) String() string { return strconv.Itoa(int(*n)) }

// commandLine is what a start of the program says.
type commandLine struct {
	command string
	// variables are the environment variables that set a flag, by the flag.
	variables map[string]string
}

// parse reads the command line, and the environment for the flags that are not on
// it. Where no command is named, it reads the command line as that of serve.
// Kingpin's own default command would hide an error in a flag that stands before
// any command, so that a flag without its value would be ignored.
func parse(app *kingpin.Application, args []string) (c commandLine, err error) {
	app.DefaultEnvars()
	for _, flag := range app.Model().Flags {
		if flag.Hidden || flag.Name == "help" || flag.Name == "version" {
			app.GetFlag(flag.Name).NoEnvar() // these ask for something once
		}
	}
	if args, err = expand(args); err != nil {
		return c, err
	}
	context, err := app.ParseContext(args)
	if context.SelectedCommand == nil && !asksFor(context, "help") {
		args = append([]string{"serve"}, args...)
		context, err = app.ParseContext(args)
	}
	if err != nil {
		return c, fmt.Errorf("%w, try --help", err)
	}
	if !asksFor(context, "help") && !asksFor(context, "version") {
		if c.variables, err = checkValues(app, context); err != nil {
			return c, err
		}
	}
	c.command, err = app.Parse(args)
	return c, err
}

// checkValues returns an error that names the flag or the environment variable of
// a value that cannot be used, as kingpin's do not.
func checkValues(app *kingpin.Application, context *kingpin.ParseContext) (variables map[string]string, err error) {
	given := map[string]bool{}
	for _, element := range context.Elements {
		if flag, ok := element.Clause.(*kingpin.FlagClause); ok {
			name := "--" + flag.Model().Name
			given[name] = true
			if *element.Value == "" {
				return nil, fmt.Errorf("%s: the value is empty; set one, or leave out the flag", name)
			}
			if err := checkValue(flag.Model(), *element.Value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	variables = map[string]string{}
	for _, flag := range slices.Concat(app.Model().Flags, context.SelectedCommand.Model().Flags) {
		name, value := "--"+flag.Name, os.Getenv(flag.Envar)
		if value == "" || given[name] {
			continue
		}
		if err := checkValue(flag, value); err != nil {
			return nil, fmt.Errorf("%s: %w", flag.Envar, err)
		}
		variables[name] = flag.Envar
	}
	return variables, nil
}

// checkValue sets a flag, which kingpin does again; a repeatable one takes any text.
func checkValue(flag *kingpin.FlagModel, value string) error {
	if _, repeatable := flag.Value.(interface{ IsCumulative() bool }); repeatable {
		return nil
	}
	return flag.Value.Set(value)
}

// named replaces the flag at the beginning of an error by the environment variable
// that has set it.
func (c commandLine) named(err error) error {
	if err == nil {
		return nil
	}
	flag, problem, _ := strings.Cut(err.Error(), ": ")
	if variable := c.variables[flag]; variable != "" {
		return fmt.Errorf("%s: %s", variable, problem)
	}
	return err
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

// asksFor reports whether there is a flag of a name that begins so: --help has
// --help-long and --help-man beside it.
func asksFor(context *kingpin.ParseContext, prefix string) bool {
	return slices.ContainsFunc(context.Elements, func(e *kingpin.ParseElement) bool {
		flag, ok := e.Clause.(*kingpin.FlagClause)
		return ok && strings.HasPrefix(flag.Model().Name, prefix)
	})
}
