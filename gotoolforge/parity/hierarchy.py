"""Where on this machine a new cgroup can be limited: version 1's hierarchies, version 2's tree."""

import os
from pathlib import Path

import msgspec

from gotoolforge.parity.alike import Alike

_PERIOD = 100_000


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit as files of a group, by version; a controller enforces it."""

    what: str
    controller: str
    v1: dict[str, str]
    v2: dict[str, str]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A group to make one in, and the files to write there: what each is for, name, text.

    `enable`: controllers that `parent` has to give to its children first (version 2).
    """

    parent: Path
    files: tuple[tuple[str, str, str], ...]
    enable: tuple[str, ...] = ()


def wanted_limits(alike: Alike) -> tuple[Limit, ...]:
    """The limits that are wanted at all."""
    found = []
    if alike.cpu is not None:
        quota = str(alike.cpu * _PERIOD // 1000)
        v1 = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota}
        v2 = {"cpu.max": f"{quota} {_PERIOD}"}
        found.append(Limit(what="cpu quota", controller="cpu", v1=v1, v2=v2))
    if alike.memory is not None:
        text = str(alike.memory)
        v1, v2 = {"memory.limit_in_bytes": text}, {"memory.max": text}
        found.append(Limit(what="memory limit", controller="memory", v1=v1, v2=v2))
    if alike.pids is not None:
        files = {"pids.max": str(alike.pids)}
        found.append(Limit(what="pids limit", controller="pids", v1=files, v2=files))
    return tuple(found)


def find_places(
    limits: tuple[Limit, ...], root: Path, own: str
) -> tuple[tuple[Place, ...], list[str]]:
    """Where to make groups for `limits`, and in words which of them no group can have.

    `root` is where cgroups are mounted, `own` the text of /proc/self/cgroup. A machine may have
    some controllers in version 1 and others in version 2.
    """
    paths = _own_paths(own)
    places, rest = [], []
    for limit in limits:
        top = root / limit.controller
        if limit.controller in paths and top.is_dir():
            files = tuple((limit.what, name, text) for name, text in limit.v1.items())
            places.append(Place(parent=_inside(top, paths[limit.controller]), files=files))
        else:
            rest.append(limit)
    if not rest:
        return tuple(places), []
    place, failed = _find_v2(rest, root, paths.get("", "/"))
    return (*places, *([place] if place else [])), failed


def _own_paths(own: str) -> dict[str, str]:
    """Controller to the path of the process's group; "" for version 2."""
    rows = (line.split(":", 2) for line in own.splitlines())
    return {name: path for _number, names, path in rows for name in names.split(",")}


def _inside(top: Path, path: str) -> Path:
    # In a container the path may be one that is not mounted there.
    own = top / path.lstrip("/")
    return own if ".." not in path and own.is_dir() else top


def _find_v2(limits: list[Limit], root: Path, path: str) -> tuple[Place | None, list[str]]:
    base = next((one for one in (root, root / "unified") if _words(one, "controllers")), None)
    known = _words(base, "controllers") if base else set()
    failed = []
    for one in limits:
        if base is None:
            failed.append(f"{one.what}: no cgroup at {root} has a {one.controller} controller")
        elif one.controller not in known:
            words = f"cgroup v2 at {base} has no {one.controller} controller"
            failed.append(f"{one.what}: {words}, and version 1 neither")
    limits = [one for one in limits if one.controller in known]
    if base is None or not limits:
        return None, failed
    names = {one.controller for one in limits}
    own = _inside(base, path)
    # Nearest first: a group is to be told from its neighbours by as little as can be.
    parents = [own, *(one for one in own.parents if one.is_relative_to(base))]
    best = max(parents, key=lambda one: len(_given(one, names)) + len(_may_give(one, names)))
    given = _given(best, names) | _may_give(best, names)
    for one in limits:
        if one.controller not in given:
            words = f"no group from {own} up to {base} may give {one.controller} to a new one"
            failed.append(f"{one.what}: {words} (cgroup.subtree_control; as root, or delegated)")
    files = tuple(
        (one.what, name, text)
        for one in limits
        if one.controller in given
        for name, text in one.v2.items()
    )
    enable = tuple(sorted(_may_give(best, names)))
    return (Place(parent=best, files=files, enable=enable) if files else None), failed


def _given(parent: Path, names: set[str]) -> set[str]:
    """Controllers that a new group in `parent` has."""
    return names & _words(parent, "subtree_control") if os.access(parent, os.W_OK) else set()


def _may_give(parent: Path, names: set[str]) -> set[str]:
    """Those that `parent` does not give, and can: version 2's root, or a group without processes.

    "No internal processes": Linux, Documentation/admin-guide/cgroup-v2.rst.
    """
    if not os.access(parent / "cgroup.subtree_control", os.W_OK):
        return set()
    is_root = not (parent / "cgroup.type").exists()
    if not is_root and (parent / "cgroup.procs").read_text().strip():
        return set()
    return (names & _words(parent, "controllers")) - _words(parent, "subtree_control")


def _words(parent: Path, name: str) -> set[str]:
    try:
        return set((parent / f"cgroup.{name}").read_text().split())
    except OSError:
        return set()
