package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template/parse"
)

// variables are what Prometheus puts before an annotation.
const variables = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

// Template divides the durations in the queries of an annotation. The text keeps
// its meaning, not its form.
func (s Scale) Template(text string) (string, error) {
	tree := parse.New("annotation")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(variables+text, "", "", map[string]*parse.Tree{}); err != nil {
		return "", err
	}
	if err := s.node(tree.Root); err != nil {
		return "", err
	}
	return strings.TrimPrefix(tree.Root.String(), variables), nil
}

// node divides what the strings below a node of a template hold.
func (s Scale) node(node parse.Node) error {
	var children []parse.Node
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			children = n.Nodes
		}
	case *parse.ActionNode:
		children = []parse.Node{n.Pipe}
	case *parse.IfNode:
		children = []parse.Node{n.Pipe, n.List, n.ElseList}
	case *parse.RangeNode:
		children = []parse.Node{n.Pipe, n.List, n.ElseList}
	case *parse.WithNode:
		children = []parse.Node{n.Pipe, n.List, n.ElseList}
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			children = append(children, command)
		}
	case *parse.CommandNode:
		children = n.Args
		if function(n) == "printf" || function(n) == "query" {
			for _, arg := range n.Args {
				if text, ok := arg.(*parse.StringNode); ok {
					query, err := s.query(text.Text)
					if err != nil {
						return err
					}
					text.Text, text.Quoted = query, strconv.Quote(query)
				}
			}
		}
	}
	for _, child := range children {
		if err := s.node(child); err != nil {
			return err
		}
	}
	return nil
}

// function is the name of the function that a command calls, if it does.
func function(n *parse.CommandNode) string {
	if name, ok := n.Args[0].(*parse.IdentifierNode); ok {
		return name.Ident
	}
	return ""
}

var (
	verb      = regexp.MustCompile(`\w?%[qs]`)
	undivided = regexp.MustCompile(`\[\d|\boffset\b|time\(\)`)
	// What the verbs of a format are while it is parsed: the value of a label,
	// matchers after a metric's name, an expression.
	value    = regexp.MustCompile(`"(%\[\d+\]q)"`)
	matchers = regexp.MustCompile(`\{verb="(%\[\d+\]s)"\}`)
	operand  = regexp.MustCompile(`\bverb_(\d+)\b`)
)

// query divides a query, or a format of printf that becomes one. It numbers the
// verbs, since the parts of an expression may come out in another order. What is
// no query stays, and must hold nothing to divide.
func (s Scale) query(format string) (string, error) {
	n := 0
	expr, _, err := s.parse(verb.ReplaceAllStringFunc(format, func(found string) string {
		n++
		switch before, _, _ := strings.Cut(found, "%"); {
		case strings.HasSuffix(found, "q"):
			return fmt.Sprintf(`%s"%%[%d]q"`, before, n)
		case before != "":
			return fmt.Sprintf(`%s{verb="%%[%d]s"}`, before, n)
		}
		return fmt.Sprintf("verb_%d", n)
	}))
	if err != nil {
		if undivided.MatchString(format) {
			return "", fmt.Errorf("the query %q: %w", format, err)
		}
		return format, nil
	}
	text := value.ReplaceAllString(expr.String(), "$1")
	text = matchers.ReplaceAllString(text, "$1")
	return operand.ReplaceAllString(text, "%[${1}]s"), nil
}
