"""The resource limits of Linux and their names. Data: recipes/parity/rlimits.toml."""

from gotoolforge import paths
from gotoolforge.tables import Row, load_table

INFINITY = "unlimited"


class Rlimit(Row, frozen=True):
    """Our name, the kernel's title in /proc/PID/limits, and systemd's directive."""

    name: str
    title: str
    systemd: str

    @property
    def constant(self) -> str:
        """As getrlimit(2) and Python spell it: `RLIMIT_NOFILE`."""
        return f"RLIMIT_{self.name.upper()}"


class _Table(Row, frozen=True):
    limit: tuple[Rlimit, ...]


def load_rlimits() -> tuple[Rlimit, ...]:
    """All sixteen."""
    return load_table(paths.recipes_dir() / "parity" / "rlimits.toml", _Table).limit


def number(text: str) -> int | None:
    """A limit's number; None for no limit. Numbers beyond 64 bits mean no limit too."""
    if text in {INFINITY, "max", "infinity"}:
        return None
    value = int(text)
    # RLIM64_INFINITY is 2^64-1; some kernels and systemd show half of it.
    return value if value < (1 << 63) - 1 else None
