package worker

import "time"

// sparse is from which index on one more worker has its turn each second.
const sparse = 8

// turns tells who moves the job on, of all that notice that it can be: one is enough, and it may be much work.  Whose own
// work has led to it begins at once; the others wait, and by then it is mostly done.  The turns go by the workers' indexes,
// as the lowest never leave.
type turns struct {
	index  int
	worked bool // since the last look at what is left
	of     map[string]time.Time
}

// wait is how long it is until this worker's turn to move the job on from a stage, which the first call decides.
func (t *turns) wait(stage string) time.Duration {
	at, known := t.of[stage]
	if t.worked {
		at = time.Now()
	} else if !known {
		at = time.Now().Add(turn(t.index))
	}
	if t.of == nil {
		t.of = map[string]time.Time{}
	}
	t.of[stage] = at
	return max(0, time.Until(at))
}

// turn is how long the worker with this index waits: after t seconds about √t have begun.
func turn(index int) time.Duration {
	seconds := index * index
	if index >= sparse {
		seconds = sparse*sparse + index - sparse
	}
	return time.Duration(seconds) * time.Second
}
