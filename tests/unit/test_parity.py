"""Snapshots, their comparison, and what is to be applied: values in, values out."""

import json
import os
import resource
import subprocess
from functools import cache
from pathlib import Path

import pytest

from gotoolforge import paths
from gotoolforge.commands.parity import markdown
from gotoolforge.errors import SnapshotError
from gotoolforge.finding import Finding
from gotoolforge.limits.names import load_rlimits, number
from gotoolforge.parity.compare import amount, compare
from gotoolforge.parity.keys import find_key, load_keys
from gotoolforge.parity.snapshot import Entry, Snapshot, parse_snapshot

SCRIPT = paths.recipes_dir() / "parity" / "capture.sh"


def snapshot(**values: str) -> Snapshot:
    entries = {key.replace("__", "."): Entry(value=value) for key, value in values.items()}
    return Snapshot(entries=entries | {"capture.complete": Entry(value="yes")})


def captured(*words: str) -> Snapshot:
    done = subprocess.run(["sh", SCRIPT, *words], capture_output=True, check=True)
    assert done.stderr == b""
    return parse_snapshot(done.stdout, "the script")


@cache
def once() -> Snapshot:
    return captured()


def matter(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {one.check: one.severity for one in findings if one.severity != "note"}


def test_the_script_captures_this_machine_twice_alike_and_every_key_has_a_row() -> None:
    one, two = once(), captured()
    assert not matter(compare(one, two))
    assert one.value("kernel.release") == Path("/proc/sys/kernel/osrelease").read_text().strip()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert number(one.value("rlimit.nofile.hard") or "") == (None if hard == -1 else hard)
    assert {f"rlimit.{row.name}.hard" for row in load_rlimits()} <= set(one.entries)
    rows = load_keys()
    told = {"os.name", "container.kind", "memory.total_kib"}
    plain = {key for key in one.entries if find_key(key, rows).key == "*"}
    assert {key for key in plain if not key.startswith("capture.")} <= told
    assert one.entries["clock.vdso"].unknown


def test_every_row_says_what_it_changes_and_where_that_stands() -> None:
    rows = load_keys()
    assert rows[-1].key == "*"
    for row in rows[:-1]:
        assert row.changes
        assert row.source != "-"
        assert find_key(row.key.replace("*", "x"), rows) is row, f"{row.key} is never reached"


@pytest.mark.parametrize(
    ("key", "here", "there", "severity"),
    [
        ("rlimit.nofile.hard", "1048576", "1024", "error"),
        ("sysctl.vm.max_map_count", "65530", "100", "warning"),
        ("sysctl.net.ipv4.ip_unprivileged_port_start", "0", "1024", "warning"),
        ("clock.source", "tsc", "hpet", "warning"),
        ("cgroup.pids.max", "max", "64", "error"),
        ("security.cap_bounding", "000001ffffffffff", "00000000a80425fb", "warning"),
        ("kernel.arch", "x86_64", "sparc64", "error"),
        ("libc.version", "2.36", "2.17", "error"),
        ("syscall.openat2", "works", "EPERM", "error"),
        ("syscall.openat2", "works", "ENOSYS", "warning"),
        ("syscall.bpf", "works", "EPERM", "warning"),
    ],
)
def test_a_change_in_a_copy_is_found(key: str, here: str, there: str, severity: str) -> None:
    whole = once().entries
    local = Snapshot(entries=whole | {key: Entry(value=here)})
    server = Snapshot(entries=whole | {key: Entry(value=there)})
    assert matter(compare(server, local)) == {key: severity}
    assert not matter(compare(local, local))


def test_more_on_the_server_is_a_note_only() -> None:
    server = snapshot(rlimit__nofile__hard="unlimited", libc__version="2.41")
    here = snapshot(rlimit__nofile__hard="4096", libc__version="2.36")
    found = compare(server, here)
    assert {one.severity for one in found} == {"note"}
    assert len(found) == 2


def test_what_is_unknown_is_told_with_its_reason() -> None:
    server = Snapshot(entries={"clock.vdso": Entry(unknown="noexec")})
    (found,) = compare(server, snapshot(clock__vdso="yes"))[:1]
    assert "noexec" in found.message
    assert found.severity == "note"


def test_numbers_of_any_length_and_versions_compare() -> None:
    assert amount(str(2**70)) > amount(str(2**64))
    assert amount("unlimited") > amount(str(2**90))
    assert amount("2.9") < amount("2.36")
    assert amount("6.1.0-18-amd64") < amount("6.2")
    assert number(str(2**64 - 1)) is None
    assert number(str(2**70)) is None
    assert number("unlimited") is None
    assert number("4096") == 4096


def document(**changed: object) -> bytes:
    entries = {"a": {"value": "1"}, "capture.complete": {"value": "yes"}}
    return json.dumps(
        {"kind": "gotoolforge-parity", "version": 1, "entries": entries} | changed
    ).encode()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (document()[:-20], "cut off"),
        (document(version=2), "version 2"),
        (document(entries={"a": {"value": "1"}}), "cut off"),
        (document(entries={"a": 3}), "damaged"),
        (document(kind="x"), "no snapshot"),
        (b"", "no snapshot"),
        (b"\xff\x00", "no snapshot"),
        (b"[1]", "no snapshot"),
        (b"{}", "no snapshot"),
    ],
)
def test_a_bad_snapshot_is_refused_in_words(content: bytes, word: str) -> None:
    with pytest.raises(SnapshotError) as caught:
        parse_snapshot(content, "x.json")
    assert word in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("broken", ["tr", "sed"])
