// Command resolver asks for the addresses of a host and for the current user, the two things for
// which Go's standard library turns to libc when cgo is on.
package main

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strings"
)

func main() {
	host := "localhost"
	if len(os.Args) > 1 {
		host = os.Args[1]
	}
	addresses, err := net.LookupHost(host)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	who, err := user.Current()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s: %s\nuser %s, uid %s\n", host, strings.Join(addresses, " "), who.Username, who.Uid)
}
