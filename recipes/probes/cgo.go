// Go and C in one program: calls both ways from many threads, errno, memory of either.
package main

/*
#include <errno.h>
#include <stdlib.h>
#include <string.h>

extern int goTwice(int);

static int callBack(int n) { return goTwice(n) + 1; }

static int fail(int code) { errno = code; return -1; }
*/
import "C"

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

//export goTwice
func goTwice(n C.int) C.int { return 2 * n }

func main() {
	var wait sync.WaitGroup
	for i := 0; i < 64; i++ {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			runtime.LockOSThread()
			if got := C.callBack(C.int(n)); int(got) != 2*n+1 {
				panic("a call back gave something else")
			}
		}(i)
	}
	wait.Wait()
	if got, err := C.fail(C.ENOENT); got != -1 || err != syscall.ENOENT {
		panic("errno did not arrive")
	}
	text := C.CString("from Go")
	defer C.free(unsafe.Pointer(text))
	if C.strlen(text) != 7 || C.GoString(text) != "from Go" {
		panic("a string changed on its way")
	}
	os.Stdout.WriteString("ok\n")
}
