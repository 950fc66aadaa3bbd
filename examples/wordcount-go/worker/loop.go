package worker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// Worker is one process's share in a job.
type Worker struct {
	settings Settings
	client   *Client
	store    Store
	token    string
	executor *executor
	log      *slog.Logger
	census   *census
	batch    *batch
	size     int             // of the next claim
	rounds   map[string]bool // the stages in which the worker's own round is over
	turns    turns
	beat     atomic.Int64 // when the loop last went on
}

// errOver is the end of a worker's life: the job needs it no more.
type errOver struct{ why string }

func (e *errOver) Error() string { return e.why }

const (
	batchTime    = time.Second
	hoardingTime = 2 * time.Second
	longestBatch = 4 * time.Second
	claimTries   = 3
	watchedMost  = 16
	// Of all idle workers of a job together, so that a thousand of them do not flood the apiserver.
	watchers       = 4
	looksPerSecond = 20
)

var started = time.Now()

// readJob reads the job, and returns errOver when it needs no worker any more.
func (w *Worker) readJob(ctx context.Context) (*Job, error) {
	w.beat.Store(time.Now().UnixNano())
	text, err := w.client.read(ctx, w.settings.job())
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, &errOver{"the job was deleted"}
	}
	job, err := parseJob(text)
	switch {
	case err != nil:
		return nil, err
	case job.Metadata.UID != w.settings.UID || job.Metadata.DeletionTimestamp != "":
		return nil, &errOver{"the job was deleted"}
	case job.Status.Run != w.settings.Run:
		return nil, &errOver{"another run of the job has begun"}
	case job.Status.Phase == "COMPLETE" || job.Status.Phase == "FAIL":
		return nil, &errOver{job.Status.Phase}
	}
	return job, nil
}

// run works until the job is over, which it tells by errOver.
func (w *Worker) run(ctx context.Context, job *Job) error {
	for {
		var err error
		if position := job.current(); position >= 0 && job.Status.Phase == "DEPLOYED" {
			if err = w.work(ctx, job, position); err == nil {
				err = w.idle(ctx, job, position)
			}
		} else {
			err = w.pause(ctx, job, "", w.settings.Lease/4)
		}
		if err != nil {
			return err
		}
		if job, err = w.readJob(ctx); err != nil {
			return err
		}
	}
}

// work goes through the worker's own part of the stage's shards, then through any that are labelled open.
func (w *Worker) work(ctx context.Context, job *Job, position int) error {
	stage := job.Status.Stages[position]
	if key := job.key(stage); !w.rounds[key] {
		w.size = 1
		index, workers := w.settings.Index%job.replicas(), job.replicas()
		for number := index * stage.Shards / workers; number < (index+1)*stage.Shards/workers; number++ {
			text, err := w.client.read(ctx, job.shard(stage, number))
			if err != nil {
				return err
			}
			if text == nil {
				continue
			}
			shard, err := parseShard(text)
			if err != nil {
				return err
			}
			if err := w.workShard(ctx, job, position, shard); err != nil {
				return err
			}
		}
		w.rounds[key] = true
	}
	shard, many, err := w.seek(ctx, job, stage, false)
	for err == nil && shard != nil {
		if err = w.workShard(ctx, job, position, shard); err == nil {
			shard, many, err = w.seek(ctx, job, stage, many)
		}
	}
	return err
}

// workShard claims and runs tasks of one shard until it has none to give.
func (w *Worker) workShard(ctx context.Context, job *Job, position int, shard *Shard) error {
	b := &batch{worker: w, job: job, position: position, shard: shard, left: map[int]*Task{}, changes: map[int]change{}}
	w.batch = b
	held, tries := shard.heldBy(w.token), 0
	for {
		w.beat.Store(time.Now().UnixNano())
		var err error
		if len(held) > 0 {
			tries = 0
			w.turns.worked = true
			held, err = b.round(ctx, held)
		} else if len(b.shard.pending()) == 0 {
			break
		} else if tries == claimTries {
			if err := sleep(ctx, time.Duration(rand.Float64()*float64(200*time.Millisecond))); err != nil {
				return err
			}
			break
		} else {
			tries++
			var seen *Shard
			if seen, err = w.client.settle(ctx, b.shard, w.token, nil, b.shard.choose(b.share(), tries > 1)); err == nil {
				b.shard, held = seen, seen.heldBy(w.token)
			}
		}
		if errors.Is(err, errGone) {
			w.batch = nil
			_, err = w.readJob(ctx) // which says why, if the job is over
			return err
		}
		if err != nil {
			return err
		}
	}
	w.batch = nil
	return nil
}

