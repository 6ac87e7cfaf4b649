"""A program under the limits of a snapshot: what is to be applied, as values."""

import resource

import msgspec

from gotoolforge.errors import SnapshotError
from gotoolforge.limits.names import load_rlimits, number
from gotoolforge.parity.keys import CAPABILITIES
from gotoolforge.parity.snapshot import Snapshot

_VARIABLES = ("GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG")


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """What is to hold for the program.

    `rlimits`: name to soft and hard limit, None for none. `cpu` in thousandths of a CPU, `memory`
    in bytes, `pids` a count; None for no limit. `env`: None takes a variable away. `capabilities`
    are those of the bounding set where that lacks some, None where it has all.
    """

    rlimits: dict[str, tuple[int | None, int | None]]
    cpu: int | None
    memory: int | None
    pids: int | None
    env: dict[str, str | None]
    no_new_privs: bool
    capabilities: tuple[str, ...] | None = None

    @property
    def has_group(self) -> bool:
        """Whether a cgroup is wanted at all."""
        return (self.cpu, self.memory, self.pids) != (None, None, None)


def read_alike(snapshot: Snapshot) -> Alike:
    """What the snapshot asks for. Raises SnapshotError where a limit is no number."""
    try:
        return _read(snapshot)
    except ValueError as error:
        what = f"the snapshot has a limit that makes no sense: {error}"
        raise SnapshotError(what, hint="capture it again") from error


def _read(snapshot: Snapshot) -> Alike:
    limits = {}
    for row in load_rlimits():
        soft = snapshot.value(f"rlimit.{row.name}.soft")
        hard = snapshot.value(f"rlimit.{row.name}.hard")
        if soft is not None and hard is not None:
            limits[row.name] = pair = (number(soft), number(hard))
            if not 0 <= _order(pair[0]) <= _order(pair[1]):
                what = f"rlimit.{row.name}: soft {soft}, hard {hard}"
                raise ValueError(what)
    env: dict[str, str | None] = {}
    for name in _VARIABLES:
        value = snapshot.value(f"env.{name}")
        if value is not None:
            env[name] = None if value == "unset" else value
    return Alike(
        rlimits=limits,
        cpu=number(snapshot.value("cgroup.cpu.milli") or "max"),
        memory=number(snapshot.value("cgroup.memory.max") or "max"),
        pids=number(snapshot.value("cgroup.pids.max") or "max"),
        env=env,
        no_new_privs=snapshot.value("security.no_new_privs") == "1",
        capabilities=_capabilities(snapshot.value("security.cap_bounding")),
    )


def _capabilities(mask: str | None) -> tuple[str, ...] | None:
    if mask is None:
        return None
    names = tuple(name for bit, name in enumerate(CAPABILITIES) if int(mask, 16) >> bit & 1)
    # The last three came with Linux 5.8 and 5.9: an older server has all without them.
    return None if set(CAPABILITIES[:-3]) <= set(names) else names


def fit(
    wanted: tuple[int | None, int | None], own: tuple[int, int], *, may_raise: bool
) -> tuple[tuple[int, int], bool]:
    """The soft and hard limit to set, in setrlimit's numbers, and whether that is all of `wanted`.

    Only a privileged process may raise its hard limit; others get what they may have.
    """
    infinity = resource.RLIM_INFINITY
    soft, hard = (infinity if one is None else one for one in wanted)
    if may_raise or _order(hard) <= _order(own[1]):
        return (soft, hard), True
    return (soft if _order(soft) <= _order(own[1]) else own[1], own[1]), False


def _order(value: int | None) -> float:
    return float("inf") if value in {None, resource.RLIM_INFINITY} else value
