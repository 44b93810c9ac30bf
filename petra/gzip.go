package petra

import (
	"compress/gzip"
	"io"
)

// lazyGzip reads the gzip header with the first Read, so that a broken one is
// an error of the body.
type lazyGzip struct {
	compressed io.Reader
	plain      *gzip.Reader
}

func (g *lazyGzip) Read(p []byte) (n int, err error) {
	if g.plain == nil {
		if g.plain, err = gzip.NewReader(g.compressed); err != nil {
			return 0, err
		}
	}
	return g.plain.Read(p)
}
