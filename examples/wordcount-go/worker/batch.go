package worker

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// batch is what the worker holds in one shard now.  left are the attempts without an outcome; changes is what is to become
// of the others and has not been sent.
type batch struct {
	worker   *Worker
	job      *Job
	position int
	shard    *Shard
	left     map[int]*Task
	changes  map[int]change
	failures int
	ended    int // attempts of the latest run that came to an end
}

// share is how many tasks to claim: as many as take about a second, and no more than one worker's part of the shard.
func (b *batch) share() int {
	stage := b.job.Status.Stages[b.position]
	workers := max(1, ceil(b.job.replicas(), max(1, stage.Shards)))
	return max(1, min(b.worker.size, ceil(len(b.shard.pending()), workers)))
}

func ceil(number, by int) int { return (number + by - 1) / by }

// round runs what is held, settles it and claims more in the same patch; it gives what is held then.
func (b *batch) round(ctx context.Context, held []int) ([]int, error) {
	w, began := b.worker, time.Now()
	if err := b.run(ctx, held); err != nil {
		return nil, err
	}
	took := time.Since(began)
	w.size = max(1, min(int(batchTime*time.Duration(b.ended)/max(took, 1)), w.size*4, largestShard))
	failures := b.failures
	b.failures = 0
	stuck := w.executor.isStuck()
	var claim []int
	if failures == 0 && !stuck {
		claim = b.shard.choose(b.share(), false)
	}
	if err := b.settle(ctx, claim); err != nil {
		return nil, err
	}
	if stuck {
		return nil, errNoProgress
	}
	if len(b.shard.failed()) > 0 {
		if _, _, err := w.advance(ctx, b.job, b.position); err != nil {
			return nil, err
		}
		if _, err := w.readJob(ctx); err != nil {
			return nil, err
		}
	}
	if failures > 0 { // another worker may have more luck with it
		worst := 0
		for _, state := range b.shard.tasks {
			worst = max(worst, state.Failures)
		}
		ceiling := min(5*time.Second, 200*time.Millisecond<<min(worst, 6))
		if err := sleep(ctx, time.Duration(rand.Float64()*float64(ceiling))); err != nil {
			return nil, err
		}
	}
	return b.shard.heldBy(w.token), nil
}

func (b *batch) settle(ctx context.Context, claim []int) error {
	seen, err := b.worker.client.settle(ctx, b.shard, b.worker.token, b.changes, claim)
	if err == nil {
		b.shard, b.changes = seen, map[int]change{}
	}
	return err
}

// run runs the tasks that are held to their ends.
func (b *batch) run(ctx context.Context, held []int) error {
	w, stage := b.worker, b.job.Status.Stages[b.position]
	b.ended = 0
	var tasks []*Task
	for _, number := range held {
		attempt := b.shard.tasks[number].Attempt(w.token)
		task := &Task{
			Job: b.job, Stage: stage, Number: number, Attempt: attempt,
			Partitions: b.job.partitions(), prefix: b.job.attemptPrefix(stage, number, attempt),
		}
		b.left[number] = task
		tasks = append(tasks, task)
	}
	w.executor.begin(tasks)
	quietSince, settled, logAfter := time.Now(), time.Now(), logTime
	for len(b.left) > 0 {
		tick := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			tick.Stop()
			return context.Cause(ctx)
		case outcome := <-w.executor.outcomes:
			tick.Stop()
			if err := b.note(ctx, outcome); err != nil {
				return err
			}
			quietSince, logAfter = time.Now(), logTime
		case <-tick.C:
			if _, err := w.readJob(ctx); err != nil { // is the job still there?
				return err
			}
		}
		if time.Since(quietSince) >= logAfter { // should this process die with its pod, something is left
			logAfter *= 2
			if task, text := w.executor.printed.soFar(""); text != nil && b.left[task.Number] == task {
				w.keepLog(ctx, task, text)
			}
		}
		// No hoarding: commit what is finished and give back what has not begun, so that idle workers can take it.
		slow := time.Since(quietSince) > hoardingTime || time.Since(settled) > longestBatch
		hoarding := slow && (len(b.changes) > 0 || len(b.left) > 1)
		if len(b.left) > 0 && (hoarding || w.executor.isStuck()) {
			if err := b.unload(ctx); err != nil {
				return err
			}
			settled = time.Now()
		}
	}
	return nil
}

// note records how an attempt ended.  Its error is in storage before the patch that counts it.
func (b *batch) note(ctx context.Context, outcome Outcome) error {
	task := outcome.task
	if b.left[task.Number] != task {
		return nil // of a batch that was given up
	}
	b.ended++
	if len(outcome.log) > 0 {
		b.worker.keepLog(ctx, task, outcome.log)
	}
	token, bound := b.worker.token, b.job.maxAttempts()
	if outcome.kind == "failed" {
		b.failures++
		if err := b.worker.putError(ctx, outcome); err != nil {
			return err
		}
		b.changes[task.Number] = func(state State) State { return state.Fail(token, bound) }
	} else {
		empty := outcome.kind == "empty"
		b.changes[task.Number] = func(state State) State { return state.Commit(token, empty) }
	}
	delete(b.left, task.Number)
	return nil
}

func (b *batch) release(state State) State { return state.Release(b.worker.token) }

func (b *batch) unload(ctx context.Context) error {
	for _, task := range b.worker.executor.takeBack() {
		delete(b.left, task.Number)
		b.changes[task.Number] = b.release
	}
	if len(b.changes) == 0 {
		return nil
	}
	if err := b.settle(ctx, nil); err != nil {
		return err
	}
	held := b.shard.heldBy(b.worker.token)
	for number, task := range b.left {
		if !slices.Contains(held, number) {
			b.worker.executor.cancel(task)
			delete(b.left, number)
		}
	}
	return nil
}

// handBack commits what is finished and gives back the rest: the worker was told to go.  It begins with a fresh look,
// because it may have been in the middle of a change whose fate is unknown.
func (b *batch) handBack(ctx context.Context) error {
	b.worker.executor.takeBack()
	text, err := b.worker.client.read(ctx, b.shard.target)
	if err != nil || text == nil {
		return err
	}
	before := b.shard
	if b.shard, err = parseShard(text); err != nil {
		return err
	}
	finished := b.changes
	b.changes = map[int]change{}
	for _, number := range b.shard.heldBy(b.worker.token) {
		b.changes[number] = b.release
		if change, ok := finished[number]; ok && before.tasks[number].Epoch == b.shard.tasks[number].Epoch {
			b.changes[number] = change
		}
	}
	return b.settle(ctx, nil)
}
