package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxResults      = 256
	maxResultBytes  = 1024
	maxResultsBytes = 64 * 1024
	maxError        = 1024
)

// advance seals the stage, finishes the job or fails it, if that is called for; true when the job's status has changed, by
// us or by somebody else.  It rests on a consistent list of all shards of the stage.
func (w *Worker) advance(ctx context.Context, job *Job, position int) (bool, []*Shard, error) {
	stage := job.Status.Stages[position]
	listed, _, err := w.client.list(ctx, job, job.selector(stageLabel(stage)), 0)
	if err != nil {
		return false, nil, err
	}
	ours := map[string]bool{}
	for number := range stage.Shards {
		ours[job.shard(stage, number).name] = true
	}
	found, tasks := 0, map[int]State{}
	for _, shard := range listed {
		if !ours[shard.name] {
			continue
		}
		found++
		for number, state := range shard.tasks {
			tasks[number] = state
		}
	}
	attempts := make([]string, 0, stage.Total)
	complete := found == stage.Shards && len(tasks) == stage.Total
	for _, number := range sortedKeys(tasks) {
		state := tasks[number]
		if state.Name == "failed" {
			changed, err := w.fail(ctx, job, stage, number, state)
			return changed, listed, err
		}
		complete = complete && state.Committed()
		attempt := ""
		if state.Name == "done" {
			attempt = state.Attempt(state.Holders[0])
		}
		attempts = append(attempts, attempt)
	}
	if !complete {
		return false, listed, nil
	}
	index, err := json.Marshal(struct {
		Total    int      `json:"total"`
		Attempts []string `json:"attempts"`
	}{len(attempts), attempts})
	if err != nil {
		return false, nil, err
	}
	if err := w.store.Put(ctx, job.indexKey(stage), index); err != nil {
		return false, nil, err
	}
	if position+1 < len(job.Status.Stages) {
		changed, err := w.nextStage(ctx, job, position)
		return changed, listed, err
	}
	changed, err := w.finish(ctx, job, stage, attempts)
	return changed, listed, err
}

func (w *Worker) patchStatus(ctx context.Context, job *Job, patch Patch, path, value string) (bool, error) {
	result, _, err := w.client.apply(ctx, job.target(), "status", patch, func(document any) bool {
		return lookup(document, path) == value
	})
	return result == won, err
}

func (w *Worker) nextStage(ctx context.Context, job *Job, position int) (bool, error) {
	following, now := job.Status.Stages[position+1], stamp()
	patch := job.guard().Set("/status/stage", job.key(following)).
		Set(fmt.Sprintf("/status/stages/%d/completionTime", position), now).
		Set(fmt.Sprintf("/status/stages/%d/startTime", position+1), now)
	first, err := w.patchStatus(ctx, job, patch, "/status/stage", job.key(following))
	if err != nil {
		return false, err
	}
	if first { // label its shards open, which wakes idle workers; a lost patch delays, no more
		body, _ := json.Marshal(Patch{}.Swap(hintPath, "waiting", "open"))
		for number := range following.Shards {
			w.client.exchange(ctx, "PATCH", job.shard(following, number).path(), "fieldManager=kubemr", body)
		}
	}
	return true, nil
}

func (w *Worker) finish(ctx context.Context, job *Job, stage Stage, attempts []string) (bool, error) {
	results := []string{}
	for number, attempt := range attempts {
		if attempt == "" {
			continue
		}
		outputs, err := readOutputs(ctx, w.store, job.attemptPrefix(stage, number, attempt))
		if err != nil {
			return false, err
		}
		keys := make([]int, 0, len(outputs))
		for key := range outputs {
			partition, err := strconv.Atoi(key)
			if err != nil {
				return false, fmt.Errorf("the outputs of %s/%d: %q is no number", job.key(stage), number, key)
			}
			keys = append(keys, partition)
		}
		sort.Ints(keys)
		for _, key := range keys {
			results = append(results, outputs[strconv.Itoa(key)])
		}
	}
	now, fits := stamp(), fitting(results)
	patch := job.guard().Set("/status/phase", "COMPLETE").Set("/status/results", fits).Set("/status/resultCount", len(results))
	if len(fits) < len(results) {
		key := fmt.Sprintf("%srun-%d/results.json", job.prefix(), job.Status.Run)
		text, err := json.Marshal(results)
		if err == nil {
			err = w.store.Put(ctx, key, text)
		}
		if err != nil {
			return false, err
		}
		patch = patch.Set("/status/resultsManifest", w.store.URL(key))
	}
	total := 0
	for position, each := range job.Status.Stages {
		path := fmt.Sprintf("/status/stages/%d/", position)
		patch = patch.Set(path+"done", each.Total).Set(path+"pending", 0).Set(path+"running", 0).Set(path+"failed", 0)
		total += each.Total
	}
	patch = patch.Set("/status/progress", fmt.Sprintf("%d/%d", total, total)).Set("/status/completionTime", now).
		Set(fmt.Sprintf("/status/stages/%d/completionTime", len(job.Status.Stages)-1), now)
	patch = append(patch, condition(job, "Complete", "AllTasksDone", fmt.Sprintf("%d results", len(results)), now)...)
	_, err := w.patchStatus(ctx, job, patch, "/status/phase", "COMPLETE")
	return err == nil, err
}

