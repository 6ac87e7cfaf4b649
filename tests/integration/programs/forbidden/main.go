// Forbidden makes calls that a container should not make, and says what came of each. Whatever the
// answer, nothing outside the program's own process changes: it is also run on the host.
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

var calls = map[string]func() syscall.Errno{
	"unshare": func() syscall.Errno { return raw(syscall.SYS_UNSHARE, syscall.CLONE_NEWUTS, 0, 0) },
	"mount": func() syscall.Errno {
		// No such file system: the kernel answers ENODEV where mount is allowed, and mounts nothing.
		return number(syscall.Mount("none", "/", "no-such-file-system", 0, ""))
	},
	"ptrace":      func() syscall.Errno { return raw(syscall.SYS_PTRACE, syscall.PTRACE_ATTACH, 1<<30, 0) },
	"keyctl":      func() syscall.Errno { return raw(syscall.SYS_KEYCTL, 0, ^uintptr(2), 1) },
	"io_uring":    func() syscall.Errno { params := [120]byte{}; return raw(425, 4, uintptr(unsafe.Pointer(&params)), 0) },
	"userfaultfd": func() syscall.Errno { return raw(323, 1, 0, 0) },
	"bpf": func() syscall.Errno {
		attr := [128]byte{0: 2, 4: 4, 8: 8, 12: 1}
		return raw(321, 0, uintptr(unsafe.Pointer(&attr)), 128)
	},
	"clone": func() syscall.Errno { return child(syscall.SYS_CLONE, syscall.CLONE_NEWUSER|17, 0) },
	"clone3": func() syscall.Errno {
		args := [8]uint64{0: syscall.CLONE_NEWUSER, 4: 17}
		return child(435, uintptr(unsafe.Pointer(&args)), 64)
	},
	"x32": func() syscall.Errno { return raw(0x40000000|syscall.SYS_UNSHARE, syscall.CLONE_NEWUTS, 0, 0) },
	// With arguments that the kernel does not take: EBADF, EFAULT or EINVAL where it looks at them.
	"setns":             func() syscall.Errno { return raw(308, ^uintptr(0), 0, 0) },
	"add_key":           func() syscall.Errno { return raw(248, 0, 0, 0) },
	"open_by_handle_at": func() syscall.Errno { return raw(304, ^uintptr(0), 0, 0) },
	"perf_event_open":   func() syscall.Errno { return raw(298, 0, 0, 0) },
	"init_module":       func() syscall.Errno { return raw(175, 0, 0, 0) },
	"kexec_load":        func() syscall.Errno { return raw6(246, 0, 0, 0, 0xffff) },
	"faccessat2":        func() syscall.Errno { return raw6(439, ^uintptr(0), 0, 0, 0) },
	"openat2":           func() syscall.Errno { return raw6(437, ^uintptr(0), 0, 0, 0) },
}

func raw(nr, a, b, c uintptr) syscall.Errno {
	_, _, err := syscall.RawSyscall(nr, a, b, c)
	return err
}

func raw6(nr, a, b, c, d uintptr) syscall.Errno {
	_, _, err := syscall.RawSyscall6(nr, a, b, c, d, 0, 0)
	return err
}

// child makes a process that ends at once, without running any of Go's code in it.
func child(nr, a, b uintptr) syscall.Errno {
	pid, _, err := syscall.RawSyscall(nr, a, b, 0)
	if err == 0 && pid == 0 {
		syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
	}
	return err
}

func number(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	return err.(syscall.Errno)
}

func main() {
	for _, name := range os.Args[1:] {
		fmt.Printf("%s %d\n", name, int(calls[name]()))
	}
}
