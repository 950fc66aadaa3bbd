package main

import (
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// lock is what a lock's string says: who holds it, and how often it was acquired.
type lock struct {
	holder string
	fence  int
}

// A step gives the states in which an operation may leave one; none, if it cannot have ended as it did.
var locks = porcupine.NondeterministicModel{
	Init: func() []any { return []any{lock{}} },
	Step: func(state, input, _ any) []any {
		now, operation := state.(lock), input.(Operation)
		seen := now == lock{operation.Holder, operation.Fence}
		if operation.Kind == "read" {
			return only(seen, now)
		}
		mine := now == lock{operation.Me, operation.Fence}
		var changed any
		if operation.Kind == "acquire" {
			if now.holder == "" || now.holder == operation.Me {
				changed = lock{operation.Me, now.fence + 1}
			}
		} else if mine {
			changed = lock{"", now.fence}
		}
		switch operation.Outcome {
		case "won":
			return only(changed != nil && (operation.Kind != "acquire" || changed.(lock).fence == operation.Fence), changed)
		case "lost":
			return only(changed == nil && (operation.Kind != "acquire" || seen), now)
		default:
			return perhaps(changed, now)
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

// A shard's state is the strings of its tasks; it begins as the first read shows all shards to begin.
const tasks, separator, fresh = 32, "|", "pending/1/0/0/"

var shards = porcupine.NondeterministicModel{
	Init: func() []any { return []any{strings.Join(slices.Repeat([]string{fresh}, tasks), separator)} },
	Step: func(state, input, _ any) []any {
		now, operation := state.(string), input.(Operation)
		if operation.Kind == "read" {
			return only(now == strings.Join(operation.Seen, separator), now)
		}
		changed := swapped(now, operation.Swaps)
		switch operation.Outcome {
		case "won":
			return only(changed != nil, changed)
		case "lost":
			return only(changed == nil && now == strings.Join(operation.Seen, separator), now)
		default:
			return append(perhaps(changed, now), perhaps(swapped(now, operation.Rest))...)
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

// swapped is the state after all swaps, nil if one of the tested values is another.
func swapped(state string, swaps []Swap) any {
	if len(swaps) == 0 {
		return nil
	}
	cells := strings.Split(state, separator)
	for _, swap := range swaps {
		if cells[swap.Task] != swap.Old {
			return nil
		}
		cells[swap.Task] = swap.New
	}
	return strings.Join(cells, separator)
}

func only(possible bool, state any) []any {
	if !possible {
		return nil
	}
	return []any{state}
}

func perhaps(states ...any) []any {
	return slices.DeleteFunc(states, func(state any) bool { return state == nil })
}

func modelOf(key string) porcupine.Model {
	if strings.HasPrefix(key, "lock-") {
		return locks.ToModel()
	}
	return shards.ToModel()
}
