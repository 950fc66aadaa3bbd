package worker

import (
	"fmt"
	"regexp"
	"strconv"
)

// The tasks of a shard's document are a map with an entry for each task, or with one entry for all of them while they are in
// one state, as in "0-511": "pending/1/0/0/".

const largestShard = 512 // tasks

// A number has ten digits at most, as the admission policy has it: who goes from the first to the last one gets to an end.
var keyPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})(?:-([1-9][0-9]{0,9}))?$`)

// tasksOf gives the first and the last of the tasks of which an entry tells, by its key; anything but the grammar is an error.
func tasksOf(key string) (int, int, error) {
	found := keyPattern.FindStringSubmatch(key)
	if found == nil {
		return 0, 0, fmt.Errorf("%q does not name tasks: expected a number, or the first and the last one, as in 0-511", key)
	}
	first, _ := strconv.Atoi(found[1])
	last := first
	if found[2] != "" {
		last, _ = strconv.Atoi(found[2])
	}
	switch {
	case found[2] != "" && last <= first:
		return 0, 0, fmt.Errorf("%q does not name tasks: expected a last number above the first, as in 0-511", key)
	case last-first >= largestShard:
		return 0, 0, fmt.Errorf("%q names too many tasks: expected at most %d", key, largestShard)
	}
	return first, last, nil
}

// parseTasks reads either form, and tells whether it was one entry for several tasks.
func parseTasks(document map[string]string) (map[int]State, bool, error) {
	tasks := map[int]State{}
	for key, text := range document {
		first, last, err := tasksOf(key)
		if err != nil {
			return nil, false, err
		}
		if first < last && len(document) > 1 {
			return nil, false, fmt.Errorf("%q is one of %d entries: expected one entry for all tasks, or one for each", key, len(document))
		}
		state, err := ParseState(text)
		if err != nil {
			return nil, false, fmt.Errorf("%q: %w", key, err)
		}
		for number := first; number <= last; number++ {
			tasks[number] = state
		}
	}
	return tasks, len(document) < len(tasks), nil
}

// oneByOne has an entry for each task.
func oneByOne(tasks map[int]State) map[string]string {
	document := map[string]string{}
	for number, state := range tasks {
		document[strconv.Itoa(number)] = state.String()
	}
	return document
}

// shortest has one entry where all of them are in one state, else one for each.  Their numbers follow upon each other.
func shortest(tasks map[int]State) map[string]string {
	numbers := sortedKeys(tasks)
	first, last := numbers[0], numbers[len(numbers)-1]
	text := tasks[first].String()
	for _, state := range tasks {
		if state.String() != text {
			return oneByOne(tasks)
		}
	}
	return map[string]string{fmt.Sprintf("%d-%d", first, last): text}
}

// shows is true when a task has the state that is asked for, in a document of either form.
func shows(document any, states map[int]State) bool {
	entries, _ := document.(map[string]any)
	for key, text := range entries {
		first, last, err := tasksOf(key)
		for number := first; err == nil && number <= last; number++ {
			if state, asked := states[number]; asked && state.String() == text {
				return true
			}
		}
	}
	return false
}