def test_a_shell_without_working_tools_makes_no_whole_snapshot(broken: str, tmp_path: Path) -> None:
    (tmp_path / broken).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / broken).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", SCRIPT], capture_output=True, env=env)
    with pytest.raises(SnapshotError, match="cut off"):
        parse_snapshot(done.stdout, "x")


def test_a_banner_and_last_words_around_a_snapshot_do_not_matter() -> None:
    text = b"Welcome to web1!\n{not json}\n" + document() + b"\nlogout\n"
    assert parse_snapshot(text, "x").value("a") == "1"


def test_a_made_snapshot_reads_back() -> None:
    made = snapshot(kernel__arch="x86_64")
    assert parse_snapshot(made.to_json(), "x") == made


def kernel_files(folder: Path, groups: dict[str, str], own: str) -> tuple[str, ...]:
    """A /proc and a /sys in the kernel's layout."""
    proc, sys = folder / "proc", folder / "sys"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(own)
    for name, text in groups.items():
        path = sys / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ("--proc", str(proc), "--sys", str(sys))


def test_cgroup_v2_limits_are_the_smallest_up_to_the_root(tmp_path: Path) -> None:
    files = {
        "cgroup.controllers": "cpu memory pids\n",
        "a/cpu.max": "150000 100000\n",
        "a/b/cpu.max": "max 100000\n",
        "a/memory.max": "max\n",
        "a/b/memory.max": "536870912\n",
        "a/pids.max": "100\n",
        "a/b/pids.max": "200\n",
    }
    one = captured(*kernel_files(tmp_path, files, "0::/a/b\n"))
    assert one.value("cgroup.version") == "v2"
    assert one.value("cgroup.cpu.milli") == "1500"
    assert one.value("cgroup.memory.max") == "536870912"
    assert one.value("cgroup.pids.max") == "100"


def test_cgroup_v1_without_limits_says_max(tmp_path: Path) -> None:
    files = {
        "cpu/x/cpu.cfs_quota_us": "-1\n",
        "cpu/x/cpu.cfs_period_us": "100000\n",
        "memory/x/memory.limit_in_bytes": "9223372036854771712\n",
        "pids/x/pids.max": "77\n",
    }
    own = "3:cpu,cpuacct:/x\n2:memory:/x\n1:pids:/x\n"
    one = captured(*kernel_files(tmp_path, files, own))
    assert one.value("cgroup.version") == "v1"
    assert one.value("cgroup.cpu.milli") == "max"
    assert one.value("cgroup.memory.max") == "max"
    assert one.value("cgroup.pids.max") == "77"


@pytest.mark.parametrize(
    ("allowed", "quota", "procs", "before"),
    [
        ("0-7", "250000 100000", "3", "8"),
        ("0-7", "50000 100000", "2", "8"),  # Go never takes less than 2 for a quota
        ("0-3,8,10-11", "max 100000", "7", "7"),
        ("5", "400000 100000", "1", "1"),
    ],
)
def test_what_gomaxprocs_will_be_is_said(
    tmp_path: Path, allowed: str, quota: str, procs: str, before: str
) -> None:
    files = {"cgroup.controllers": "cpu\n", "a/cpu.max": f"{quota}\n"}
    words = kernel_files(tmp_path, files, "0::/a\n")
    (tmp_path / "proc" / "self" / "status").write_text(f"Cpus_allowed_list:\t{allowed}\n")
    one = captured(*words)
    assert (one.value("go.maxprocs"), one.value("go.maxprocs_before_1_25")) == (procs, before)


def test_what_cannot_be_read_is_unknown_with_the_reason(tmp_path: Path) -> None:
    one = captured(*kernel_files(tmp_path, {}, ""))
    assert "no cgroup" in (one.entries["cgroup.version"].unknown or "")
    assert "there is no" in (one.entries["rlimit.nofile.hard"].unknown or "")
    assert "no CapEff" in (one.entries["security.cap_effective"].unknown or "")


def test_the_libc_of_a_root_folder_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "lib" / "apk" / "db").mkdir(parents=True)
    loader = tmp_path / "lib" / "ld-musl-x86_64.so.1"
    loader.write_text("#!/bin/sh\ntouch ran\n")
    loader.chmod(0o755)
    (tmp_path / "lib" / "apk" / "db" / "installed").write_text("P:musl\nV:1.2.5-r9\n\nP:x\nV:9\n")
    one = captured("--root", str(tmp_path))
    assert one.value("libc.kind") == "musl"
    assert one.value("libc.version") == "1.2.5"
    assert not Path("ran").exists()


def test_a_table_of_findings_is_markdown() -> None:
    one = Finding(check="a.b", severity="error", message="x | y", advice="z")
    assert "| error | `a.b` | x \\| y | z |" in markdown((one,))
