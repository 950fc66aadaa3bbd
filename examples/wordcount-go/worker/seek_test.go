package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// A stage of forty shards of one task each, of which only some are open.
func serveShards(t *testing.T, open func(number int) bool, asked *[]string) (*Worker, *Job, Stage) {
	shard := func(number int) map[string]any {
		state, label := "empty/1/0/0/w1-cccccc", "done"
		if open(number) {
			state, label = "pending/1/0/0/", "open"
		}
		return map[string]any{
			"metadata": map[string]any{"name": fmt.Sprint("shard-", number), "labels": map[string]string{labelTasks: label}},
			"tasks":    map[string]string{strconv.Itoa(number): state},
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		_, name, _ := strings.Cut(request.URL.Path, "/mapreducetaskshards/")
		if name != "" {
			*asked = append(*asked, "get")
			number, _ := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
			json.NewEncoder(writer).Encode(shard(number))
			return
		}
		*asked = append(*asked, "list")
		items := []any{}
		for number := range 40 {
			if open(number) && len(items) < openSample {
				items = append(items, shard(number))
			}
		}
		json.NewEncoder(writer).Encode(map[string]any{"metadata": map[string]string{"resourceVersion": "7"}, "items": items})
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(func(name string) string { return map[string]string{"KUBEMR_APISERVER": server.URL}[name] })
	if err != nil {
		t.Fatal(err)
	}
	job := &Job{}
	job.Metadata.Name, job.Metadata.Namespace, job.Metadata.UID, job.Status.Run = "words", "default", "u", 1
	return &Worker{client: client}, job, Stage{Name: "map", Shards: 40, Total: 40}
}

func TestAnyOfManyOpenShardsIsDrawn(t *testing.T) {
	var asked []string
	worker, job, stage := serveShards(t, func(int) bool { return true }, &asked)
	shard, many, err := worker.seek(context.Background(), job, stage, false)
	if err != nil || shard == nil || !many || fmt.Sprint(asked) != "[list]" {
		t.Fatalf("%v, %v, %v after %v", shard, many, err, asked)
	}
	beyond := 0
	for range 100 {
		asked = nil
		shard, _, err := worker.seek(context.Background(), job, stage, many)
		if err != nil || shard == nil || fmt.Sprint(asked) != "[get]" {
			t.Fatalf("%v, %v after %v", shard, err, asked)
		}
		if shard.pending()[0] >= openSample {
			beyond++
		}
	}
	if beyond < 20 {
		t.Errorf("%d of 100 are shards that no list shows, and 60 should be", beyond)
	}
}

func TestDrawsThatFindNothingEndInAList(t *testing.T) {
	var asked []string
	worker, job, stage := serveShards(t, func(int) bool { return false }, &asked)
	shard, many, err := worker.seek(context.Background(), job, stage, true)
	if err != nil || shard != nil || many || fmt.Sprint(asked) != "[get get get get list]" {
		t.Errorf("%v, %v, %v after %v", shard, many, err, asked)
	}
}
