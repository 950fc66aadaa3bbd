package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Code is a user's program: what a task does.
type Code interface {
	// Map gives the outputs of one input by partition.
	Map(task *Task, input string) (map[int]string, error)
	// Reduce gives the output of one partition, "" for success without a result.
	Reduce(task *Task, inputs []string) (string, error)
}

// Task is what user code may use while its attempt runs.
type Task struct {
	Context    context.Context
	Job        *Job
	Stage      Stage
	Number     int
	Attempt    string
	Partitions int

	prefix   string
	store    Store
	getenv   func(string) string
	progress func()
}

func (t *Task) String() string {
	return fmt.Sprintf("%s/%d/%s", t.Job.key(t.Stage), t.Number, t.Attempt)
}

// name is that of the attempt as everywhere in kubemr: step 0 is not written.
func (t *Task) name() string {
	name := fmt.Sprintf("%s/%d/%s", t.Stage.Name, t.Number, t.Attempt)
	if t.Stage.Step > 0 {
		return fmt.Sprintf("%d/%s", t.Stage.Step, name)
	}
	return name
}

// ours are the objects below an attempt's prefix that user code must not write.
var ours = []string{"outputs.json", "error.json", "lost.json", "log.txt"}

// Fetch reads an address, and counts as progress.
func (t *Task) Fetch(address string) ([]byte, error) {
	defer t.progress()
	return Fetch(t.Context, t.getenv, address)
}

// Store writes an object under the attempt's own prefix and gives its address.
func (t *Task) Store(name string, data []byte) (string, error) {
	defer t.progress()
	if slices.Contains(ours, name) {
		return "", fmt.Errorf("%s: cannot store under the name %q: kubemr writes an object of that name itself", t, name)
	}
	return t.store.URL(t.prefix + name), t.store.Put(t.Context, t.prefix+name, data)
}

// Outcome is how an attempt ended: done, empty or failed.
type Outcome struct {
	task    *Task
	kind    string
	message string
	log     []byte // of log.txt; empty when nothing was printed
	start   string
	end     string
}

// executor runs attempts one after another in a goroutine, apart from the worker's loop.
//
// A goroutine cannot be ended from outside.  When an attempt makes no progress for the timeout it counts as failed, and
// the executor is stuck: the worker commits that, gives back the rest and ends, and with it what still runs.
type executor struct {
	code     Code
	store    Store
	getenv   func(string) string
	timeout  time.Duration
	printed  *printed
	outcomes chan Outcome

	mutex   sync.Mutex
	queue   []*Task
	busy    bool
	stuck   bool
	dropped map[*Task]bool
	gather  *gatherer
	planned *planned
}

func newExecutor(code Code, store Store, getenv func(string) string, timeout time.Duration, printed *printed) *executor {
	return &executor{
		code: code, store: store, getenv: getenv, timeout: timeout, printed: printed,
		outcomes: make(chan Outcome, largestShard), dropped: map[*Task]bool{}, gather: &gatherer{store: store},
		planned: &planned{store: store},
	}
}

func (e *executor) begin(tasks []*Task) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.queue = append(e.queue, tasks...)
	if !e.busy && !e.stuck {
		e.busy = true
		go e.drain()
	}
}

// takeBack empties the queue: what was in it will not begin.
func (e *executor) takeBack() []*Task {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	taken := e.queue
	e.queue = nil
	return taken
}

// cancel forgets a task that is running: there will be no outcome.
func (e *executor) cancel(task *Task) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.dropped[task] = true
}

func (e *executor) isStuck() bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.stuck
}

func (e *executor) drain() {
	for {
		e.mutex.Lock()
		if len(e.queue) == 0 || e.stuck {
			e.busy = false
			e.mutex.Unlock()
			return
		}
		task := e.queue[0]
		e.queue = e.queue[1:]
		e.mutex.Unlock()
		e.printed.begin(task)
		outcome := e.attempt(task)
		outcome.log, outcome.start, outcome.end = e.printed.log(outcome.kind)
		e.mutex.Lock()
		if !e.dropped[task] {
			e.outcomes <- outcome // never blocks: no more tasks are held than the channel has room for
		}
		delete(e.dropped, task)
		e.mutex.Unlock()
	}
}

func (e *executor) attempt(task *Task) Outcome {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	advanced := make(chan struct{}, 1)
	task.Context, task.store, task.getenv = ctx, e.store, e.getenv
	task.progress = func() {
		select {
		case advanced <- struct{}{}:
		default:
		}
	}
	ended := make(chan Outcome, 1)
	go func() { ended <- e.run(task) }()
	timer := time.NewTimer(e.timeout)
	defer timer.Stop()
	for {
		select {
		case outcome := <-ended:
			return outcome
		case <-advanced:
			timer.Reset(e.timeout)
		case <-timer.C:
			e.mutex.Lock()
			e.stuck = true
			e.mutex.Unlock()
			message := fmt.Sprintf("no progress for %v (taskTimeoutSeconds), so the process was ended", e.timeout)
			return Outcome{task: task, kind: "failed", message: message}
		}
	}
}

