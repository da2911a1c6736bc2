// go_client JSON: net/http as a client of the lab, with and without keep-alive. The argument is what http-clients.ts
// calls an Exercise; each line on stdout is one finding, empty when all is well.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

type exercise struct {
	Base      string   `json:"base"`
	Host      string   `json:"host"`
	Names     []string `json:"names"`
	Requests  int      `json:"requests"`
	Downloads []struct {
		Path   string `json:"path"`
		Sha256 string `json:"sha256"`
	} `json:"downloads"`
	Uploads []struct {
		File   string `json:"file"`
		Size   int64  `json:"size"`
		Sha256 string `json:"sha256"`
	} `json:"uploads"`
	NoKeepAlive bool `json:"noKeepAlive"`
}

func complain(format string, values ...any) { fmt.Printf(format+"\n", values...) }

func (e *exercise) ask(client *http.Client, method, path string, body io.Reader, length int64, expect bool) ([]byte, error) {
	request, err := http.NewRequest(method, e.Base+path, body)
	if err != nil {
		return nil, err
	}
	request.Host = e.Host
	if length >= 0 {
		request.ContentLength = length
	}
	if expect {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(response.Body)
}

func (e *exercise) knows(name string) bool {
	for _, one := range e.Names {
		if one == name {
			return true
		}
	}
	return false
}

func (e *exercise) run() {
	transport := &http.Transport{DisableKeepAlives: e.NoKeepAlive, DisableCompression: true, ExpectContinueTimeout: 3 * time.Second}
	client := &http.Client{Transport: transport, Timeout: 60 * time.Second}
	for i := 0; i < e.Requests; i++ {
		body, err := e.ask(client, "GET", "/", nil, -1, false)
		if err != nil {
			complain("GET / %d: %v", i, err)
		} else if name := strings.Fields(string(body)); len(name) == 0 || !e.knows(name[0]) {
			complain("GET / %d: answered by %q", i, body)
		}
	}
	for _, download := range e.Downloads {
		body, err := e.ask(client, "GET", download.Path, nil, -1, false)
		if sum := sha256.Sum256(body); err != nil || hex.EncodeToString(sum[:]) != download.Sha256 {
			complain("GET %s: %d bytes, error %v", download.Path, len(body), err)
		}
	}
	for _, upload := range e.Uploads {
		data, err := os.ReadFile(upload.File)
		if err != nil {
			complain("%v", err)
			continue
		}
		// By content-length, chunked, and with Expect.
		for _, way := range []string{"length", "chunked", "expect"} {
			length := upload.Size
			var body io.Reader = bytes.NewReader(data)
			if way == "chunked" {
				length = -1
				body = io.MultiReader(body)
			}
			answer, err := e.ask(client, "POST", "/digest", body, length, way == "expect")
			var digest struct {
				Length int64  `json:"length"`
				Sha256 string `json:"sha256"`
			}
			if err == nil {
				err = json.Unmarshal(answer, &digest)
			}
			if err != nil || digest.Length != upload.Size || digest.Sha256 != upload.Sha256 {
				complain("POST %d bytes (%s): %s, error %v", upload.Size, way, answer, err)
			}
		}
	}
}

func main() {
	var e exercise
	if err := json.Unmarshal([]byte(os.Args[1]), &e); err != nil {
		panic(err)
	}
	e.run()
}
