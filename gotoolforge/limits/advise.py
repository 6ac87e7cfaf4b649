"""What a number of connections needs of a process and its machine; a drop-in that gives it."""

import msgspec

_SPARE_FILES = 64
_SPARE_THREADS = 64
# net/http keeps for a connection a goroutine, whose stack grows to 8 KiB in a handler, and a 4 KiB
# reader and a 4 KiB writer (Go: src/net/http/server.go, src/runtime/stack.go): an estimate, 20 KiB.
_CONNECTION_BYTES = 20 * 1024
_BASE_BYTES = 32 * 1024**2


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """Limits for a stated load (`memory` in bytes); `why` says each in words."""

    nofile: int
    tasks: int
    memory: int
    somaxconn: int
    why: tuple[str, ...]


def advise(connections: int, *, files: int = 1, cgo: bool, cpus: int) -> Needs:
    """The limits for `connections` at once, each with `files` descriptors (a proxy has 2)."""
    nofile = connections * files + _SPARE_FILES
    # Sockets wait in the poller and need no thread; a call into C holds one.
    tasks = (connections if cgo else 4 * cpus) + _SPARE_THREADS
    memory = _BASE_BYTES + connections * _CONNECTION_BYTES
    somaxconn = max(4096, connections // 4)
    kind = (
        "each connection may be inside C, which holds a thread"
        if cgo
        else f"goroutines wait in the poller, and {cpus} CPUs run Go code; 4 for each"
    )
    why = (
        f"NOFILE {nofile}: {connections} connections of {files}, and {_SPARE_FILES} for listeners, "
        "poller and logs; the hard limit counts, since Go raises the soft one itself",
        f"TasksMax {tasks}: {kind}; {_SPARE_THREADS} for the runtime",
        f"memory {memory // 1024**2} MiB at least; what handlers keep comes on top, and with "
        "GOGC=100 twice the live heap",
        f"net.core.somaxconn {somaxconn}: connections that may wait for accept",
    )
    return Needs(nofile=nofile, tasks=tasks, memory=memory, somaxconn=somaxconn, why=why)


def drop_in(needs: Needs) -> str:
    """A systemd drop-in (systemd.unit(5)) for the needs, with the reason of each line.

    Never an ExecStartPre=ulimit: that sets the limits of a shell which is gone by then.
    """
    nofile, tasks, memory, somaxconn = (f"# {one}" for one in needs.why)
    lines = ("[Service]", nofile, f"LimitNOFILE={needs.nofile}", tasks, f"TasksMax={needs.tasks}",
             f"{memory}: MemoryMax= is yours to say", f"{somaxconn}: a sysctl")  # fmt: skip
    return "\n".join(lines) + "\n"
