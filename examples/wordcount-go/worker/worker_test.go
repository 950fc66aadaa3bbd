package worker

import (
	"encoding/json"
	"testing"
)

// The names of the examples in docs/protocol.md.
func TestNames(t *testing.T) {
	const uid = "4c0c9d5e-0000-4000-8000-000000000000"
	if got := baseName("test-z0dk5", uid, 1); got != "test-z0dk5-2jtklz3b" {
		t.Error(got)
	}
	if got := baseName("a.job.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.-y", uid, 2); got != "a-job-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-nfubxpz6" {
		t.Error(got)
	}
	job := &Job{}
	job.Metadata.Name, job.Metadata.UID = "test-z0dk5", uid
	if got := job.prefix(); got != "test-z0dk5-64j6rrte/" {
		t.Error(got)
	}
}

// The table of changes in docs/protocol.md, row by row.
func TestChanges(t *testing.T) {
	const T, U = "w1-aaaaaa", "w2-bbbbbb"
	dead := func(tokens ...string) map[string]bool {
		found := map[string]bool{}
		for _, token := range tokens {
			found[token] = true
		}
		return found
	}
	for _, row := range []struct {
		from   string
		change change
		to     string
	}{
		{"pending/3/1/2/", func(s State) State { return s.Claim(T) }, "running/3/1/2/" + T},
		{"running/3/1/2/" + T, func(s State) State { return s.Commit(T, false) }, "done/3/1/2/" + T},
		{"running/3/1/2/" + T + "+" + U, func(s State) State { return s.Commit(U, true) }, "empty/3/1/2/" + U},
		{"running/3/1/2/" + T, func(s State) State { return s.Release(T) }, "pending/4/1/2/"},
		{"running/3/1/2/" + T + "+" + U, func(s State) State { return s.Release(T) }, "running/3/1/3/" + U},
		{"running/3/1/2/" + T, func(s State) State { return s.Fail(T, 3) }, "pending/4/2/2/"},
		{"running/3/1/2/" + T, func(s State) State { return s.Fail(T, 2) }, "failed/3/2/2/"},
		{"running/3/1/2/" + T + "+" + U, func(s State) State { return s.Fail(T, 3) }, "running/3/2/2/" + U},
		{"running/3/1/2/" + T, func(s State) State { return s.Lose(dead(T), 3) }, "pending/4/1/3/"},
		{"running/3/1/2/" + T, func(s State) State { return s.Lose(dead(T), 2) }, "failed/3/1/3/"},
		{"running/3/1/2/" + T + "+" + U, func(s State) State { return s.Lose(dead(T, U), 3) }, "pending/4/1/3/"},
		{"running/3/1/2/" + T + "+" + U, func(s State) State { return s.Lose(dead(U), 2) }, "running/3/1/3/" + T},
	} {
		state, err := ParseState(row.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := row.change(state).String(); got != row.to {
			t.Errorf("%s -> %s, expected %s", row.from, got, row.to)
		}
	}
	for _, wrong := range []string{"", "pending/0/0/0/", "pending/01/0/0/", "running/1/0/0/", "done/1/0/0/" + T + "+" + U, "lost/1/0/0/"} {
		if _, err := ParseState(wrong); err == nil {
			t.Errorf("%q was taken for a state", wrong)
		}
	}
}

// Strings are spelled as the apiserver spells them, which compares them as text.
func TestSpelling(t *testing.T) {
	text, err := json.Marshal(Patch{}.Test("/x", "é<&>\u2028\"").Remove("/y"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"op":"test","path":"/x","value":"é\u003c\u0026\u003e\u2028\""},{"op":"remove","path":"/y"}]`; string(text) != want {
		t.Errorf("%s, expected %s", text, want)
	}
}
