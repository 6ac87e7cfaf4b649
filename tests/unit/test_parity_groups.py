"""Where a group can have limits, in trees of the kernel's layout; and what is undone."""

import os
from pathlib import Path

import pytest

from gotoolforge.console import Console
from gotoolforge.parity import alike, group
from gotoolforge.parity.hierarchy import find_places, wanted_limits
from gotoolforge.parity.snapshot import Entry, Snapshot

LIKE = alike.read_alike(
    Snapshot(
        entries={
            "cgroup.cpu.milli": Entry(value="1500"),
            "cgroup.memory.max": Entry(value="536870912"),
            "cgroup.pids.max": Entry(value="64"),
        }
    )
)
LIMITS = wanted_limits(LIKE)
ALL = "cpu memory pids"


def tree(top: Path, **groups: tuple[str, str, str]) -> Path:
    """A tree of version 2: path (`__` for /) to controllers, subtree_control and processes."""
    for name, (controllers, given, procs) in groups.items():
        folder = top / name.removeprefix("root").replace("__", "/").lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text(given)
        (folder / "cgroup.procs").write_text(procs)
        if folder != top:
            (folder / "cgroup.type").write_text("domain")
    return top


@pytest.mark.parametrize(
    ("groups", "parent", "enable"),
    [
        # The root may give even though it has processes.
        ({"root": (ALL, "", "1"), "a": ("", "", "9")}, "", ("cpu", "memory", "pids")),
        ({"root": (ALL, "cpu pids", "1")}, "", ("memory",)),
        # The nearest that gives all, or that can: not one with processes of its own.
        ({"root": (ALL, ALL, "1"), "a": (ALL, ALL, ""), "a__b": (ALL, "", "9")}, "a", ()),
        ({"root": (ALL, ALL, "1"), "a": (ALL, "pids", ""), "a__b": (ALL, "", "9")}, "a",
         ("cpu", "memory")),
        ({"root": (ALL, ALL, "1"), "a": (ALL, "pids", "7"), "a__b": (ALL, "", "9")}, "", ()),
    ],
)  # fmt: skip
def test_version_2_takes_the_nearest_group_that_can_give_all(
    tmp_path: Path,
    groups: dict[str, tuple[str, str, str]],
    parent: str,
    enable: tuple[str, ...],
) -> None:
    path = "/" + [*groups][-1].removeprefix("root").replace("__", "/")
    (place,), failed = find_places(LIMITS, tree(tmp_path, **groups), f"0::{path}\n")
    assert not failed
    assert (place.parent, place.enable) == (tmp_path / parent, enable)
    assert {(name, text) for _what, name, text in place.files} == {
        ("cpu.max", "150000 100000"), ("memory.max", "536870912"), ("pids.max", "64"),
    }  # fmt: skip


def test_what_no_group_can_be_given_is_told_for_each_limit(tmp_path: Path) -> None:
    root = tree(tmp_path, root=("cpu pids", "pids", "1"), a=("pids", "", "9"))
    (root / "cgroup.type").write_text("domain")  # the root of a container: not the machine's own
    (place,), failed = find_places(LIMITS, root, "0::/a\n")
    assert [name for _what, name, _text in place.files] == ["pids.max"]
    assert [one.split(":")[0] for one in failed] == ["memory limit", "cpu quota"]
    assert "has no memory controller" in failed[0]
    assert "may give cpu" in failed[1]
    places, failed = find_places(LIMITS, tmp_path / "none", "0::/\n")
    assert (places, len(failed)) == ((), 3)


def test_a_machine_may_have_controllers_of_both_versions(tmp_path: Path) -> None:
    for name in ("cpu", "memory/x"):
        (tmp_path / name).mkdir(parents=True)
    tree(tmp_path / "unified", root=("pids", "pids", "1"))
    own = "2:memory:/x\n1:cpu,cpuacct:/../outside\n0::/\n"
    places, failed = find_places(LIMITS, tmp_path, own)
    assert not failed
    assert [str(one.parent.relative_to(tmp_path)) for one in places] == [
        "cpu", "memory/x", "unified",
    ]  # fmt: skip
    assert [name for _what, name, _text in places[0].files] == [
        "cpu.cfs_period_us", "cpu.cfs_quota_us",
    ]  # fmt: skip


def test_groups_are_made_and_removed_and_what_was_enabled_is_undone(tmp_path: Path) -> None:
    root = tree(tmp_path, root=(ALL, "", "1"))
    gone = root / "gotoolforge-999999999"  # of a run that was killed
    gone.mkdir()
    with group.made_groups(LIKE, Console(), root, "0::/\n") as (made, failed):
        (folder,) = made
        assert not failed
        assert not gone.exists()
        assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
        assert folder.name == f"gotoolforge-{os.getpid()}"
        assert (folder / "cpu.max").read_text() == "150000 100000"
        for file in folder.iterdir():
            file.unlink()  # as the kernel does with the group
    assert not folder.exists()
    assert (root / "cgroup.subtree_control").read_text() == "-cpu -memory -pids"


def test_a_group_that_another_run_needs_keeps_its_controllers(tmp_path: Path) -> None:
    root = tree(tmp_path, root=(ALL, "", "1"))
    with group.made_groups(LIKE, Console(), root, "0::/\n") as (made, _failed):
        (root / "gotoolforge-1").mkdir()
        for file in made[0].iterdir():
            file.unlink()
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
