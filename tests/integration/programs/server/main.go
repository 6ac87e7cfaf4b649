// Server serves files and a JSON page over HTTP, puts a load on itself, and ends.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

func main() {
	folder, err := os.MkdirTemp("", "server")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	if err := os.WriteFile(filepath.Join(folder, "noise"), noise, 0o600); err != nil {
		log.Fatal(err)
	}
	http.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(folder))))
	http.HandleFunc("/time", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"now": time.Now(), "from": r.RemoteAddr})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{ReadTimeout: 5 * time.Second}
	go server.Serve(listener)
	total := load("http://"+listener.Addr().String(), 40)
	server.Shutdown(context.Background())
	fmt.Println("served", total)
}

func load(base string, count int) (total int64) {
	var group sync.WaitGroup
	var mutex sync.Mutex
	for i := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			page := []string{"/files/noise", "/time", "/files/absent"}[i%3]
			answer, err := http.Get(base + page)
			if err != nil {
				log.Fatal(err)
			}
			defer answer.Body.Close()
			read, _ := io.Copy(io.Discard, answer.Body)
			mutex.Lock()
			total += read
			mutex.Unlock()
		}()
	}
	group.Wait()
	return total
}
