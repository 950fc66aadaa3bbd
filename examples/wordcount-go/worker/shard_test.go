package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const me, pendingTask = "w1-aaaaaa", "pending/1/0/0/"

func asJSON(t *testing.T, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func shardOf(t *testing.T, hint string, tasks map[string]string) *Shard {
	labels := map[string]string{labelTasks: hint}
	metadata := map[string]any{"name": "words-0", "namespace": "default", "labels": labels}
	shard, err := parseShard([]byte(asJSON(t, map[string]any{"metadata": metadata, "tasks": tasks})))
	if err != nil {
		t.Fatal(err)
	}
	return shard
}

// What a change of some tasks writes, in either form; hints are told elsewhere.
func TestChangesOfBothForms(t *testing.T) {
	const mine, other = "running/1/0/0/" + me, "running/1/0/0/w2-bbbbbb"
	claim := func(s State) State { return s.Claim(me) }
	whole := func(old, new string) string {
		return `[{"op":"test","path":"/tasks","value":` + old + `},{"op":"replace","path":"/tasks","value":` + new + `}]`
	}
	for name, row := range map[string]struct {
		tasks   map[string]string
		changed []int
		want    string
	}{
		"all of one entry stay one": {
			map[string]string{"4-6": pendingTask}, []int{4, 5, 6}, whole(`{"4-6":"`+pendingTask+`"}`, `{"4-6":"`+mine+`"}`),
		},
		"a part of one entry makes an entry for each": {
			map[string]string{"4-6": pendingTask}, []int{5},
			whole(`{"4-6":"`+pendingTask+`"}`, `{"4":"`+pendingTask+`","5":"`+mine+`","6":"`+pendingTask+`"}`),
		},
		"entries for each never become one": {
			map[string]string{"4": pendingTask, "5": pendingTask}, []int{4, 5},
			whole(`{"4":"`+pendingTask+`","5":"`+pendingTask+`"}`, `{"4":"`+mine+`","5":"`+mine+`"}`),
		},
		"a part of entries for each is told one by one": {
			map[string]string{"4": pendingTask, "5": other}, []int{4},
			`[{"op":"test","path":"/tasks/4","value":"` + pendingTask + `"},{"op":"replace","path":"/tasks/4","value":"` + mine + `"}]`,
		},
	} {
		shard := shardOf(t, "", row.tasks)
		states := map[int]State{}
		for _, number := range row.changed {
			states[number] = claim(shard.tasks[number])
		}
		patch := slices.DeleteFunc(shard.change(states), func(each operation) bool { return each.Path == hintPath })
		if got := strings.ToLower(asJSON(t, patch)); got != row.want {
			t.Errorf("%s: %s, expected %s", name, got, row.want)
		}
	}
}

func TestTasksThatGoDifferentWaysHaveAnEntryEach(t *testing.T) {
	shard := shardOf(t, "drained", map[string]string{"0-1": "running/1/0/0/" + me})
	patch := shard.change(map[int]State{0: shard.tasks[0].Commit(me, false), 1: shard.tasks[1].Commit(me, true)})
	want := map[string]string{"0": "done/1/0/0/" + me, "1": "empty/1/0/0/" + me}
	if got := asJSON(t, patch[1].Value); got != asJSON(t, want) {
		t.Errorf("%s, expected %v", got, want)
	}
}

// The label is repaired under a test of the map as it stands: in the other form it would never hold.
func TestRepairsOfBothForms(t *testing.T) {
	for _, tasks := range []map[string]string{{"0-2": pendingTask}, {"0": pendingTask, "1": pendingTask}, {"0": pendingTask}} {
		want := Patch{}.Test("/tasks", tasks).Set(hintPath, "open")
		if got := asJSON(t, shardOf(t, "done", tasks).repair()); got != asJSON(t, want) {
			t.Errorf("%s, expected %s", got, asJSON(t, want))
		}
		if patch := shardOf(t, "open", tasks).repair(); patch != nil {
			t.Errorf("a label that fits is repaired by %v", patch)
		}
	}
}

// serveUnclear carries out what it is sent, and tells nobody: the answer to each patch is a 500.
func serveUnclear(t *testing.T, tasks map[string]string, patches *int) *Client {
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPatch {
			*patches++
			var patch []struct {
				Op, Path string
				Value    json.RawMessage
			}
			text, _ := io.ReadAll(request.Body)
			json.Unmarshal(text, &patch)
			for _, each := range patch {
				if key, found := strings.CutPrefix(each.Path, "/tasks/"); found && each.Op == "replace" {
					var state string
					json.Unmarshal(each.Value, &state)
					tasks[key] = state
				} else if each.Path == "/tasks" && each.Op == "replace" {
					clear(tasks)
					json.Unmarshal(each.Value, &tasks)
				}
			}
			writer.WriteHeader(http.StatusInternalServerError)
			return
		}
		metadata := map[string]any{"name": "words-0", "namespace": "default"}
		json.NewEncoder(writer).Encode(map[string]any{"metadata": metadata, "tasks": tasks})
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(func(name string) string { return map[string]string{"KUBEMR_APISERVER": server.URL}[name] })
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestOnesOwnWriteIsRecognisedInBothForms(t *testing.T) {
	for name, row := range map[string]struct {
		tasks map[string]string
		claim []int
	}{
		"one entry, all":        {map[string]string{"0-2": pendingTask}, []int{0, 1, 2}},
		"one entry, a part":     {map[string]string{"0-2": pendingTask}, []int{1}},
		"entries, all":          {map[string]string{"0": pendingTask, "1": pendingTask}, []int{0, 1}},
		"entries, a part":       {map[string]string{"0": pendingTask, "1": pendingTask}, []int{1}},
		"the entry of one task": {map[string]string{"7": pendingTask}, []int{7}},
	} {
		shard, patches := shardOf(t, "open", row.tasks), 0
		states := map[int]State{}
		for _, number := range row.claim {
			states[number] = shard.tasks[number].Claim(me)
		}
		landed, seen, err := serveUnclear(t, row.tasks, &patches).send(context.Background(), shard, states)
		if err != nil || !landed || patches != 1 {
			t.Errorf("%s: landed %v, %v after %d patches", name, landed, err, patches)
			continue
		}
		if held := seen.heldBy(me); fmt.Sprint(held) != fmt.Sprint(row.claim) {
			t.Errorf("%s: holds %v, expected %v", name, held, row.claim)
		}
	}
}
