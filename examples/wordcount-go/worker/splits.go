package worker

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
)

// part is a file, or the bytes of it from Start on, Length of them; with Last the file must end there.
type part struct {
	URL         string `json:"url"`
	Start       int64  `json:"start"`
	Length      *int64 `json:"length"`
	Compression string `json:"compression"`
	Last        bool   `json:"last"`
}

// IsSplit tells whether an input names pieces of files (docs/protocol.md, "Splits") and is no address.
func IsSplit(input string) bool { return strings.HasPrefix(input, "{") }

// Lines calls each with every record of a split, in order: lines without their ends, and only those that begin in its
// pieces.  The slice is valid until each returns.
func (t *Task) Lines(input string, each func([]byte)) error {
	var split struct {
		Files []part `json:"files"`
	}
	if err := json.Unmarshal([]byte(input), &split); err != nil || split.Files == nil {
		return fmt.Errorf("%.80q is no split: %w; it must be {\"files\":[{\"url\":…}, …]}", input, errors.Join(err, errors.New("no files")))
	}
	for _, file := range split.Files {
		if err := t.linesOf(file, each); err != nil {
			return fmt.Errorf("%s: %w", file.URL, err)
		}
		t.progress()
	}
	return nil
}

func (t *Task) linesOf(file part, each func([]byte)) error {
	if file.Compression != "" && file.Compression != "None" {
		file.Start, file.Length = 0, nil // they are not cut
	}
	from := max(file.Start-1, 0)
	stream, err := openAt(t.Context, t.getenv, file.URL, from)
	if err != nil {
		return err
	}
	defer stream.Close()
	content, err := unpacked(stream, file.Compression)
	if err != nil {
		return err
	}
	lines, position := bufio.NewReaderSize(content, 256<<10), from
	end := int64(-1)
	if file.Length != nil {
		end = file.Start + *file.Length
	}
	if file.Start > 0 { // the line that begins before the piece is another's
		skipped, err := skipLine(lines, end-position)
		if err != nil {
			return err
		}
		position += skipped
	}
	for end < 0 || position < end {
		line, err := lines.ReadSlice('\n')
		position += int64(len(line))
		if err == bufio.ErrBufferFull {
			begun := bytes.Clone(line) // of which more follows, and all of it belongs here
			line, err = lines.ReadBytes('\n')
			position += int64(len(line))
			line = append(begun, line...)
		}
		if len(line) > 0 {
			each(record(line))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if position%(1<<20) < int64(len(line)) {
			t.progress()
		}
	}
	if end < 0 {
		return nil
	}
	return checkEnd(file, position, lines, stream)
}

// checkEnd tells whether a file, of which lines are at position, goes as far as it is to: what lies behind its last piece
// would be read by nobody.
func checkEnd(file part, position int64, lines *bufio.Reader, stream *opened) error {
	end := file.Start + *file.Length
	if position >= end && !file.Last {
		return nil
	}
	if position == end {
		if _, err := lines.Peek(1); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	found, told := fmt.Sprintf("more than %d", end), fmt.Sprint(end)
	if position < end {
		found = fmt.Sprintf("no more than %d", position)
	} else if size := stream.size(); size > end {
		found = fmt.Sprint(size)
	}
	if !file.Last {
		told += " at least"
	}
	return fmt.Errorf("has %s bytes, and %s by the manifest or when it was listed; "+
		"correct the manifest, do not change inputs while a job runs, and create the job anew", found, told)
}

// record is a line without its end, LF or CRLF.
func record(line []byte) []byte {
	if text, ended := bytes.CutSuffix(line, []byte("\n")); ended {
		return bytes.TrimSuffix(text, []byte("\r"))
	}
	return line
}

// skipLine reads up to and with the next LF, but not much more than limit bytes (negative for no limit).
func skipLine(lines *bufio.Reader, limit int64) (int64, error) {
	var skipped int64
	for {
		line, err := lines.ReadSlice('\n')
		skipped += int64(len(line))
		switch {
		case err == bufio.ErrBufferFull && (limit < 0 || skipped < limit):
		case err == bufio.ErrBufferFull || err == io.EOF || err == nil:
			return skipped, nil
		default:
			return skipped, err
		}
	}
}

func unpacked(stream io.Reader, compression string) (io.Reader, error) {
	switch compression {
	case "", "None":
		return stream, nil
	case "Gzip":
		return gzip.NewReader(stream)
	case "Bzip2":
		return bzip2.NewReader(stream), nil
	default:
		return nil, fmt.Errorf("compression %q: this worker unpacks Gzip and Bzip2", compression)
	}
}

// opened is an object that is being read.  size is of all of it, below 0 where nobody has told it: it asks no server, if
// something has been read.
type opened struct {
	io.ReadCloser
	size func() int64
}

// openAt opens what lies at an address, from an offset on.
func openAt(ctx context.Context, getenv func(string) string, address string, start int64) (*opened, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	switch scheme {
	case "s3":
		client, err := s3Client(getenv)
		if err != nil {
			return nil, err
		}
		bucket, key, _ := strings.Cut(rest, "/")
		var options minio.GetObjectOptions
		if start > 0 {
			if err := options.SetRange(start, 0); err != nil {
				return nil, err
			}
		}
		stream, err := client.GetObject(ctx, bucket, key, options)
		return &opened{stream, func() int64 {
			info, err := stream.Stat() // of the range that was asked for
			if err != nil || info.Size < 0 {
				return -1
			}
			return start + info.Size
		}}, storageError(err)
	case "http", "https":
		return openWeb(ctx, address, start)
	default:
		path, err := filePath(address)
		if err != nil {
			return nil, err
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if _, err := file.Seek(start, io.SeekStart); err != nil {
			file.Close()
			return nil, err
		}
		return &opened{file, func() int64 {
			info, err := file.Stat()
			if err != nil {
				return -1
			}
			return info.Size()
		}}, nil
	}
}

// openWeb asks again what a later try may be answered.
func openWeb(ctx context.Context, address string, start int64) (*opened, error) {
	var wait backoff
	for {
		stream, again, err := openWebOnce(ctx, address, start)
		if err == nil || !again || wait.attempts == 6 {
			return stream, err
		}
		if stopped := wait.sleep(ctx, 0); stopped != nil {
			return nil, err
		}
	}
}

func openWebOnce(ctx context.Context, address string, start int64) (*opened, bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, false, err
	}
	if start > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", start))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, true, err
	}
	switch response.StatusCode {
	case http.StatusPartialContent:
		size := response.ContentLength
		if size >= 0 {
			size += start
		}
		return &opened{response.Body, func() int64 { return size }}, false, nil
	case http.StatusOK: // all of it: a server need not know ranges
		if _, err := io.CopyN(io.Discard, response.Body, start); err != nil {
			response.Body.Close()
			return nil, true, err
		}
		return &opened{response.Body, func() int64 { return response.ContentLength }}, false, nil
	default:
		response.Body.Close()
		again := response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests
		return nil, again, errors.New(response.Status)
	}
}
