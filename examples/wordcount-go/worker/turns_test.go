package worker

import (
	"testing"
	"time"
)

func TestFewMoveTheJobOn(t *testing.T) {
	begun := 0
	for index := range 1000 {
		if (&turns{index: index}).wait("map") < 35*time.Second {
			begun++
		}
	}
	if begun != 6 {
		t.Errorf("%d of 1000 begin within 35 s, and 6 should", begun)
	}
}

func TestWhoHasWorkedBeginsAtOnce(t *testing.T) {
	own := turns{index: 100}
	first := own.wait("map")
	if again := own.wait("map"); first == 0 || again > first {
		t.Errorf("the wait was %v, and then %v", first, again)
	}
	own.worked = true
	if wait := own.wait("map"); wait != 0 {
		t.Errorf("after work it is %v", wait)
	}
}

func TestTheLastOfAllHasItsTurn(t *testing.T) {
	if last := turn(1000); last < 60*time.Second || last > 20*time.Minute {
		t.Errorf("the last of a thousand waits for %v", last)
	}
}
