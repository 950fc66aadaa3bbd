package worker

import (
	"math/rand/v2"
	"time"
)

// sparse is from which place on one more worker has its turn each second.
const sparse = 8.0

// turns tells who moves the job on, of all that notice that it can be: one is enough, and it may be much work.  Whose own
// work has led to it begins at once; the others wait, and by then it is mostly done.
type turns struct {
	worked bool // since the last look at what is left
	of     map[string]time.Time
}

// wait is how long it is until this worker's turn to move the job on from a stage, which the first call decides.
func (t *turns) wait(stage string, replicas int) time.Duration {
	at, known := t.of[stage]
	if t.worked {
		at = time.Now()
	} else if !known {
		at = time.Now().Add(turn(rand.Float64() * float64(replicas)))
	}
	if t.of == nil {
		t.of = map[string]time.Time{}
	}
	t.of[stage] = at
	return max(0, time.Until(at))
}

// turn is how long the worker at this place among all waits: after t seconds about √t have begun.
func turn(place float64) time.Duration {
	seconds := place * place
	if place >= sparse {
		seconds = sparse*sparse + place - sparse
	}
	return time.Duration(seconds * float64(time.Second))
}