// run calls the user's code and stores what it gave.  A panic fails the attempt, not the worker.
func (e *executor) run(task *Task) (outcome Outcome) {
	failed := func(err error) Outcome { return Outcome{task: task, kind: "failed", message: err.Error()} }
	defer func() {
		if reason := recover(); reason != nil {
			outcome = failed(fmt.Errorf("panic: %v\n%s", reason, cut(string(debug.Stack()), 4096)))
		}
	}()
	outputs, err := e.outputs(task)
	if err != nil {
		return failed(err)
	}
	if len(outputs) == 0 {
		return Outcome{task: task, kind: "empty"}
	}
	document := map[string]string{}
	for number, output := range outputs {
		if !utf8.ValidString(output) {
			return failed(fmt.Errorf("%s: output %d is %.100q: outputs are text in UTF-8", task, number, output))
		}
		document[strconv.Itoa(number)] = output
	}
	text, err := json.Marshal(document)
	if err == nil {
		err = e.store.Put(task.Context, task.prefix+"outputs.json", text)
	}
	if err != nil {
		return failed(err)
	}
	return Outcome{task: task, kind: "done"}
}

func (e *executor) outputs(task *Task) (map[int]string, error) {
	if task.Stage.Name == "map" {
		input, err := e.planned.input(task)
		if err != nil {
			return nil, err
		}
		outputs, err := e.code.Map(task, input)
		for number := range outputs {
			if number < 0 || number >= max(1, task.Partitions) {
				return nil, fmt.Errorf("%s: map returned the partition %d; the job has %d partitions", task, number, task.Partitions)
			}
		}
		return outputs, err
	}
	inputs, err := e.gather.inputs(task)
	if err != nil || len(inputs) == 0 {
		return nil, err
	}
	output, err := e.code.Reduce(task, inputs)
	if err != nil || output == "" {
		return nil, err
	}
	return map[int]string{task.Number: output}, nil
}

// planned reads the inputs of map tasks.  Where the spec does not list them they are in chunks in the store, of which it
// keeps the last: a worker goes through neighbouring tasks.
type planned struct {
	store  Store
	key    string
	inputs []string
}

func (p *planned) input(task *Task) (string, error) {
	found := task.Job.Status.Inputs
	if found == nil {
		return task.Job.Spec.Inputs[task.Number], nil
	}
	if key := task.Job.chunkKey(task.Number / found.TasksPerChunk); p.key != key {
		text, err := p.store.Get(task.Context, key)
		if err != nil {
			return "", err
		}
		var inputs []string
		if err := json.Unmarshal(text, &inputs); err != nil {
			return "", fmt.Errorf("%s: not a list of inputs", p.store.URL(key))
		}
		p.key, p.inputs = key, inputs
	}
	if place := task.Number % found.TasksPerChunk; place < len(p.inputs) {
		return p.inputs[place], nil
	}
	return "", fmt.Errorf("%s: no input of task %d", p.store.URL(p.key), task.Number)
}

// gatherer reads the inputs of reduce tasks: the outputs of one partition from every map attempt that counts.  It keeps
// what it read, since tasks of one stage read the same objects.
type gatherer struct {
	store Store
	stage string
	kept  []map[string]string
}

func (g *gatherer) inputs(task *Task) ([]string, error) {
	position := task.Job.current()
	if position < 1 {
		return nil, errors.New("a reduce stage follows a map stage, and here is none")
	}
	source := task.Job.Status.Stages[position-1]
	if key := task.Job.indexKey(source); g.stage != key {
		kept, err := g.read(task, source, key)
		if err != nil {
			return nil, err
		}
		g.stage, g.kept = key, kept
	}
	var inputs []string
	for _, outputs := range g.kept {
		if output, ok := outputs[strconv.Itoa(task.Number)]; ok {
			inputs = append(inputs, output)
		}
	}
	return inputs, nil
}

func (g *gatherer) read(task *Task, source Stage, key string) ([]map[string]string, error) {
	text, err := g.store.Get(task.Context, key)
	if err != nil {
		return nil, err
	}
	var index struct {
		Total    int
		Attempts []string
	}
	if err := json.Unmarshal(text, &index); err != nil || index.Total != len(index.Attempts) {
		return nil, fmt.Errorf("%s: not an index of attempts", g.store.URL(key))
	}
	var kept []map[string]string
	for number, attempt := range index.Attempts {
		if attempt == "" {
			continue
		}
		outputs, err := readOutputs(task.Context, g.store, task.Job.attemptPrefix(source, number, attempt))
		if err != nil {
			return nil, err
		}
		kept = append(kept, outputs)
		task.progress()
	}
	return kept, nil
}

// readOutputs reads what an attempt that counts has put out.  That it is missing or damaged is an error: it is never taken
// for no output.
func readOutputs(ctx context.Context, store Store, prefix string) (map[string]string, error) {
	text, err := store.Get(ctx, prefix+"outputs.json")
	if err != nil {
		return nil, err
	}
	var outputs map[string]string
	if err := json.Unmarshal(text, &outputs); err != nil || outputs == nil {
		return nil, fmt.Errorf("%soutputs.json: not a document of outputs", store.URL(prefix))
	}
	return outputs, nil
}

func cut(text string, most int) string {
	characters := []rune(text)
	if len(characters) <= most {
		return text
	}
	return string(characters[:most-1]) + "…"
}
