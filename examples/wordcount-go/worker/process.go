// Package worker is a kubemr worker in Go, written from docs/protocol.md.
//
// There is no master: each worker claims tasks, commits them, and moves the job on when nothing is left to do, and each
// decision rests on what the apiserver showed.  The files, from the bottom up: state (the string of one task), client and
// patch (one conditional patch and its fate), taskmap, shard, lease, job, store, task (user code), batch, advance, loop, process.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOver     = 0
	exitCannot   = 1
	exitSettings = 2
	exitTold     = 128 + int(syscall.SIGTERM)
)

const (
	handBackTime = 10 * time.Second
	releaseTime  = 5 * time.Second
	stuckTime    = 300 * time.Second // longer than any single step of the loop takes
)

// The number of docs/protocol.md that this worker was written from.
const protocol = 1

var errTold = errors.New("told to end")

// Settings say which worker of which job this process is.
type Settings struct {
	Namespace, Name, UID string
	Run, Index           int
	Lease, TaskTimeout   time.Duration
	LogBytes             int
}

func (s Settings) job() object { return object{jobs, s.Namespace, s.Name} }

// ReadSettings reads them from the environment; an error names the variable and what it should be.
func ReadSettings(getenv func(string) string) (Settings, error) {
	var problem error
	text := func(name string) string {
		value := getenv(name)
		if value == "" && problem == nil {
			problem = fmt.Errorf("%s is not set: a worker is started by a kubemr job", name)
		}
		return value
	}
	whole := func(name string, least int) int {
		value := text(name)
		number, err := strconv.Atoi(value)
		if problem == nil && (err != nil || number < least || number > 999_999) {
			problem = fmt.Errorf("%s is %q: must be a whole number of at least %d", name, value, least)
		}
		return number
	}
	seconds := func(name string, otherwise float64) time.Duration {
		number, value := otherwise, getenv(name)
		if value != "" {
			var err error
			number, err = strconv.ParseFloat(value, 64)
			if problem == nil && (err != nil || !(number >= 0.001 && number < 1e9)) {
				problem = fmt.Errorf("%s is %q: must be a number of seconds, at least 0.001", name, value)
			}
		}
		return time.Duration(number * float64(time.Second))
	}
	if getenv("KUBEMR_PROTOCOL") != "" {
		if number := whole("KUBEMR_PROTOCOL", 1); problem == nil && number > protocol {
			problem = fmt.Errorf("KUBEMR_PROTOCOL is '%d', and this worker knows it up to %d: build the image anew, with a worker for the operator's version", number, protocol)
		}
	}
	index := "KUBEMR_WORKER_INDEX"
	if getenv(index) == "" {
		index = "JOB_COMPLETION_INDEX"
	}
	settings := Settings{
		Namespace: text("KUBEMR_JOB_NAMESPACE"), Name: text("KUBEMR_JOB_NAME"), UID: text("KUBEMR_JOB_UID"),
		Run: whole("KUBEMR_RUN", 1), Index: whole(index, 0),
		Lease: seconds("KUBEMR_LEASE_SECONDS", 15), TaskTimeout: seconds("KUBEMR_TASK_TIMEOUT_SECONDS", 600),
		LogBytes: 65536,
	}
	if value := getenv("KUBEMR_LOG_BYTES"); value != "" {
		number, err := strconv.Atoi(value)
		if problem == nil && (err != nil || number < 0 || number >= 1e9) {
			problem = fmt.Errorf("KUBEMR_LOG_BYTES is %q: must be a whole number of bytes, at least 0", value)
		}
		settings.LogBytes = number
	}
	return settings, problem
}

// Serve works on the job that the environment names until it is over, and exits.
func Serve(code Code) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		stop(errTold)
	}()
	os.Exit(serve(ctx, code, os.Getenv, log))
}

func serve(ctx context.Context, code Code, getenv func(string) string, log *slog.Logger) int {
	settings, err := ReadSettings(getenv)
	var client *Client
	if err == nil {
		client, err = NewClient(getenv)
	}
	var store Store
	if err == nil {
		store, err = NewStore(getenv)
	}
	if err != nil {
		log.Error("invalid_settings", "error", err.Error())
		return exitSettings
	}
	printed := newPrinted(settings.LogBytes)
	if err := printed.capture(); err != nil {
		log.Error("worker_failed", "error", err.Error())
		return exitCannot
	}
	defer printed.catchUp()
	token := NewToken(settings.Index)
	log = log.With("job", settings.Name, "worker", token)
	base := baseName(settings.Name, settings.UID, settings.Run)
	leaseOf := func(token string) object {
		return object{leases, settings.Namespace, fmt.Sprintf("%s-w-%d", base, indexOf(token))}
	}
	worker := &Worker{
		settings: settings, client: client, store: store, token: token, size: 1, rounds: map[string]bool{},
		turns:    turns{index: settings.Index},
		log:      log,
		executor: newExecutor(code, store, getenv, settings.TaskTimeout, printed),
		census:   &census{client: client, lease: leaseOf, duration: settings.Lease},
	}
	err = worker.live(ctx, leaseOf(token))
	var over *errOver
	switch {
	case errors.As(err, &over):
		log.Info("job_finished", "ending", over.why)
		return exitOver
	case errors.Is(err, errTold):
		log.Info("worker_terminating")
		return exitTold
	default:
		log.Error("worker_failed", "error", err.Error())
		return exitCannot
	}
}

// live holds the Lease and runs the loop.  Whatever ends it, what is held is given back first, unless the Lease was lost:
// then nothing is written any more.
func (w *Worker) live(ctx context.Context, lease object) error {
	job, err := w.readJob(ctx)
	if err != nil {
		return err
	}
	if w.settings.Lease, err = w.client.takeLease(ctx, lease, w.token, w.settings.Lease); err != nil {
		return err
	}
	loop, stopLoop := context.WithCancelCause(ctx)
	renewal, stopRenewal := context.WithCancelCause(context.Background())
	renewed := make(chan error, 1)
	alive := func() bool { return time.Since(time.Unix(0, w.beat.Load())) < stuckTime }
	go func() {
		err := w.client.keepLease(renewal, lease, w.token, w.settings.Lease, alive)
		stopLoop(err)
		renewed <- err
	}()
	err = w.run(loop, job)
	var over *errOver
	if w.batch != nil && !errors.As(err, &over) && renewal.Err() == nil && context.Cause(loop) != errLeaseLost {
		within, cancel := context.WithTimeout(context.Background(), handBackTime)
		w.batch.handBack(within)
		cancel()
	}
	ended := errors.New("the worker ends")
	stopRenewal(ended)
	problem := <-renewed
	within, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	if errors.Is(problem, errLeaseLost) {
		if _, why := w.readJob(within); errors.As(why, &over) {
			return why // Leases go with their job
		}
		return problem
	}
	w.client.releaseLease(within, lease, w.token)
	if errors.As(err, &over) || errors.Is(problem, ended) {
		return err
	}
	return problem
}
