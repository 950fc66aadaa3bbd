package worker

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestKeysOfTasks(t *testing.T) {
	for key, want := range map[string][2]int{"0": {0, 0}, "17": {17, 17}, "0-1": {0, 1}, "0-511": {0, 511}, "999488-999999": {999488, 999999}} {
		if first, last, err := tasksOf(key); err != nil || [2]int{first, last} != want {
			t.Errorf("%q: %d to %d, %v", key, first, last, err)
		}
	}
	for key, expected := range map[string]string{
		"":                       "the first and the last one, as in 0-511",
		"a":                      "the first and the last one, as in 0-511",
		"01":                     "the first and the last one, as in 0-511",
		"-1":                     "the first and the last one, as in 0-511",
		"+1":                     "the first and the last one, as in 0-511",
		"0-":                     "the first and the last one, as in 0-511",
		"1-02":                   "the first and the last one, as in 0-511",
		"0-1-2":                  "the first and the last one, as in 0-511",
		"0-1\n":                  "the first and the last one, as in 0-511",
		"0..1":                   "the first and the last one, as in 0-511",
		"4-4":                    "a last number above the first",
		"4-3":                    "a last number above the first",
		"0-512":                  "at most 512",
		"9223372036854775807":    "the first and the last one, as in 0-511",
		"1-99999999999999999999": "the first and the last one, as in 0-511",
	} {
		_, _, err := tasksOf(key)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", key)) || !strings.Contains(err.Error(), "expected") ||
			!strings.Contains(err.Error(), expected) {
			t.Errorf("%q: the error is %v, expected one that names it and says %q", key, err, expected)
		}
	}
}

func TestBothFormsMeanTheSame(t *testing.T) {
	one, together, err := parseTasks(map[string]string{"4-6": "pending/1/0/0/"})
	if err != nil || !together {
		t.Fatal(together, err)
	}
	document := map[string]string{"4": "pending/1/0/0/", "5": "pending/1/0/0/", "6": "pending/1/0/0/"}
	each, apart, err := parseTasks(document)
	if err != nil || apart {
		t.Fatal(apart, err)
	}
	if fmt.Sprint(one) != fmt.Sprint(each) || !maps.Equal(oneByOne(one), document) {
		t.Errorf("%v and %v", one, each)
	}
	if _, together, err := parseTasks(map[string]string{"4": "pending/1/0/0/"}); err != nil || together {
		t.Errorf("the entry of a single task tells of several: %v, %v", together, err)
	}
}

func TestShardsOfNeitherForm(t *testing.T) {
	for _, row := range []struct {
		tasks    map[string]string
		expected string
	}{
		{map[string]string{"0-1": "pending/1/0/0/", "2": "pending/1/0/0/"}, `"0-1" is one of 2 entries: expected one entry for all`},
		{map[string]string{"0-x": "pending/1/0/0/"}, `"0-x" does not name tasks: expected a number`},
		{map[string]string{"0-1": "pending"}, `"pending" is not a task state: expected`},
	} {
		document := fmt.Sprintf(`{"metadata": {"name": "words-0"}, "tasks": %s}`, asJSON(t, row.tasks))
		_, err := parseShard([]byte(document))
		if err == nil || !strings.Contains(err.Error(), "shard words-0, tasks") || !strings.Contains(err.Error(), row.expected) {
			t.Errorf("%v: the error is %v, expected one that names the shard and its tasks, and says %s", row.tasks, err, row.expected)
		}
	}
}
