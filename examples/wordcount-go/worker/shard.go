package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
)

const (
	labelUID     = "kubemr.turbobytes.com/job-uid"
	labelRun     = "kubemr.turbobytes.com/run"
	labelStage   = "kubemr.turbobytes.com/stage"
	labelTasks   = "kubemr.turbobytes.com/tasks"
	tasksInShard = 32
)

var hintPath = pointer("metadata", "labels", labelTasks)

// Shard is one as it was last seen.
type Shard struct {
	target object
	name   string
	tasks  map[int]State
	hint   string
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
	shard := &Shard{object{shards, metadata.Namespace, metadata.Name}, metadata.Name, map[int]State{}, metadata.Labels[labelTasks]}
	for key, value := range document.Tasks {
		number, err := strconv.Atoi(key)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %q is no task number", metadata.Name, key)
		}
		state, err := ParseState(value)
		if err != nil {
			return nil, fmt.Errorf("shard %s, task %d: %w", metadata.Name, number, err)
		}
		shard.tasks[number] = state
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

// change is the patch that moves tasks to states, and the hint along with them.
func (s *Shard) change(states map[int]State) Patch {
	var patch Patch
	after := map[int]State{}
	for number, state := range s.tasks {
		after[number] = state
	}
	for _, number := range sortedKeys(states) {
		after[number] = states[number]
		patch = patch.Swap(pointer("tasks", strconv.Itoa(number)), s.tasks[number].String(), states[number].String())
	}
	if hint := hintOf(after); hint != s.hint {
		patch = patch.Set(hintPath, hint)
	}
	return patch
}

// repairHint makes the label fit the tasks, if it does not.  One try, whatever the answer: it is only a hint.
func (c *Client) repairHint(ctx context.Context, s *Shard) {
	hint := hintOf(s.tasks)
	if hint == s.hint || s.hint == "waiting" {
		return
	}
	tasks := map[string]string{}
	for number, state := range s.tasks {
		tasks[strconv.Itoa(number)] = state.String()
	}
	body, _ := json.Marshal(Patch{}.Test("/tasks", tasks).Set(hintPath, hint))
	c.exchange(ctx, http.MethodPatch, s.target.path(), "fieldManager=kubemr", body)
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
	mine := func(document any) bool {
		for number, state := range states {
			if lookup(document, pointer("tasks", strconv.Itoa(number))) == state.String() {
				return true
			}
		}
		return false
	}
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
