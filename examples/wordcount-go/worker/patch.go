package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Patch is a JSON Patch.  encoding/json writes strings exactly as the apiserver does, which compares them as text.
type Patch []operation

type operation struct {
	Op, Path string
	Value    any
}

// MarshalJSON leaves the value away only where there is none: to test for null is to test for absence.
func (o operation) MarshalJSON() ([]byte, error) {
	document := map[string]any{"op": o.Op, "path": o.Path}
	if o.Op != "remove" {
		document["value"] = o.Value
	}
	return json.Marshal(document)
}

// Test makes the patch fail unless the value at path equals value; nil also matches what is absent.
func (p Patch) Test(path string, value any) Patch { return append(p, operation{"test", path, value}) }

// Set writes a member, present or not.
func (p Patch) Set(path string, value any) Patch { return append(p, operation{"add", path, value}) }

// Swap is compare and set.
func (p Patch) Swap(path string, old, new any) Patch {
	return append(p, operation{"test", path, old}, operation{"replace", path, new})
}

// Remove takes a member away, which must be there.
func (p Patch) Remove(path string) Patch { return append(p, operation{"remove", path, nil}) }

func pointer(parts ...string) string {
	var path strings.Builder
	for _, part := range parts {
		path.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return path.String()
}

func decode(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // so that numbers go back as they came
	var document any
	err := decoder.Decode(&document)
	return document, err
}

func lookup(document any, path string) any {
	for _, part := range strings.Split(path, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch at := document.(type) {
		case map[string]any:
			document = at[part]
		case []any:
			index, err := strconv.Atoi(part)
			if err != nil || index < 0 || index >= len(at) {
				return nil
			}
			document = at[index]
		default:
			return nil
		}
	}
	return document
}

// holds is true when every value that the patch tests is as tested.
func (p Patch) holds(document any) bool {
	for _, each := range p {
		if each.Op != "test" {
			continue
		}
		text, _ := json.Marshal(each.Value)
		want, _ := decode(text)
		if !reflect.DeepEqual(lookup(document, each.Path), want) {
			return false
		}
	}
	return true
}

// Refused is an answer that repeating the request will not change.
type Refused struct {
	What   string
	Answer Answer
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%s: the apiserver refused it: %s", r.What, r.Answer)
}

type verdict int

const (
	won  verdict = iota // the object carries what the patch wrote, or did when it was last seen
	lost                // a condition does not hold, and nothing was written
	gone                // there is no such object
)

// object is one of the apiserver's, by its collection and name.
type object struct{ collection, namespace, name string }

func (o object) path() string   { return fmt.Sprintf(o.collection, o.namespace) + "/" + o.name }
func (o object) String() string { return o.path() }

// read is a consistent read: nil when the object does not exist.  It waits out what is transient.
func (c *Client) read(ctx context.Context, target object) ([]byte, error) {
	wait := backoff{longest: c.longest}
	for {
		answer := c.exchange(ctx, http.MethodGet, target.path(), "", nil)
		switch {
		case answer.OK():
			return answer.Body, nil
		case answer.Status == http.StatusNotFound:
			return nil, nil
		case answer.Definite() && answer.Status != 0 && answer.Status != http.StatusTooManyRequests:
			return nil, &Refused{"reading " + target.String(), answer}
		}
		if err := wait.sleep(ctx, answer.RetryAfter); err != nil {
			return nil, err
		}
	}
}

// apply sends patch until its fate is known, and gives the object as it was seen last.
//
// mine must be true of an object only if this very patch has landed on it; what the patch tests must never come back once
// it has changed.  Then one consistent read after a doubtful answer decides: our own mark is there, or a tested value
// differs, or else the identical patch is sent again.
func (c *Client) apply(ctx context.Context, target object, subresource string, patch Patch, mine func(any) bool) (verdict, []byte, error) {
	body, err := json.Marshal(patch)
	if err != nil {
		return 0, nil, err
	}
	path := target.path()
	if subresource != "" {
		path += "/" + subresource
	}
	wait := backoff{longest: c.longest}
	doubted, refusedWhileHolding := false, false
	for {
		answer := c.exchange(ctx, http.MethodPatch, path, "fieldManager=kubemr", body)
		if answer.OK() {
			return won, answer.Body, nil
		}
		if answer.Status == http.StatusNotFound {
			return gone, nil, nil
		}
		refusal := isRefusal(answer)
		if refusal && !doubted {
			return 0, nil, &Refused{"patching " + target.String(), answer}
		}
		if answer.Status == http.StatusConflict || answer.Status == http.StatusTooManyRequests || !answer.Definite() || !answer.Sent {
			if err := wait.sleep(ctx, answer.RetryAfter); err != nil {
				return 0, nil, err
			}
		}
		if answer.Status == http.StatusTooManyRequests || !answer.Sent {
			continue // certainly not carried out: the patch itself tells as much as a read would
		}
		doubted = doubted || !answer.Definite()
		seen, err := c.read(ctx, target)
		if err != nil {
			return 0, nil, err
		}
		if seen == nil {
			return gone, nil, nil
		}
		document, err := decode(seen)
		if err != nil {
			return 0, nil, err
		}
		if mine(document) {
			return won, seen, nil
		}
		if !patch.holds(document) {
			return lost, seen, nil
		}
		if refusal || (answer.Status == http.StatusUnprocessableEntity && refusedWhileHolding) {
			return 0, nil, &Refused{"patching " + target.String(), answer}
		}
		refusedWhileHolding = refusedWhileHolding || answer.Status == http.StatusUnprocessableEntity
	}
}

// isRefusal is true of an answer that names a cause other than a failed test: that one is a 422 without details.
func isRefusal(answer Answer) bool {
	if answer.Status == http.StatusUnprocessableEntity {
		var status struct{ Details map[string]any }
		return json.Unmarshal(answer.Body, &status) == nil && len(status.Details) > 0
	}
	return answer.Definite() && answer.Status != 0 && answer.Status != http.StatusConflict && answer.Status != http.StatusTooManyRequests
}

const longestWait = 5 * time.Second

// backoff is exponential, with full jitter: 0.1 s doubling to longest, or to longestWait.
type backoff struct {
	attempts int
	longest  time.Duration
}

func (b *backoff) sleep(ctx context.Context, atLeast time.Duration) error {
	ceiling := min(longestWait, 100*time.Millisecond<<min(b.attempts, 10))
	if b.longest > 0 {
		ceiling = min(ceiling, b.longest)
	}
	b.attempts++
	wait := atLeast + time.Duration(float64(ceiling)*(1-rand.Float64()))
	if b.longest > 0 {
		wait = min(wait, b.longest)
	}
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errGone = errors.New("the object is gone")
