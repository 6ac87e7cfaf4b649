"""gotoolforge: Go binaries that need nothing of the host's libc, and the proof of it."""

__version__ = "0.1.0"
