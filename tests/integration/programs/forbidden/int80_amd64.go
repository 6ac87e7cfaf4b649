package main

import "syscall"

// int80 makes a call of i386's, as any 64-bit process can where the kernel runs 32-bit programs.
func int80(number, first uint32) int32

func init() {
	calls["i386"] = func() syscall.Errno {
		const unshare = 310
		if got := int80(unshare, syscall.CLONE_NEWUTS); got < 0 {
			return syscall.Errno(-got)
		}
		return 0
	}
}
