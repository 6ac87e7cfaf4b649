// Limited is an HTTP server that takes no more connections than its own descriptors bear.
//
// net/http.Server has no limit of its own. Without one, accept fails with EMFILE, the server tries
// again, and handlers cannot open a file or dial. With one, connections wait in the kernel's queue.
//
// -unlimited leaves the limit out, to see the difference.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync"
	"syscall"
)

// reserve is kept for the listener, the poller, logs, and the files that handlers open.
const reserve = 32

type limitListener struct {
	net.Listener
	slots chan struct{}
}

func (l *limitListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: conn, free: func() { <-l.slots }}, nil
}

type limitConn struct {
	net.Conn
	once sync.Once
	free func()
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free)
	return err
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "where to listen")
	unlimited := flag.Bool("unlimited", false, "accept without a limit")
	flag.Parse()

	// Package syscall has already raised the soft limit to one less than the hard one.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	if !*unlimited {
		if limit.Cur <= reserve {
			log.Fatalf("RLIMIT_NOFILE is %d; at least %d are needed", limit.Cur, reserve+1)
		}
		// A channel of this kind holds no memory for its slots, whatever their number.
		listener = &limitListener{listener, make(chan struct{}, limit.Cur-reserve)}
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// A handler that needs a descriptor of its own: what fails first at the wall.
		file, err := os.Open("/proc/self/status")
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer file.Close()
		fmt.Fprintf(w, "ok, RLIMIT_NOFILE %d\n", limit.Cur)
	})
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
