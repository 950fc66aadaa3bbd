// Is a history of operations on locks and task shards linearizable?
//
//	checker [-timeout 2m] HISTORY…
//
// A history has one operation a line, as tests/support/linearizability/history.py writes them.  Each lock and each shard
// is checked by itself, which is sound: linearizability is local.  An operation without a return stays open: its effect
// may come at any later time, or never.  A summary in JSON goes to standard output.
// The exit code is 0 if all is linearizable, 1 if a key is not, and 2 if the time ran out or a history cannot be read.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Operation is one line of a history.
type Operation struct {
	Key     string   `json:"key"`
	Kind    string   `json:"kind"` // acquire, release (of a lock); swap (of a shard's tasks); read (of either)
	Client  int      `json:"client"`
	Call    int64    `json:"call"`
	Return  *int64   `json:"return"`  // null: its outcome is unknown
	Outcome string   `json:"outcome"` // won; lost; either (landed by the return or never); unknown (may yet land)
	Me      string   `json:"me"`      // who acquires or releases
	Fence   int      `json:"fence"`   // of the acquisition that was won, is released, or was seen
	Holder  string   `json:"holder"`  // whom a read or a lost acquisition saw
	Swaps   []Swap   `json:"swaps"`   // all of these, or none
	Rest    []Swap   `json:"rest"`    // what an operation falls back to when it cannot have all
	Seen    []string `json:"seen"`    // a shard's tasks
}

// Swap is a task's state that is tested, and the one it is replaced by.
type Swap struct {
	Task int    `json:"task"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Summary is what is printed.
type Summary struct {
	Operations int                    `json:"operations"`
	Counts     map[string]int         `json:"counts"`
	Keys       int                    `json:"keys"`
	Open       int                    `json:"open"`
	Overlaps   int                    `json:"overlaps"`
	Result     string                 `json:"result"`
	Seconds    float64                `json:"seconds"`
	Illegal    map[string][]Operation `json:"illegal,omitempty"`
}

func main() {
	timeout := flag.Duration("timeout", 2*time.Minute, "for all keys together")
	flag.Parse()
	keys := map[string][]Operation{}
	summary := Summary{Counts: map[string]int{}, Result: "linearizable", Illegal: map[string][]Operation{}}
	for _, name := range flag.Args() {
		for _, operation := range read(name) {
			keys[operation.Key] = append(keys[operation.Key], operation)
			summary.Operations++
			summary.Counts[operation.Kind+" "+operation.Outcome]++
			if operation.Return == nil {
				summary.Open++
			}
		}
	}
	summary.Keys = len(keys)
	began := time.Now()
	for key, operations := range keys {
		summary.Overlaps += overlaps(operations)
		// 0 would mean without limit.
		left := max(time.Nanosecond, *timeout-time.Since(began))
		switch porcupine.CheckOperationsTimeout(modelOf(key), history(operations), left) {
		case porcupine.Illegal:
			summary.Illegal[key] = operations
		case porcupine.Unknown:
			summary.Result = "unknown: the time ran out"
		}
	}
	summary.Seconds = time.Since(began).Seconds()
	if len(summary.Illegal) > 0 {
		summary.Result = "not linearizable"
	}
	written, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		fail(err)
	}
	fmt.Println(string(written))
	switch summary.Result {
	case "linearizable":
	case "not linearizable":
		os.Exit(1)
	default:
		os.Exit(2)
	}
}

var outcomes = []string{"won", "lost", "either", "unknown"}

func read(name string) []Operation {
	file, err := os.Open(name)
	if err != nil {
		fail(err)
	}
	defer file.Close()
	var operations []Operation
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var operation Operation
		if err := json.Unmarshal(lines.Bytes(), &operation); err != nil {
			fail(fmt.Errorf("%s: %w in %s", name, err, lines.Text()))
		}
		if !slices.Contains(outcomes, operation.Outcome) || (operation.Outcome == "unknown") != (operation.Return == nil) {
			fail(fmt.Errorf("%s: outcome %q with return %v in %s", name, operation.Outcome, operation.Return, lines.Text()))
		}
		operations = append(operations, operation)
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
	return operations
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

func history(operations []Operation) []porcupine.Operation {
	made := make([]porcupine.Operation, len(operations))
	for i, operation := range operations {
		made[i] = porcupine.Operation{ClientId: operation.Client, Input: operation, Call: operation.Call, Return: math.MaxInt64}
		if operation.Return != nil {
			made[i].Return = *operation.Return
		}
	}
	return made
}

// overlaps counts the operations that began while an earlier one of the same key had not returned.
func overlaps(operations []Operation) int {
	slices.SortFunc(operations, func(a, b Operation) int { return int(a.Call - b.Call) })
	count, latest := 0, int64(0)
	for _, operation := range operations {
		if operation.Call < latest {
			count++
		}
		if operation.Return != nil {
			latest = max(latest, *operation.Return)
		}
	}
	return count
}
