package e2e

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/prometheus/prometheus/promql/parser"
)

// unit is what the value of an expression stands for.
type unit int

const (
	count    unit = iota // anything but a time
	seconds              // a moment or a duration
	constant             // a number that takes the unit of what it meets
)

var inSeconds = regexp.MustCompile(`_seconds(_sum)?(:|$)`)

// Rule divides the durations in the expression of a recording rule, or of an
// alert, whose record is empty.
func (s Scale) Rule(record, text string) (string, error) {
	expr, u, err := s.parse(text)
	if err != nil {
		return "", err
	}
	if u == constant && inSeconds.MatchString(record) {
		expr = s.divided(expr)
	}
	return expr.String(), nil
}

func (s Scale) parse(text string) (parser.Expr, unit, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, 0, err
	}
	u, err := s.expr(expr)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", text, err)
	}
	return expr, u, nil
}

// divided is a constant, divided.
func (s Scale) divided(e parser.Expr) parser.Expr {
	if s == 1 {
		return e
	}
	if _, simple := e.(*parser.NumberLiteral); !simple {
		e = &parser.ParenExpr{Expr: e}
	}
	return &parser.BinaryExpr{Op: parser.DIV, LHS: e, RHS: &parser.NumberLiteral{Val: float64(s)}}
}

// expr divides the durations in an expression, and says what its value is. It
// fails where it would have to guess.
func (s Scale) expr(e parser.Expr) (unit, error) {
	switch e := e.(type) {
	case *parser.NumberLiteral:
		if e.Duration {
			e.Val /= float64(s)
			e.Duration = false
			return seconds, nil
		}
		return constant, nil
	case *parser.VectorSelector:
		if e.OriginalOffsetExpr != nil {
			return 0, errors.New("an offset that is computed")
		}
		e.OriginalOffset = s.Duration(e.OriginalOffset)
		if inSeconds.MatchString(e.Name) {
			return seconds, nil
		}
		return count, nil
	case *parser.MatrixSelector:
		if e.RangeExpr != nil {
			return 0, errors.New("a range that is computed")
		}
		e.Range = s.Duration(e.Range)
		return s.expr(e.VectorSelector)
	case *parser.SubqueryExpr:
		if e.RangeExpr != nil || e.StepExpr != nil || e.OriginalOffsetExpr != nil {
			return 0, errors.New("a range that is computed")
		}
		e.Range, e.Step, e.OriginalOffset = s.Duration(e.Range), s.Duration(e.Step), s.Duration(e.OriginalOffset)
		return s.expr(e.Expr)
	case *parser.ParenExpr:
		return s.expr(e.Expr)
	case *parser.UnaryExpr:
		return s.expr(e.Expr)
	case *parser.AggregateExpr:
		u, err := s.expr(e.Expr)
		switch e.Op {
		case parser.COUNT, parser.GROUP:
			return count, err
		case parser.MAX, parser.MIN, parser.SUM, parser.AVG, parser.QUANTILE, parser.TOPK, parser.BOTTOMK:
			return u, err // the parameter is a share or a number of series
		}
		return 0, fmt.Errorf("the aggregation %s is not known here", e.Op)
	case *parser.Call:
		return s.call(e)
	case *parser.BinaryExpr:
		return s.binary(e)
	}
	return 0, fmt.Errorf("%T is not known here", e)
}

func (s Scale) call(e *parser.Call) (unit, error) {
	units := make([]unit, len(e.Args))
	for i, arg := range e.Args {
		var err error
		if units[i], err = s.expr(arg); err != nil {
			return 0, err
		}
	}
	switch e.Func.Name {
	case "time", "timestamp":
		return seconds, nil
	case "max_over_time", "min_over_time", "last_over_time", "increase", "vector", "scalar":
		return units[0], nil
	case "absent":
		return count, nil
	case "clamp_min", "clamp_max":
		return s.meet(&e.Args[0], units[0], &e.Args[1], units[1])
	}
	return 0, fmt.Errorf("the function %s is not known here", e.Func.Name)
}

func (s Scale) binary(e *parser.BinaryExpr) (unit, error) {
	left, err := s.expr(e.LHS)
	if err != nil {
		return 0, err
	}
	right, err := s.expr(e.RHS)
	if err != nil {
		return 0, err
	}
	switch {
	case e.Op == parser.LAND, e.Op == parser.LUNLESS:
		return left, nil
	case e.Op == parser.LOR:
		if left == count || right == count {
			return count, nil // of two kinds, only presence says something
		}
		return s.meet(&e.LHS, left, &e.RHS, right)
	case e.Op == parser.ADD, e.Op == parser.SUB, e.Op.IsComparisonOperator():
		u, err := s.meet(&e.LHS, left, &e.RHS, right)
		if e.ReturnBool {
			u = count
		}
		return u, err
	case e.Op == parser.DIV && left == seconds && right == seconds:
		return count, nil
	case right == seconds && (e.Op == parser.DIV || left == seconds):
		return 0, fmt.Errorf("seconds on the right of %s", e.Op)
	case e.Op == parser.MUL || e.Op == parser.DIV:
		if left == seconds || right == seconds {
			return seconds, nil
		}
		return min(left, right), nil // a constant takes the other's unit
	}
	return 0, fmt.Errorf("the operator %s is not known here", e.Op)
}

// meet gives two operands one unit.
func (s Scale) meet(left *parser.Expr, l unit, right *parser.Expr, r unit) (unit, error) {
	switch {
	case l == r:
		return l, nil
	case l == constant && r == seconds:
		*left = s.divided(*left)
	case l == seconds && r == constant:
		*right = s.divided(*right)
	case l != constant && r != constant:
		return 0, errors.New("seconds meet what is none")
	}
	return min(l, r), nil
}
