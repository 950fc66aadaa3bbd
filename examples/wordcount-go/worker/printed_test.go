package worker

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
)

// What an attempt prints by any way is in its log, and nothing of its neighbours'.
func TestPrinted(t *testing.T) {
	realOut, realErr, output := os.Stdout, os.Stderr, log.Writer()
	passedOn, err := os.CreateTemp(t.TempDir(), "stream")
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout, os.Stderr = passedOn, passedOn
	log.SetOutput(passedOn)
	defer func() { os.Stdout, os.Stderr = realOut, realErr; log.SetOutput(output) }()
	p := newPrinted(1000)
	if err := p.capture(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for number := range 200 {
		task := &Task{Job: &Job{}, Stage: Stage{Name: "map"}, Number: number, Attempt: "1-w0-aaaaaa"}
		p.begin(task)
		if number%3 > 0 {
			fmt.Fprint(&all, "out ", number)
			fmt.Print("out ", number)
		}
		text, start, end := p.log("done")
		if start > end {
			t.Error(start, end)
		}
		if number%3 == 0 {
			if text != nil {
				t.Fatalf("%d: %q", number, text)
			}
			continue
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) != 4 || lines[1] != fmt.Sprint("out ", number) ||
			!strings.HasSuffix(lines[0], fmt.Sprintf(`"event":"attempt_began","task":"map/%d/1-w0-aaaaaa"}`, number)) ||
			!strings.HasSuffix(lines[2], `"event":"attempt_ended","outcome":"done"}`) {
			t.Fatalf("%d: %q", number, text)
		}
	}
	p.begin(&Task{Job: &Job{}})
	fmt.Fprintln(os.Stderr, "to stderr")
	log.Print("by the logger")
	text, _, _ := p.log("failed")
	if !bytes.Contains(text, []byte("to stderr\n")) || !bytes.Contains(text, []byte("by the logger\n")) {
		t.Errorf("%q", text)
	}
	got, err := os.ReadFile(passedOn.Name())
	if err != nil || !strings.HasPrefix(string(got), all.String()) || bytes.Contains(got, p.mark) {
		t.Errorf("passed on %q instead of %q", got, all.String())
	}
}

// Of much, beginning and end are kept, and what is left out is counted.
func TestPrintedIsBounded(t *testing.T) {
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		bound       int
		text, found string
	}{
		{40, "line 0\nline 1\nline 2\nline 3\nline 4\nline 5\nline 6\n", "line 0\nline 1\n{\"event\":\"log_shortened\",\"left_out_bytes\":21}\nline 5\nline 6\n"},
		{8, strings.Repeat("x", 100), "xxxx\n{\"event\":\"log_shortened\",\"left_out_bytes\":92}\nxxxx"},
		{100, "all of it", "all of it"},
	} {
		for _, size := range []int{1, 7, 1000} {
			p := newPrinted(row.bound)
			p.begin(&Task{Job: &Job{}})
			for rest := row.text; rest != ""; {
				count := min(size, len(rest))
				p.add([]byte(rest[:count]), nowhere)
				rest = rest[count:]
			}
			if got := string(p.kept()); got != row.found {
				t.Errorf("%d, in pieces of %d: %q", row.bound, size, got)
			}
		}
	}
	p := newPrinted(0)
	p.begin(&Task{Job: &Job{}})
	p.add([]byte("something"), nowhere)
	if _, text := p.soFar("done"); text != nil {
		t.Errorf("%q", text)
	}
}
