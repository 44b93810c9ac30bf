package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

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
