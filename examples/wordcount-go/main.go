// Word count as a kubemr worker in Go: which words are there in all inputs, and how often?
//
// It does what examples/wordcount/wordcount.py does, to the byte: a word is a run of bytes without ASCII white space, its
// partition is its 32-bit FNV-1a hash, and a result holds a line word<TAB>count for every word of its partition, sorted.
// Workers of both kinds can therefore serve one job.
package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kubemr.example/wordcount/worker"
)

type wordCount struct{}

func main() { worker.Serve(wordCount{}) }

// Map counts the words of one input: a URL, a split, or paths or a glob pattern relative to the job argument root.
func (wordCount) Map(task *worker.Task, input string) (map[int]string, error) {
	if said := task.Job.Spec.Jobargs["say"]; said != "" {
		fmt.Println(said)
	}
	counts := map[string]int{}
	if err := texts(task, input, func(text []byte) {
		forWords(text, func(word []byte) { counts[string(word)]++ })
	}); err != nil {
		return nil, err
	}
	partitions := map[int]*bytes.Buffer{}
	for _, word := range sorted(counts) {
		number := partition(word, task.Partitions)
		if partitions[number] == nil {
			partitions[number] = &bytes.Buffer{}
		}
		fmt.Fprintf(partitions[number], "%s\t%d\n", word, counts[word])
	}
	outputs := map[int]string{}
	var err error
	for number, lines := range partitions {
		if outputs[number], err = task.Store(fmt.Sprintf("%d.txt", number), lines.Bytes()); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// Reduce adds up the counts of one partition's words.
func (wordCount) Reduce(task *worker.Task, inputs []string) (string, error) {
	counts := map[string]int{}
	for _, address := range inputs {
		text, err := task.Fetch(address)
		if err != nil {
			return "", err
		}
		var word string
		var odd bool
		forWords(text, func(field []byte) {
			if odd = !odd; odd {
				word = string(field)
				return
			}
			count, problem := strconv.Atoi(string(field))
			if problem != nil {
				err = fmt.Errorf("%s: %w", address, problem)
			}
			counts[word] += count
		})
		if err == nil && odd {
			err = fmt.Errorf("%s: the word %q has no count", address, word)
		}
		if err != nil {
			return "", err
		}
	}
	var lines bytes.Buffer
	for _, word := range sorted(counts) {
		fmt.Fprintf(&lines, "%s\t%d\n", word, counts[word])
	}
	return task.Store(fmt.Sprintf("%d.txt", task.Number), lines.Bytes())
}

// texts calls each with all that an input names, in pieces that end between words.
func texts(task *worker.Task, input string, each func([]byte)) error {
	if worker.IsSplit(input) {
		return task.Lines(input, each)
	}
	addresses, err := sources(task, input)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		text, err := task.Fetch(address)
		if err != nil {
			return err
		}
		each(text)
	}
	return nil
}

func sources(task *worker.Task, input string) ([]string, error) {
	if strings.Contains(input, "://") {
		return []string{input}, nil
	}
	root := task.Job.Spec.Jobargs["root"]
	if root == "" {
		root = "."
	}
	paths := glob(root, strings.Split(input, "/"))
	if filepath.IsAbs(input) {
		paths = glob("/", strings.Split(input[1:], "/"))
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("input %q: there is no such file in %s", input, root)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// glob expands a pattern, part by part; ** stands for any folders, and hidden files must be asked for.
func glob(folder string, parts []string) []string {
	if len(parts) == 0 {
		return []string{folder}
	}
	if !strings.ContainsAny(parts[0], "*?[") { // a name: it need not be listed, and may be ".."
		path := filepath.Join(folder, parts[0])
		if _, err := os.Stat(path); err != nil {
			return nil
		}
		return glob(path, parts[1:])
	}
	var found []string
	if parts[0] == "**" {
		found = glob(folder, parts[1:])
	}
	entries, _ := os.ReadDir(folder)
	pattern := strings.NewReplacer("[!", "[^", `\`, `\\`).Replace(parts[0])
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") && !strings.HasPrefix(pattern, ".") {
			continue
		}
		if parts[0] == "**" {
			if info, err := os.Stat(path); err == nil && (info.IsDir() || len(parts) == 1) {
				found = append(found, glob(path, parts)...)
			}
		} else if matched, _ := filepath.Match(pattern, entry.Name()); matched {
			found = append(found, glob(path, parts[1:])...)
		}
	}
	return found
}

// forWords calls each with every run of bytes without ASCII white space.  (bytes.Fields would split at Unicode's too.)
func forWords(text []byte, each func([]byte)) {
	start := -1
	for position, letter := range text {
		if letter == ' ' || letter >= '\t' && letter <= '\r' {
			if start >= 0 {
				each(text[start:position])
			}
			start = -1
		} else if start < 0 {
			start = position
		}
	}
	if start >= 0 {
		each(text[start:])
	}
}

func partition(word string, partitions int) int {
	hash := fnv.New32a()
	hash.Write([]byte(word))
	return int(hash.Sum32() % uint32(partitions))
}

func sorted(counts map[string]int) []string {
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	slices.Sort(words)
	return words
}
