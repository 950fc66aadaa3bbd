package worker

import (
	"context"
	"math/rand/v2"
	"slices"
)

const (
	openSample = 16 // open shards that are listed
	draws      = 4  // shards that are drawn before a list is asked for again
)

// seek finds a shard with pending tasks, nil when none is open, and tells whether there may be more than a list shows: then
// a shard of the stage is drawn, as workers that all chose among the first ones would meet there.
func (w *Worker) seek(ctx context.Context, job *Job, stage Stage, many bool) (*Shard, bool, error) {
	for range draws {
		if !many {
			break
		}
		text, err := w.client.read(ctx, job.shard(stage, rand.IntN(stage.Shards)))
		if err != nil {
			return nil, many, err
		}
		if text == nil {
			continue
		}
		shard, err := parseShard(text)
		if err != nil || len(shard.pending()) > 0 {
			return shard, many, err
		}
	}
	sample, _, err := w.client.list(ctx, job, job.selector(stageLabel(stage), labelTasks+"=open"), openSample)
	if err != nil {
		return nil, many, err
	}
	many = len(sample) == openSample
	candidates := slices.DeleteFunc(slices.Clone(sample), func(shard *Shard) bool { return len(shard.pending()) == 0 })
	for _, shard := range sample {
		w.client.repairHint(ctx, shard)
	}
	if len(candidates) == 0 {
		return nil, many, nil
	}
	return candidates[rand.IntN(len(candidates))], many, nil
}
