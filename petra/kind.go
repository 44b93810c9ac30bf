package petra

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// The kinds of failure that [Kind] distinguishes; that of a status other than 200
// is "status" and the code.
const (
	KindKey         = "key"         // there is no usable API key
	KindNoBudget    = "no_budget"   // no request is free
	KindDNS         = "dns"         // the host has no address
	KindDial        = "dial"        // there is no connection to it
	KindProxy       = "proxy"       // the proxy is not reached, or does not connect
	KindTLS         = "tls"         // the handshake fails
	KindTimeout     = "timeout"     // there is no complete answer in time
	KindConnection  = "connection"  // the connection ends, or what comes is not HTTP
	KindRedirect    = "redirect"    // the answer leads elsewhere
	KindUndecodable = "undecodable" // the answer is not what the API documents
	KindTooLarge    = "too_large"   // the answer is larger than MaxAnswerBytes
)

// Kind classifies the error of a request; it is empty for nil. It goes by the
// types of errors: their texts differ from request to request, since they contain
// ports, addresses and times.
func Kind(err error) string {
	if err == nil {
		return ""
	}
	if status, ok := errors.AsType[*StatusError](err); ok && !errors.Is(err, ErrRedirect) {
		return fmt.Sprintf("status %d", status.Code)
	}
	for _, kind := range []struct {
		target error
		name   string
	}{
		{ErrRedirect, KindRedirect},
		{ErrKey, KindKey},
		{ErrNoBudget, KindNoBudget},
		{ErrUndecodable, KindUndecodable},
		{ErrTooLarge, KindTooLarge},
		{ErrProxy, KindProxy},
		{gzip.ErrHeader, KindUndecodable},
		{gzip.ErrChecksum, KindUndecodable},
	} {
		if errors.Is(err, kind.target) {
			return kind.name
		}
	}
	return connectionKind(err)
}

// connectionKind says how far the request came, since a timeout can be the text
// of any step.
func connectionKind(err error) string {
	op := ""
	if onConn, ok := errors.AsType[*net.OpError](err); ok {
		op = onConn.Op
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case op == "proxyconnect" || strings.HasPrefix(op, "socks"):
		return KindProxy
	case is[*net.DNSError](err):
		return KindDNS
	case op == "remote error", op == "local error", // alerts
		is[*tls.CertificateVerificationError](err), is[tls.RecordHeaderError](err), is[tls.AlertError](err),
		is[x509.CertificateInvalidError](err), is[x509.HostnameError](err), is[x509.UnknownAuthorityError](err), is[x509.SystemRootsError](err):
		return KindTLS
	case op == "dial":
		return KindDial
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return KindTimeout
	case is[flate.CorruptInputError](err):
		return KindUndecodable
	}
	return KindConnection
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
