"""The words of `gotoolforge seccomp`: each module joins words, calls the work, and reports."""
