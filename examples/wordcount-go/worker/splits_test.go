package worker

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func linesOf(t *testing.T, parts ...part) ([]string, error) {
	t.Helper()
	input, err := json.Marshal(map[string]any{"files": parts})
	if err != nil {
		t.Fatal(err)
	}
	return linesOfInput(string(input))
}

func linesOfInput(input string) ([]string, error) {
	task := &Task{Context: context.Background(), getenv: os.Getenv, progress: func() {}}
	var found []string
	err := task.Lines(input, func(line []byte) { found = append(found, string(line)) })
	return found, err
}

// Cut anywhere, every line is read once and in order: from a folder, and from web servers with and without ranges.
func TestEveryLineIsReadOnce(t *testing.T) {
	folder := t.TempDir()
	ranges := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer ranges.Close()
	whole := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		content, _ := os.ReadFile(filepath.Join(folder, request.URL.Path))
		writer.Write(content)
	}))
	defer whole.Close()
	draw := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"\n", "\r\n", "\r", "a", "\xff\x00", "word", strings.Repeat("x", 40), strings.Repeat("y", 300<<10)}
	for round := range 150 {
		var content []byte
		for range draw.IntN(30) {
			content = append(content, pieces[draw.IntN(len(pieces)-draw.IntN(2))]...)
		}
		var want []string
		for _, line := range bytes.SplitAfter(content, []byte("\n")) {
			if len(line) > 0 {
				text := strings.TrimSuffix(string(line), "\n")
				if text != string(line) {
					text = strings.TrimSuffix(text, "\r")
				}
				want = append(want, text)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, "file.txt"), content, 0o666); err != nil {
			t.Fatal(err)
		}
		address := []string{"file://" + folder, ranges.URL, whole.URL}[round%3] + "/file.txt"
		var parts []part
		for start := int64(0); start < int64(len(content)); {
			length := min(1+draw.Int64N(int64(len(content))), int64(len(content))-start)
			start += length
			parts = append(parts, part{URL: address, Start: start - length, Length: &length, Last: start == int64(len(content))})
		}
		found, err := linesOf(t, parts...)
		if len(parts) == 0 {
			continue
		}
		if err != nil || !slices.Equal(found, want) {
			t.Fatalf("round %d, %d parts: %d lines, expected %d: %v", round, len(parts), len(found), len(want), err)
		}
	}
}

// A file that is longer than its pieces is an error, wherever the stated end lies, and it is named with both sizes: what
// follows would be read by nobody.  No piece costs a request more.
func TestAFileThatIsLongerThanItsPieces(t *testing.T) {
	folder := t.TempDir()
	content := []byte(strings.Repeat("0123456789\n", 10) + "no end")
	if err := os.MkdirAll(filepath.Join(folder, "bucket"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "bucket", "file"), content, 0o666); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		asked.Add(1)
		writer.Header().Set("ETag", `"1"`)
		http.ServeFile(writer, request, filepath.Join(folder, request.URL.Path))
	}))
	defer server.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		asked.Add(1)
		writer.(http.Flusher).Flush() // so no length is told
		writer.Write(content)
	}))
	defer silent.Close()
	t.Setenv("KUBEMR_S3_ENDPOINT", server.URL)
	t.Setenv("KUBEMR_S3_ACCESS_KEY_ID", "key")
	t.Setenv("KUBEMR_S3_SECRET_ACCESS_KEY", "secret")
	size := int64(len(content))
	for address, known := range map[string]bool{
		"file://" + folder + "/bucket/file": true,
		server.URL + "/bucket/file":         true,
		silent.URL + "/bucket/file":         false,
		"s3://bucket/file":                  true,
	} {
		for _, end := range []int64{size, 115, 110, 109, 105, 99, 89} {
			asked.Store(0)
			length := end - 80
			lines, err := linesOfInput(fmt.Sprintf(`{"files":[{"url":%q,"start":80,"length":%d,"last":true}]}`, address, length))
			found := fmt.Sprint(size)
			if !known {
				found = fmt.Sprintf("more than %d", end)
			}
			told := fmt.Sprintf("has %s bytes, and %d by the manifest or when it was listed; correct the manifest", found, end)
			if end == size && (err != nil || len(lines) != 3) || end < size && (err == nil || !strings.Contains(err.Error(), told)) {
				t.Errorf("%s up to %d: %d lines, %v", address, end, len(lines), err)
			}
			if asked.Load() > 1 {
				t.Errorf("%s up to %d: %d requests", address, end, asked.Load())
			}
			if _, err := linesOf(t, part{URL: address, Start: 80, Length: &length}); err != nil {
				t.Errorf("%s up to %d, not the last: %v", address, end, err)
			}
		}
	}
}

// Whole files are read from end to end, packed ones unpacked; a file that has become shorter, and what is no split, are errors.
func TestWholeFilesAndErrors(t *testing.T) {
	folder := t.TempDir()
	var packed bytes.Buffer
	for _, text := range []string{"a\r\nb\n", "c"} {
		writer := gzip.NewWriter(&packed)
		writer.Write([]byte(text))
		writer.Close()
	}
	for name, content := range map[string][]byte{"packed.gz": packed.Bytes(), "plain": []byte("d\n\ne")} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	plain := "file://" + folder + "/plain"
	found, err := linesOf(t, part{URL: "file://" + folder + "/packed.gz", Compression: "Gzip"}, part{URL: plain})
	if want := []string{"a", "b", "c", "d", "", "e"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%q, %v; expected %q", found, err, want)
	}
	length := int64(9)
	if _, err = linesOf(t, part{URL: plain, Length: &length}); err == nil || !strings.Contains(err.Error(), "has no more than 4 bytes, and 9 at least by") {
		t.Errorf("a file that became shorter: %v", err)
	}
	if _, err = linesOf(t, part{URL: plain, Compression: "Zstd"}); err == nil || !strings.Contains(err.Error(), "Gzip and Bzip2") {
		t.Errorf("a compression that is not known: %v", err)
	}
	task := &Task{Context: context.Background(), getenv: os.Getenv, progress: func() {}}
	if err = task.Lines("{}", func([]byte) {}); err == nil || !strings.Contains(fmt.Sprint(err), "no split") {
		t.Errorf("what is no split: %v", err)
	}
}