// fitting are the first results, as many as fit on the object.
func fitting(results []string) []string {
	total := 0
	for position, result := range results {
		total += len(result)
		if position == maxResults || len(result) > maxResultBytes || total > maxResultsBytes {
			return results[:position]
		}
	}
	return results
}

func (w *Worker) fail(ctx context.Context, job *Job, stage Stage, number int, state State) (bool, error) {
	cause, err := w.cause(ctx, job, stage, number, state)
	if err != nil {
		return false, err
	}
	now, message := stamp(), cut(cause, maxError)
	patch := job.guard().Set("/status/phase", "FAIL").Set("/status/error", message).Set("/status/completionTime", now)
	patch = append(patch, condition(job, "Failed", "TaskFailed", message, now)...)
	_, err = w.patchStatus(ctx, job, patch, "/status/phase", "FAIL")
	return err == nil, err
}

// cause says why a task failed: the error of the first of its attempts in this run that left one.
func (w *Worker) cause(ctx context.Context, job *Job, stage Stage, number int, state State) (string, error) {
	name := fmt.Sprintf("%s/%d", job.key(stage), number)
	prefix := job.attemptPrefix(stage, number, "")
	prefix = strings.TrimSuffix(prefix, "/") // an empty attempt leaves two slashes
	keys, err := w.store.List(ctx, prefix)
	errorsOf, logsOf := byEpoch(keys, prefix, "error.json"), byEpoch(keys, prefix, "log.txt")
	if state.Failures < job.maxAttempts() { // that the store cannot be listed takes an address from it, no more
		cause := fmt.Sprintf("%s: %d workers died while they ran it (out of memory, or killed); "+
			"give the workers more memory or the task less input", name, state.Losses)
		// Each loss but the last, and one by which a backup was left alone, began an epoch: so many of the latest are this run's.
		if epochs := sortedKeys(logsOf); len(epochs) > 0 && epochs[len(epochs)-1] >= state.Epoch-state.Losses+2 {
			return w.withLog(cause, logsOf[epochs[len(epochs)-1]]), nil
		}
		return cause, nil
	}
	if err != nil {
		return "", err
	}
	times := fmt.Sprintf("%d times", state.Failures)
	if state.Failures == 1 {
		times = "once"
	}
	for _, epoch := range sortedKeys(errorsOf) {
		text, err := w.store.Get(ctx, errorsOf[epoch])
		if err != nil {
			return "", err
		}
		found := struct {
			Message string
			Run     int
		}{Run: 1} // where it is left out
		if json.Unmarshal(text, &found) == nil && found.Run == job.Status.Run {
			return w.withLog(fmt.Sprintf("%s failed %s: %s", name, times, found.Message), logsOf[epoch]), nil
		}
	}
	return fmt.Sprintf("%s failed %s: no attempt left an error", name, times), nil
}

// byEpoch are the objects of that name that attempts at a task left, whose keys begin with prefix.
func byEpoch(keys []string, prefix, name string) map[int]string {
	found := map[int]string{}
	for _, key := range keys {
		parts := strings.Split(strings.TrimPrefix(key, prefix), "/")
		if epoch, err := strconv.Atoi(strings.SplitN(parts[0], "-", 2)[0]); err == nil && len(parts) == 2 && parts[1] == name {
			found[epoch] = key
		}
	}
	return found
}

// withLog adds in a last line where the log is, if there is one: both together fit on the object.
func (w *Worker) withLog(cause, key string) string {
	if key == "" {
		return cause
	}
	line := "\nlog: " + w.store.URL(key)
	length := utf8.RuneCountInString(line)
	if length > maxError/2 {
		return cause
	}
	return cut(cause, maxError-length) + line
}

// condition adds or replaces one metav1.Condition, and tests the list that it replaces.
func condition(job *Job, kind, reason, message, now string) Patch {
	before := lookup(job.document, "/status/conditions")
	kept, _ := before.([]any)
	kept = slices.DeleteFunc(slices.Clone(kept), func(each any) bool { return lookup(each, "/type") == kind })
	kept = append(kept, map[string]any{
		"type": kind, "status": "True", "reason": reason, "message": message,
		"lastTransitionTime": now, "observedGeneration": max(1, job.Metadata.Generation),
	})
	return Patch{}.Test("/status/conditions", before).Set("/status/conditions", kept)
}

var errNoProgress = errors.New("a task made no progress, and what runs in a goroutine ends only with the process")
