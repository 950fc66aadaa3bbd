package worker

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Stage is one stage as status.stages records it.
type Stage struct {
	Step   int
	Name   string
	Shards int
	Total  int
}

// Inputs is status.inputs: where the inputs of the map tasks are that spec.inputs does not list.
type Inputs struct {
	Plan          string
	TasksPerChunk int
}

// Job is what a worker reads of a MapReduceJob.
type Job struct {
	Metadata struct {
		Name, Namespace, UID, DeletionTimestamp string
		Generation                              int
	}
	Spec struct {
		Inputs      []string
		Partitions  *int
		MaxAttempts *int
		Replicas    *int
		Jobargs     map[string]string
	}
	Status struct {
		Run          int
		Phase, Stage string
		Stages       []Stage
		Inputs       *Inputs
	}
	document any
}

func parseJob(text []byte) (*Job, error) {
	job := &Job{}
	if err := json.Unmarshal(text, job); err != nil {
		return nil, fmt.Errorf("the job: %w", err)
	}
	var err error
	job.document, err = decode(text)
	if job.Status.Run == 0 {
		job.Status.Run = 1
	}
	return job, err
}

func orElse(given *int, otherwise int) int {
	if given == nil {
		return otherwise
	}
	return *given
}

func (j *Job) partitions() int  { return orElse(j.Spec.Partitions, 32) }
func (j *Job) maxAttempts() int { return orElse(j.Spec.MaxAttempts, 4) }
func (j *Job) replicas() int    { return max(1, orElse(j.Spec.Replicas, 1)) }
func (j *Job) target() object   { return object{jobs, j.Metadata.Namespace, j.Metadata.Name} }

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:8]
}

func slug(name string) string {
	return strings.ReplaceAll(strings.TrimRight(name[:min(40, len(name))], "-."), ".", "-")
}

// baseName is what the names of all children of one run begin with.
func baseName(name, uid string, run int) string {
	return fmt.Sprintf("%s-%s", slug(name), shortHash(fmt.Sprintf("%s/%d", uid, run)))
}

// prefix is what the keys of the job begin with, in every run.
func (j *Job) prefix() string {
	return fmt.Sprintf("%s-%s/", slug(j.Metadata.Name), shortHash(j.Metadata.UID))
}

func (j *Job) stagePrefix(stage Stage) string {
	return fmt.Sprintf("%s%d/%s/", j.prefix(), stage.Step, stage.Name)
}

func (j *Job) attemptPrefix(stage Stage, number int, attempt string) string {
	return fmt.Sprintf("%s%d/%s/", j.stagePrefix(stage), number, attempt)
}

func (j *Job) indexKey(stage Stage) string {
	return fmt.Sprintf("%srun-%d/%d-%s.index.json", j.prefix(), j.Status.Run, stage.Step, stage.Name)
}

// chunkKey is where the inputs of some consecutive map tasks are.
func (j *Job) chunkKey(chunk int) string {
	return fmt.Sprintf("%sinputs/%s/%d.json", j.prefix(), j.Status.Inputs.Plan, chunk)
}

// key is how a stage is called in status.stage: with its step only where there is more than one.
func (j *Job) key(stage Stage) string {
	for _, each := range j.Status.Stages {
		if each.Step > 0 {
			return fmt.Sprintf("%d/%s", stage.Step, stage.Name)
		}
	}
	return stage.Name
}

// current is the position of the stage that is on, -1 when there is none.
func (j *Job) current() int {
	for position, stage := range j.Status.Stages {
		if j.key(stage) == j.Status.Stage {
			return position
		}
	}
	return -1
}

func (j *Job) shard(stage Stage, number int) object {
	base := baseName(j.Metadata.Name, j.Metadata.UID, j.Status.Run)
	return object{shards, j.Metadata.Namespace, fmt.Sprintf("%s-%d-%s-%d", base, stage.Step, stage.Name, number)}
}

func (j *Job) selector(requirements ...string) string {
	own := []string{labelUID + "=" + j.Metadata.UID, labelRun + "=" + strconv.Itoa(j.Status.Run)}
	return strings.Join(append(own, requirements...), ",")
}

func stageLabel(stage Stage) string {
	return fmt.Sprintf("%s=%d-%s", labelStage, stage.Step, stage.Name)
}

// guard begins every patch of the job's status: this job, this run, still running, in this stage.
func (j *Job) guard() Patch {
	return Patch{}.Test("/metadata/uid", j.Metadata.UID).Test("/status/run", j.Status.Run).
		Test("/status/phase", j.Status.Phase).Test("/status/stage", j.Status.Stage)
}

// list is a consistent list of shards (no resourceVersion is given), page by page; with limit one page and no more.  It
// also gives the resourceVersion at which a watch may begin.
func (c *Client) list(ctx context.Context, job *Job, selector string, limit int) ([]*Shard, string, error) {
	var found []*Shard
	var wait backoff
	path := fmt.Sprintf(shards, job.Metadata.Namespace)
	page, next := limit, ""
	if limit == 0 {
		page = 500
	}
	for {
		query := url.Values{"labelSelector": {selector}, "limit": {strconv.Itoa(page)}}
		if next != "" {
			query.Set("continue", next)
		}
		answer := c.exchange(ctx, http.MethodGet, path, query.Encode(), nil)
		switch {
		case answer.OK():
			var listed struct {
				Metadata struct{ Continue, ResourceVersion string }
				Items    []json.RawMessage
			}
			if err := json.Unmarshal(answer.Body, &listed); err != nil {
				return nil, "", err
			}
			for _, item := range listed.Items {
				shard, err := parseShard(item)
				if err != nil {
					return nil, "", err
				}
				found = append(found, shard)
			}
			if next = listed.Metadata.Continue; next == "" || limit > 0 {
				return found, listed.Metadata.ResourceVersion, nil
			}
			continue
		case answer.Status == http.StatusGone && next != "":
			found, next = nil, "" // the snapshot has expired between two pages
		case answer.Definite() && answer.Status != 0 && answer.Status != http.StatusTooManyRequests:
			return nil, "", &Refused{"listing the shards of " + selector, answer}
		}
		if err := wait.sleep(ctx, answer.RetryAfter); err != nil {
			return nil, "", err
		}
	}
}
