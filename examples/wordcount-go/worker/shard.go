package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
)

const (
	labelUID   = "kubemr.turbobytes.com/job-uid"
	labelRun   = "kubemr.turbobytes.com/run"
	labelStage = "kubemr.turbobytes.com/stage"
	labelTasks = "kubemr.turbobytes.com/tasks"
)

var (
	hintPath  = pointer("metadata", "labels", labelTasks)
	tasksPath = pointer("tasks")
)

// Shard is one as it was last seen.  together: one entry tells of all its tasks.
type Shard struct {
	target   object
	name     string
	tasks    map[int]State
	hint     string
	together bool
}

func parseShard(text []byte) (*Shard, error) {
	var document struct {
		Metadata struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Tasks map[string]string
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	metadata := document.Metadata
	shard := &Shard{target: object{shards, metadata.Namespace, metadata.Name}, name: metadata.Name, hint: metadata.Labels[labelTasks]}
	var err error
	if shard.tasks, shard.together, err = parseTasks(document.Tasks); err != nil {
		return nil, fmt.Errorf("shard %s, tasks: %w", metadata.Name, err)
	}
	return shard, nil
}

func (s *Shard) numbers(wanted func(State) bool) []int {
	var found []int
	for number, state := range s.tasks {
		if wanted(state) {
			found = append(found, number)
		}
	}
	slices.Sort(found)
	return found
}

func (s *Shard) pending() []int {
	return s.numbers(func(state State) bool { return state.Name == "pending" })
}
func (s *Shard) failed() []int {
	return s.numbers(func(state State) bool { return state.Name == "failed" })
}
func (s *Shard) heldBy(token string) []int {
	return s.numbers(func(state State) bool { return state.HeldBy(token) })
}

// choose gives up to count tasks to claim: those nobody died on, or else a single one.
func (s *Shard) choose(count int, random bool) []int {
	clean := s.numbers(func(state State) bool { return state.Name == "pending" && state.Losses == 0 })
	if len(clean) == 0 {
		pending := s.pending()
		return pending[:min(1, len(pending))]
	}
	if random { // contenders should not all want the same tasks
		start := rand.IntN(len(clean))
		clean = append(clean[start:], clean[:start]...)
	}
	return clean[:min(count, len(clean))]
}

func hintOf(tasks map[int]State) string {
	hint := "done"
	for _, state := range tasks {
		if state.Name == "pending" {
			return "open"
		}
		if !state.Committed() {
			hint = "drained"
		}
	}
	return hint
}

// change is the patch that moves tasks to states, and the hint along with them.  All tasks at once are one value.  It is one
// entry for as long as they all go the same way, and then one for each for good.
func (s *Shard) change(states map[int]State) Patch {
	var patch Patch
	after := maps.Clone(s.tasks)
	maps.Copy(after, states)
	if s.together || len(states) == len(s.tasks) {
		patch = patch.Swap(tasksPath, s.document(s.tasks), s.document(after))
	} else {
		for _, number := range sortedKeys(states) {
			patch = patch.Swap(pointer("tasks", strconv.Itoa(number)), s.tasks[number].String(), states[number].String())
		}
	}
	if hint := hintOf(after); hint != s.hint {
		patch = patch.Set(hintPath, hint)
	}
	return patch
}

// repair is the patch that makes the label fit the tasks, nil when it does.  It tests the whole map as it stands: if any
// task has moved on, whoever moved it repairs the label.
func (s *Shard) repair() Patch {
	hint := hintOf(s.tasks)
	if hint == s.hint || s.hint == "waiting" {
		return nil
	}
	return Patch{}.Test(tasksPath, s.document(s.tasks)).Set(hintPath, hint)
}

// document is what stands at /tasks, or is to stand there, when these are the states of all its tasks.
func (s *Shard) document(tasks map[int]State) map[string]string {
	if s.together {
		return shortest(tasks)
	}
	return oneByOne(tasks)
}

// repairHint sends the repair, if one is called for.  One try, whatever the answer: it is only a hint.
func (c *Client) repairHint(ctx context.Context, s *Shard) {
	if patch := s.repair(); patch != nil {
		body, _ := json.Marshal(patch)
		c.exchange(ctx, http.MethodPatch, s.target.path(), "fieldManager=kubemr", body)
	}
}

type change func(State) State

// settle is the only way a worker changes tasks of its own: it applies changes to tasks that token holds and, in the same
// patch, claims more.  When a test fails it reads again, drops what is no longer its own, and sends the rest without the
// claim.  What the worker holds is taken from the shard that is returned, never from what was asked for.
func (c *Client) settle(ctx context.Context, shard *Shard, token string, changes map[int]change, claim []int) (*Shard, error) {
	epochs, left := map[int]int{}, map[int]change{}
	for number, each := range changes {
		epochs[number], left[number] = shard.tasks[number].Epoch, each
	}
	for {
		states := map[int]State{}
		for number, each := range left {
			states[number] = each(shard.tasks[number])
		}
		for _, number := range claim {
			states[number] = shard.tasks[number].Claim(token)
		}
		if len(states) == 0 {
			return shard, nil
		}
		landed, seen, err := c.send(ctx, shard, states)
		if err != nil {
			return nil, err
		}
		shard = seen
		if landed {
			c.repairHint(ctx, shard)
			return shard, nil
		}
		claim = nil
		for number := range left {
			if state := shard.tasks[number]; !state.HeldBy(token) || state.Epoch != epochs[number] {
				delete(left, number) // too late: somebody took it away
			}
		}
	}
}

// lose takes the tasks of dead holders away from them.  Who loses the race for it needs to do nothing.
func (c *Client) lose(ctx context.Context, shard *Shard, dead map[string]bool, maxLosses int) (*Shard, error) {
	states := map[int]State{}
	for number, state := range shard.tasks {
		if state.Name == "running" && slices.ContainsFunc(state.Holders, func(holder string) bool { return dead[holder] }) {
			states[number] = state.Lose(dead, maxLosses)
		}
	}
	if len(states) == 0 {
		return shard, nil
	}
	landed, seen, err := c.send(ctx, shard, states)
	if err == nil && landed {
		c.repairHint(ctx, seen)
	}
	return seen, err
}

func (c *Client) send(ctx context.Context, shard *Shard, states map[int]State) (bool, *Shard, error) {
	mine := func(document any) bool { return shows(lookup(document, tasksPath), states) }
	result, text, err := c.apply(ctx, shard.target, "", shard.change(states), mine)
	if err != nil {
		return false, nil, err
	}
	if result == gone {
		return false, nil, errGone
	}
	seen, err := parseShard(text)
	return result == won, seen, err
}

func sortedKeys[V any](of map[int]V) []int {
	keys := make([]int, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
