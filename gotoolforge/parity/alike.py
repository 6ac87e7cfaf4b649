"""A program under the limits of a snapshot: what is to be applied, as values."""

import resource

import msgspec

from gotoolforge.errors import SnapshotError
from gotoolforge.limits.names import load_rlimits, number
from gotoolforge.parity.snapshot import Snapshot

_VARIABLES = ("GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG")


class Alike(msgspec.Struct, frozen=True, kw_only=True):
    """What is to hold for the program.

    `rlimits`: name to soft and hard limit, None for none. `cpu` in thousandths of a CPU, `memory`
    in bytes, `pids` a count; None for no limit. `env`: None takes a variable away.
    """

    rlimits: dict[str, tuple[int | None, int | None]]
    cpu: int | None
    memory: int | None
    pids: int | None
    env: dict[str, str | None]
    no_new_privs: bool

    @property
    def has_group(self) -> bool:
        """Whether a cgroup is wanted at all."""
        return (self.cpu, self.memory, self.pids) != (None, None, None)


def read_alike(snapshot: Snapshot) -> Alike:
    """What the snapshot asks for. Raises SnapshotError where a limit is no number."""
    try:
        return _read(snapshot)
    except ValueError as error:
        what = f"the snapshot has a limit that is no number: {error}"
        raise SnapshotError(what, hint="capture it again") from error


def _read(snapshot: Snapshot) -> Alike:
    limits = {}
    for row in load_rlimits():
        soft = snapshot.value(f"rlimit.{row.name}.soft")
        hard = snapshot.value(f"rlimit.{row.name}.hard")
        if soft is not None and hard is not None:
            limits[row.name] = (number(soft), number(hard))
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
    )


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


def _order(value: int) -> float:
    return float("inf") if value == resource.RLIM_INFINITY else value


def docker_words(alike: Alike) -> tuple[str, ...]:
    """The same for `docker run` (and podman)."""
    words = []
    for name, (soft, hard) in alike.rlimits.items():
        if (soft, hard) != (None, None):
            pair = ":".join("-1" if one is None else str(one) for one in (soft, hard))
            words += ["--ulimit", f"{name}={pair}"]
    if alike.cpu is not None:
        words += ["--cpus", f"{alike.cpu / 1000:g}"]
    if alike.memory is not None:
        words += ["--memory", str(alike.memory)]
    if alike.pids is not None:
        words += ["--pids-limit", str(alike.pids)]
    if alike.no_new_privs:
        words += ["--security-opt", "no-new-privileges"]
    for name, value in alike.env.items():
        if value is not None:
            words += ["--env", f"{name}={value}"]
    return tuple(words)


def compose_text(alike: Alike) -> str:
    """The same as a service of a compose file."""
    lines = ["services:", "  app:", "    ulimits:"]
    for name, (soft, hard) in alike.rlimits.items():
        low, high = (-1 if one is None else one for one in (soft, hard))
        if (low, high) != (-1, -1):
            lines.append(f"      {name}: {{soft: {low}, hard: {high}}}")
    if alike.cpu is not None:
        lines.append(f'    cpus: "{alike.cpu / 1000:g}"')
    if alike.memory is not None:
        lines.append(f"    mem_limit: {alike.memory}")
    if alike.pids is not None:
        lines.append(f"    pids_limit: {alike.pids}")
    if alike.no_new_privs:
        lines.append('    security_opt: ["no-new-privileges:true"]')
    set_ones = {name: value for name, value in alike.env.items() if value is not None}
    if set_ones:
        lines.append("    environment:")
        lines += [f"      {name}: {_quoted(value)}" for name, value in set_ones.items()]
    return "\n".join(lines)


def kubernetes_text(alike: Alike) -> str:
    """The same as a container of a Pod, as far as Kubernetes has words for it."""
    lines = ["containers:", "- name: app"]
    amounts = {
        "cpu": None if alike.cpu is None else f"{alike.cpu}m",
        "memory": None if alike.memory is None else str(alike.memory),
    }
    given = [f"      {name}: {value}" for name, value in amounts.items() if value]
    if given:
        lines += ["  resources:", "    limits:", *given]
    allow = "false" if alike.no_new_privs else "true"
    lines += ["  securityContext:", f"    allowPrivilegeEscalation: {allow}"]
    set_ones = {name: value for name, value in alike.env.items() if value is not None}
    if set_ones:
        lines.append("  env:")
        pairs = set_ones.items()
        lines += [f"  - {{name: {name}, value: {_quoted(value)}}}" for name, value in pairs]
    lines.append("# A Pod cannot set rlimits: the node's container runtime gives them.")
    if alike.pids is not None:
        lines.append(f"# pids: {alike.pids} is podPidsLimit in the kubelet's configuration.")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # A JSON string is a YAML string too.
    return msgspec.json.encode(text).decode()
