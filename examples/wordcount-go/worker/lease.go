package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

var errLeaseLost = errors.New("the Lease was lost: another process is this worker now")

func microTime() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000000Z") }
func stamp() string     { return time.Now().UTC().Format("2006-01-02T15:04:05Z") }

func holderIs(token string) func(any) bool {
	return func(lease any) bool { return lookup(lease, "/spec/holderIdentity") == token }
}

// durationOf is how long a Lease lasts: what it says itself, or usual where that is what it says, rounded.
func durationOf(lease any, usual time.Duration) time.Duration {
	told := 0
	fmt.Sscan(fmt.Sprint(lookup(lease, "/spec/leaseDurationSeconds")), &told)
	if told == 0 || told == max(1, int(math.RoundToEven(usual.Seconds()))) {
		return usual
	}
	return time.Duration(told) * time.Second
}

// takeLease becomes the holder, whoever was it before, and tells how long the Lease lasts.
func (c *Client) takeLease(ctx context.Context, lease object, token string, usual time.Duration) (time.Duration, error) {
	for {
		text, err := c.read(ctx, lease)
		if err != nil {
			return 0, err
		}
		if text == nil {
			return 0, fmt.Errorf("%s does not exist", lease)
		}
		document, err := decode(text)
		if err != nil {
			return 0, err
		}
		transitions := 0
		if before := lookup(document, "/spec/leaseTransitions"); before != nil {
			fmt.Sscan(fmt.Sprint(before), &transitions)
		}
		now := microTime()
		patch := Patch{}.Test("/spec/holderIdentity", lookup(document, "/spec/holderIdentity")).
			Set("/spec/holderIdentity", token).Set("/spec/acquireTime", now).Set("/spec/renewTime", now).
			Set("/spec/leaseTransitions", transitions+1)
		result, _, err := c.apply(ctx, lease, "", patch, holderIs(token))
		if err != nil || result == won {
			return durationOf(document, usual), err
		}
	}
}

// keepLease renews the Lease a little more often than four times per duration, until ctx ends or alive is false; it
// returns errLeaseLost when another token holds it.
//
// No request and no wait lasts longer than a quarter of the duration: a connection that has gone silent is given up for
// another; and others, who may have been quicker to find the apiserver back after an outage, would else see nothing of this
// worker for too long.
func (c *Client) keepLease(ctx context.Context, lease object, token string, duration time.Duration, alive func() bool) error {
	c = c.waitingAtMost(duration / 4)
	for {
		if err := sleep(ctx, time.Duration(float64(duration)/4*(0.8+0.2*rand.Float64()))); err != nil {
			return err
		}
		if !alive() {
			return errors.New("the worker's loop is stuck")
		}
		now := microTime()
		patch := Patch{}.Test("/spec/holderIdentity", token).Set("/spec/renewTime", now)
		result, _, err := c.apply(ctx, lease, "", patch, func(document any) bool {
			return holderIs(token)(document) && lookup(document, "/spec/renewTime") == now
		})
		if err != nil {
			return err
		}
		if result != won {
			return errLeaseLost
		}
	}
}

// releaseLease gives the Lease up, so that what token still holds is free at once.
func (c *Client) releaseLease(ctx context.Context, lease object, token string) {
	patch := Patch{}.Test("/spec/holderIdentity", token).Remove("/spec/holderIdentity")
	c.apply(ctx, lease, "", patch, func(document any) bool { return !holderIs(token)(document) })
}

// census tells who is dead, as one observer sees it, without comparing clocks.  Each Lease is judged by its own duration.
type census struct {
	client   *Client
	lease    func(token string) object
	duration time.Duration
	seen     map[string]*observation
}

// observation is how long one renewTime has stayed the same, as far as this observer can vouch for it: from the answer of
// the first read to the question of the last, with no failed read and no gap of more than half a duration between.
type observation struct {
	value    any
	since    time.Time
	asked    time.Time
	answered time.Time
}

func (c *census) look(ctx context.Context, tokens []string) map[string]bool {
	dead, kept := map[string]bool{}, map[string]*observation{}
	for _, token := range tokens {
		asked := time.Now()
		answer := c.client.exchange(ctx, http.MethodGet, c.lease(token).path(), "", nil)
		answered := time.Now()
		if answer.Status == http.StatusNotFound {
			dead[token] = true
			continue
		}
		if !answer.OK() {
			continue // forgotten: the window begins anew
		}
		document, err := decode(answer.Body)
		if err != nil {
			continue
		}
		if !holderIs(token)(document) {
			dead[token] = true
			continue
		}
		value, duration := lookup(document, "/spec/renewTime"), durationOf(document, c.duration)
		seen := c.seen[token]
		if seen == nil || seen.value != value || asked.Sub(seen.answered) > duration/2 {
			seen = &observation{value: value, since: answered}
		}
		seen.asked, seen.answered = asked, answered
		kept[token] = seen
		if asked.Sub(seen.since) >= duration {
			dead[token] = true
		}
	}
	c.seen = kept
	return dead
}
