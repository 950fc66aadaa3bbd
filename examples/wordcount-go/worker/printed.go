package worker

import (
	"bytes"
	"encoding/json"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	catchUpTime = 2 * time.Second
	logTime     = 15 * time.Second // after it, and then after twice as long each time, the log of a running task is kept
)

// printed keeps what the attempt that runs has printed: of more than bound bytes, the first half and the last.
//
// User code runs in this very process, so its streams are pipes back to it; what comes is passed on to the real ones.
// A mark that is written into them when an attempt ends tells when all of its output has come through.
type printed struct {
	bound int
	mark  []byte
	pipes []*os.File
	news  chan struct{}

	mutex sync.Mutex
	marks []int // how often the mark came through, by pipe
	sent  int
	task  *Task
	began time.Time
	head  []byte
	tail  []byte
	total int
}

func newPrinted(bound int) *printed {
	mark := "\x00kubemr-" + strconv.FormatUint(rand.Uint64(), 36) + "\x00"
	return &printed{bound: bound, mark: []byte(mark), news: make(chan struct{}, 1)}
}

// capture takes over the process's streams.  The worker's own log must have been made before.
func (p *printed) capture() error {
	for _, stream := range []**os.File{&os.Stdout, &os.Stderr} {
		reading, writing, err := os.Pipe()
		if err != nil {
			return err
		}
		passOn := *stream
		if log.Writer() == passOn { // the standard library's logger is the user's
			log.SetOutput(writing)
		}
		*stream = writing
		p.pipes, p.marks = append(p.pipes, writing), append(p.marks, 0)
		go p.copy(len(p.pipes)-1, reading, passOn)
	}
	return nil
}

func (p *printed) copy(pipe int, reading, passOn *os.File) {
	buffer := make([]byte, 1<<16)
	held := []byte{} // what may be the beginning of a mark
	for {
		count, err := reading.Read(buffer)
		data := append(held, buffer[:count]...)
		for {
			text, rest, found := bytes.Cut(data, p.mark)
			if !found {
				break
			}
			p.add(text, passOn)
			p.mutex.Lock()
			p.marks[pipe]++
			p.mutex.Unlock()
			select {
			case p.news <- struct{}{}:
			default:
			}
			data = rest
		}
		length := min(len(data), len(p.mark)-1)
		for !bytes.HasPrefix(p.mark, data[len(data)-length:]) {
			length--
		}
		p.add(data[:len(data)-length], passOn)
		held = slices.Clone(data[len(data)-length:])
		if err != nil {
			return
		}
	}
}

func (p *printed) add(text []byte, passOn *os.File) {
	if len(text) == 0 {
		return
	}
	passOn.Write(text) // where nobody reads it any more it is dropped
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.total += len(text)
	room := min(p.bound-p.bound/2-len(p.head), len(text))
	p.head = append(p.head, text[:room]...)
	p.tail = append(p.tail, text[room:]...)
	if last := p.bound / 2; len(p.tail) > 2*last {
		p.tail = slices.Clone(p.tail[len(p.tail)-last:])
	}
}

// begin says that what comes from now on is the task's.
func (p *printed) begin(task *Task) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.task, p.began, p.head, p.tail, p.total = task, time.Now(), nil, nil, 0
}

// soFar is the running task and its log until now, nil when it has printed nothing; outcome is empty, or how it ended.
func (p *printed) soFar(outcome string) (*Task, []byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.task == nil || p.total == 0 || p.bound == 0 {
		return p.task, nil
	}
	text := line(struct {
		Timestamp string `json:"timestamp"`
		Event     string `json:"event"`
		Task      string `json:"task"`
	}{moment(p.began), "attempt_began", p.task.name()})
	text = append(text, p.kept()...)
	if outcome == "" {
		return p.task, text
	}
	return p.task, append(wholeLine(text), line(struct {
		Timestamp string `json:"timestamp"`
		Event     string `json:"event"`
		Outcome   string `json:"outcome"`
	}{moment(time.Now()), "attempt_ended", outcome})...)
}

// log is the log of the task that has ended so, and when it began and ended.
func (p *printed) log(outcome string) (text []byte, start, end string) {
	p.catchUp()
	_, text = p.soFar(outcome)
	return text, moment(p.began), moment(time.Now())
}

func (p *printed) kept() []byte {
	tail := p.tail[max(0, len(p.tail)-p.bound/2):]
	head := p.head
	if len(head)+len(tail) == p.total {
		return slices.Concat(head, tail)
	}
	if cut := bytes.LastIndexByte(head, '\n') + 1; cut > 0 { // whole lines, where there are any
		head = head[:cut]
	}
	if cut := bytes.IndexByte(tail, '\n') + 1; cut < len(tail) {
		tail = tail[cut:]
	}
	gap := line(struct {
		Event   string `json:"event"`
		LeftOut int    `json:"left_out_bytes"`
	}{"log_shortened", p.total - len(head) - len(tail)})
	return slices.Concat(wholeLine(slices.Clone(head)), gap, tail)
}

// catchUp waits for what is in the pipes.
func (p *printed) catchUp() {
	if len(p.pipes) == 0 {
		return
	}
	p.mutex.Lock()
	p.sent++
	wanted := p.sent
	p.mutex.Unlock()
	go func() { // a pipe that is full, before a stream that nobody reads, must not hold up the worker
		for _, pipe := range p.pipes {
			pipe.Write(p.mark)
		}
	}()
	late := time.NewTimer(catchUpTime)
	defer late.Stop()
	for {
		p.mutex.Lock()
		through := slices.Min(p.marks) >= wanted
		p.mutex.Unlock()
		if through {
			return
		}
		select {
		case <-p.news:
		case <-late.C:
			return
		}
	}
}

func line(fields any) []byte {
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return append(text, '\n')
}

func wholeLine(text []byte) []byte {
	if len(text) == 0 || text[len(text)-1] == '\n' {
		return text
	}
	return append(text, '\n')
}

func moment(when time.Time) string { return when.UTC().Format("2006-01-02T15:04:05.000Z") }
