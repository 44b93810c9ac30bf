package backfill

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// besideFile is a temporary file that is renamed once it is complete. Unlike a file
// of atomicwriter, it can be discarded.
type besideFile struct {
	*os.File
	path string
}

// createBeside begins a file beside the one to be written, so that what cannot
// be written is found at once.
func createBeside(path string) (*besideFile, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; name another", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return nil, err
	}
	return &besideFile{f, path}, nil
}

// write writes all, and gives the file its name.
func (f *besideFile) write(ctx context.Context, write func(*sampleWriter) error, size int64, p *progress) error {
	out := &sampleWriter{text: bufio.NewWriterSize(&watchedWriter{ctx: ctx, file: f.File, size: size, progress: p, begun: time.Now()}, 1<<20)}
	if err := write(out); err != nil {
		return err
	}
	if err := out.text.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), f.path)
}

// discard leaves nothing behind; after write, it does nothing.
func (f *besideFile) discard() {
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// watchedWriter reports the progress of the file, and ends with ctx.
type watchedWriter struct {
	ctx      context.Context
	file     *os.File
	size     int64 // of all
	progress *progress
	begun    time.Time
	written  int64
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.written += int64(n)
	left := time.Duration(float64(time.Since(w.begun)) * (float64(w.size)/float64(max(1, w.written)) - 1))
	w.progress.at(w.written, w.size, max(0, left))
	return n, err
}

// sampleWriter writes samples, or only counts them where there is no text.
type sampleWriter struct {
	text    *bufio.Writer
	err     error // the first
	bytes   int64
	samples int64
	header  []byte // of the family, until its first sample
}

// head begins a family. One without samples has no header.
func (w *sampleWriter) head(family *dto.MetricFamily) error {
	var header bytes.Buffer
	_, err := expfmt.MetricFamilyToOpenMetrics(&header, family)
	w.header = header.Bytes()
	return err
}

// repeat writes the lines once for each of the times, which lie step apart.
func (w *sampleWriter) repeat(lines [][]byte, first time.Time, step time.Duration, times int) {
	if len(lines) == 0 {
		return
	}
	w.put(w.header)
	w.header = nil
	const timestamp = len(" 1000000000\n")
	for _, line := range lines {
		w.bytes += int64(times) * int64(len(line)+timestamp)
	}
	w.samples += int64(times) * int64(len(lines))
	if w.text == nil {
		return
	}
	end := make([]byte, 0, timestamp)
	for n := range times {
		end = append(strconv.AppendInt(append(end[:0], ' '), first.Unix()+int64(n)*int64(step/time.Second), 10), '\n')
		for _, line := range lines {
			_, _ = w.text.Write(line)
			if _, err := w.text.Write(end); err != nil {
				w.err = err
				return
			}
		}
	}
}

// end writes the last line.
func (w *sampleWriter) end() error {
	w.put([]byte("# EOF\n"))
	return w.err
}

func (w *sampleWriter) put(text []byte) {
	w.bytes += int64(len(text))
	if w.text != nil && w.err == nil {
		_, w.err = w.text.Write(text)
	}
}
