// Package statuspage tests /status in a browser: what it looks like, whether it
// can be used with a keyboard and a screen reader, and that it loads nothing.
package statuspage
