// Command cxx calls C++ that throws, catches and runs threads: it needs a C++ compiler and library.
package main

// #include "work.h"
import "C"

import (
	"fmt"
	"os"
)

func main() {
	sum := int(C.sum_in_threads(4, 1000))
	caught := int(C.catch_exception(42))
	fmt.Printf("c++: sum %d, caught %d\n", sum, caught)
	if sum != 4*1000*1001/2 || caught != 42 {
		os.Exit(1)
	}
}