// idle moves the stage on if it can be, takes tasks away from dead holders, or else waits a little.
func (w *Worker) idle(ctx context.Context, job *Job, position int) error {
	stage := job.Status.Stages[position]
	rest, version, err := w.client.list(ctx, job, job.selector(stageLabel(stage), labelTasks+"!=done"), 0)
	if err != nil {
		return err
	}
	var holders []string
	for _, shard := range rest {
		for _, state := range shard.tasks {
			for _, holder := range state.Holders {
				if state.Name == "running" && holder != w.token && !slices.Contains(holders, holder) {
					holders = append(holders, holder)
				}
			}
		}
	}
	// For a while always the same ones, as an observation must not have gaps, and each worker others: of n idle workers
	// each watches each holder with the chance watchers/n, so that there are about so many of them, however large n is.
	idle := max(1, job.replicas()-len(holders))
	holders = slices.DeleteFunc(holders, func(holder string) bool { return w.rank(holder)*float64(idle) >= watchers })
	slices.SortFunc(holders, func(one, other string) int { return cmp.Compare(w.rank(one), w.rank(other)) })
	holders = holders[:min(watchedMost, len(holders))]
	dead := w.census.look(ctx, holders)
	var candidates []*Shard
	failed := false
	for _, shard := range rest {
		seen, err := w.client.lose(ctx, shard, dead, job.maxAttempts())
		if errors.Is(err, errGone) {
			return nil
		}
		if err != nil {
			return err
		}
		w.client.repairHint(ctx, seen)
		failed = failed || len(seen.failed()) > 0
		if len(seen.pending()) > 0 || len(seen.heldBy(w.token)) > 0 {
			candidates = append(candidates, seen)
		}
	}
	if len(candidates) > 0 && !failed {
		return w.workShard(ctx, job, position, candidates[rand.IntN(len(candidates))])
	}
	if len(rest) == 0 || failed {
		if until := w.turns.wait(stageLabel(stage)); until > 0 {
			return w.pause(ctx, job, version, min(until, w.settings.Lease/4))
		}
		changed, listed, err := w.advance(ctx, job, position)
		if changed || err != nil {
			return err
		}
		for _, shard := range listed { // all hints say done, and they are wrong
			w.client.repairHint(ctx, shard)
		}
	}
	w.turns.worked = false
	longest := w.settings.Lease / 4
	if len(holders) == 0 {
		longest = max(longest, time.Duration(job.replicas())*time.Second/looksPerSecond)
	}
	return w.pause(ctx, job, version, longest)
}

// rank is an even draw from [0, 1), the same for four Lease durations.
func (w *Worker) rank(token string) float64 {
	epoch := time.Since(started) / (4 * w.settings.Lease)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", w.token, epoch, token))
	return float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
}

// pause waits until a shard of any stage opens, or for so long, or half of it.
func (w *Worker) pause(ctx context.Context, job *Job, version string, longest time.Duration) error {
	longest = time.Duration(float64(longest) * (0.5 + 0.5*rand.Float64()))
	began := time.Now()
	if version != "" {
		query := url.Values{"labelSelector": {job.selector(labelTasks + "=open")}, "resourceVersion": {version}}
		if w.client.watch(ctx, fmt.Sprintf(shards, job.Metadata.Namespace), query, longest) {
			return nil
		}
	}
	return sleep(ctx, longest-time.Since(began)) // a watch that is refused is over at once
}

func (w *Worker) putError(ctx context.Context, outcome Outcome) error {
	text, err := json.Marshal(map[string]any{
		"message": outcome.message, "worker": w.token, "startTime": outcome.start, "endTime": outcome.end,
		"run": w.settings.Run,
	})
	if err != nil {
		return err
	}
	return w.store.Put(ctx, outcome.task.prefix+"error.json", text)
}

// keepLog writes a log.  It is for people: nothing fails because it could not be written.
func (w *Worker) keepLog(ctx context.Context, task *Task, text []byte) {
	key := task.prefix + "log.txt"
	if err := w.store.Put(ctx, key, text); err != nil {
		w.log.Warn("record_write_failed", "key", key, "error", err.Error())
	}
}
