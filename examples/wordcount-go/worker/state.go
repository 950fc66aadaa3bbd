package worker

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// State is the whole state of a task, which the apiserver holds as one string:
// state/epoch/failures/losses/holders.
type State struct {
	Name     string
	Epoch    int
	Failures int
	Losses   int
	Holders  []string
}

const tokenPattern = `w[0-9]{1,6}-[a-z0-9]{6}`

var (
	numbers      = `[1-9][0-9]{0,6}/(0|[1-9][0-9]{0,3})/(0|[1-9][0-9]{0,3})`
	statePattern = regexp.MustCompile(`^((pending|failed)/` + numbers + `/|running/` + numbers + `/` + tokenPattern +
		`(\+` + tokenPattern + `)?|(done|empty)/` + numbers + `/` + tokenPattern + `)$`)
	tokenRegexp = regexp.MustCompile(`^w([0-9]{1,6})-[a-z0-9]{6}$`)
)

// ParseState reads a state string; anything but the grammar is an error.
func ParseState(text string) (State, error) {
	if !statePattern.MatchString(text) {
		return State{}, fmt.Errorf("%q is not a task state: expected state/epoch/failures/losses/holders", text)
	}
	parts := strings.Split(text, "/")
	state := State{Name: parts[0]}
	for index, number := range []*int{&state.Epoch, &state.Failures, &state.Losses} {
		*number, _ = strconv.Atoi(parts[index+1]) // the pattern admits nothing else
	}
	if parts[4] != "" {
		state.Holders = strings.Split(parts[4], "+")
	}
	return state, nil
}

func (s State) String() string {
	return fmt.Sprintf("%s/%d/%d/%d/%s", s.Name, s.Epoch, s.Failures, s.Losses, strings.Join(s.Holders, "+"))
}

// Committed: some attempt of it counts.
func (s State) Committed() bool { return s.Name == "done" || s.Name == "empty" }

// HeldBy is true while token may work on it.
func (s State) HeldBy(token string) bool {
	return s.Name == "running" && slices.Contains(s.Holders, token)
}

// Attempt names the attempt of a holder, as it stands in storage keys.
func (s State) Attempt(token string) string { return fmt.Sprintf("%d-%s", s.Epoch, token) }

// Claim: a worker takes a pending task.
func (s State) Claim(token string) State {
	s.Name, s.Holders = "running", []string{token}
	return s
}

// Commit: the attempt of token counts from now on.
func (s State) Commit(token string, empty bool) State {
	s.Name, s.Holders = "done", []string{token}
	if empty {
		s.Name = "empty"
	}
	return s
}

// Release: token gives it back unfinished, and nobody is to blame.  With a backup the other goes on alone, which counts as
// a loss: or else the string from before the backup would stand again.
func (s State) Release(token string) State {
	if len(s.Holders) > 1 {
		s.Losses++
	}
	return s.without(func(holder string) bool { return holder == token })
}

// Fail: the user's code failed in the attempt of token.
func (s State) Fail(token string, maxAttempts int) State {
	s.Failures++
	if s.Failures >= maxAttempts {
		s.Name, s.Holders = "failed", nil
		return s
	}
	return s.without(func(holder string) bool { return holder == token })
}

// Lose: some or all of its holders are dead.  It goes back, or fails for good, only when all are.
func (s State) Lose(dead map[string]bool, maxLosses int) State {
	s.Losses++
	left := s.without(func(holder string) bool { return dead[holder] })
	if left.Name == "pending" && s.Losses > maxLosses {
		s.Name, s.Holders = "failed", nil
		return s
	}
	return left
}

func (s State) without(gone func(string) bool) State {
	var left []string
	for _, holder := range s.Holders {
		if !gone(holder) {
			left = append(left, holder)
		}
	}
	s.Holders = left
	if len(left) == 0 {
		s.Name, s.Epoch = "pending", s.Epoch+1
	}
	return s
}

// NewToken draws the token of a worker for one process start.
func NewToken(index int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	var incarnation []byte
	for len(incarnation) < 6 {
		var one [1]byte
		rand.Read(one[:])
		if int(one[0]) < 7*len(alphabet) { // so that every character is equally likely
			incarnation = append(incarnation, alphabet[int(one[0])%len(alphabet)])
		}
	}
	return fmt.Sprintf("w%d-%s", index, incarnation)
}

func indexOf(token string) int {
	index, _ := strconv.Atoi(tokenRegexp.FindStringSubmatch(token)[1])
	return index
}
