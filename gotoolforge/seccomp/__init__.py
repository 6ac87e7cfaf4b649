"""The system calls a Go program can make, the profile that allows just those, and proof.

The story: `image` reads the file, `machine` its code, `flow` the numbers, `graph` who reaches
whom; `listing` is the result. `profile` makes OCI JSON of it, `bpf` the kernel's filter, and the
witnesses (`witness_*`) see what a running program really calls.
"""
