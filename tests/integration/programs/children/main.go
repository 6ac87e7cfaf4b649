// Children starts other programs the ways that os/exec has, and waits for them.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	out, err := exec.Command("/bin/echo", "child").Output()
	if err != nil {
		log.Fatal(err)
	}
	cat := exec.Command("/bin/cat")
	cat.Stdin = strings.NewReader("through a pipe")
	var heard bytes.Buffer
	cat.Stdout = &heard
	cat.Dir = "/"
	cat.Env = append(os.Environ(), "CHILD=1")
	if err := cat.Run(); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	slow := exec.CommandContext(ctx, "/bin/sleep", "3600")
	if err := slow.Start(); err != nil {
		log.Fatal(err)
	}
	time.AfterFunc(time.Second, cancel)
	if err := slow.Wait(); err == nil {
		log.Fatal("sleep was not ended")
	}
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	<-asked
	fmt.Printf("%s%s\n", out, heard.String())
}
