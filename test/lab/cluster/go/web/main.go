// A pod of the cluster's tests: `web` serves, `web load KIND=URL…` asks all the time and counts what it is answered.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "load" {
		load(os.Args[2:])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "get" {
		get(os.Args[2:])
		return
	}
	serve()
}

func env(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

// serve answers `VERSION POD NODE`. Told to end, it goes on for a while: whoever still knows its address is answered, and is
// told since when it should not any more.
func serve() {
	pod, _ := os.Hostname()
	version, node := os.Getenv("VERSION"), os.Getenv("NODE")
	server := &http.Server{Addr: fmt.Sprintf(":%d", env("PORT", 8080))}
	var told atomic.Int64
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at := told.Load(); at != 0 {
			w.Header().Set("Ending-Ms", strconv.FormatInt(time.Now().UnixMilli()-at, 10))
		}
		fmt.Fprintf(w, "%s %s %s\n", version, pod, node)
	})
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		<-end
		told.Store(time.Now().UnixMilli())
		time.Sleep(time.Duration(env("LINGER", 5)) * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		close(done)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-done
}

// get asks N times for one URL, on one connection, with headers `NAME:VALUE`, and prints each answer's first line.
func get(args []string) {
	n, _ := strconv.Atoi(args[0])
	client := http.Client{Timeout: 5 * time.Second}
	for i := 0; i < n; i++ {
		request, err := http.NewRequest("GET", args[1], nil)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		for _, header := range args[2:] {
			name, value, _ := strings.Cut(header, ":")
			request.Header.Set(name, value)
		}
		fmt.Println(first(client.Do(request)))
	}
}

func first(response *http.Response, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "error " + err.Error()
	}
	line, _, _ := strings.Cut(string(body), "\n")
	return fmt.Sprintf("%d %s", response.StatusCode, line)
}

type counts struct {
	OK       int            `json:"ok"`
	Failed   int            `json:"failed"`
	Failures map[string]int `json:"failures"`
	// The answers' first words: who answered.
	Versions map[string]int `json:"versions"`
	Nodes    map[string]int `json:"nodes"`
	// Of the slowest answer.
	MaxMs int64 `json:"maxMs"`
	// The longest that a pod had been told to end when it was still asked.
	EndingMs int64 `json:"endingMs"`
}

var (
	lock  sync.Mutex
	total = map[string]*counts{}
)

func fresh() *counts {
	return &counts{Failures: map[string]int{}, Versions: map[string]int{}, Nodes: map[string]int{}}
}

// load: `keep=URL` on one connection, `new=URL` on a connection for each request; RATE requests a second each, in WORKERS.
func load(targets []string) {
	rate, workers := env("RATE", 50), env("WORKERS", 2)
	for _, target := range targets {
		kind, url, _ := strings.Cut(target, "=")
		total[kind] = fresh()
		for i := 0; i < workers; i++ {
			go ask(kind, url, time.Second*time.Duration(workers)/time.Duration(rate))
		}
	}
	http.HandleFunc("/stats", func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		defer lock.Unlock()
		_ = json.NewEncoder(w).Encode(total)
		if r.Method == "POST" {
			for kind := range total {
				total[kind] = fresh()
			}
		}
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":9900", nil))
	os.Exit(1)
}

func ask(kind, url string, every time.Duration) {
	// A client that keeps its connection may not send a request again by itself: it would hide what failed.
	transport := &http.Transport{
		DisableKeepAlives: kind == "new",
		DialContext:       (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	for tick := time.Tick(every); ; <-tick {
		begun := time.Now()
		// POST: Go's client sends it again only when it was not sent at all.
		response, err := client.Post(url, "text/plain", strings.NewReader("load"))
		ending := int64(0)
		if err == nil {
			ending, _ = strconv.ParseInt(response.Header.Get("Ending-Ms"), 10, 64)
		}
		answer := first(response, err)
		took := time.Since(begun).Milliseconds()
		words := strings.Fields(answer)
		lock.Lock()
		c := total[kind]
		c.MaxMs = max(c.MaxMs, took)
		c.EndingMs = max(c.EndingMs, ending)
		if len(words) == 4 && words[0] == "200" {
			c.OK++
			c.Versions[words[1]]++
			c.Nodes[words[3]]++
		} else {
			c.Failed++
			c.Failures[fmt.Sprintf("%s at %s after %d ms", answer, begun.UTC().Format("15:04:05.000"), took)]++
		}
		lock.Unlock()
	}
}
