"""The probe that the script carries for each foreign machine, run under qemu-user."""

import base64
import subprocess
from pathlib import Path

import pytest

from gotoolforge.emulator import runner
from gotoolforge.parity.probe import MACHINES, machine_target
from gotoolforge.target import find_target

from .conftest import Run

pytestmark = [pytest.mark.parity, pytest.mark.emulation]

WORDS = {"works", "ENOSYS", "EPERM", "EACCES", "killed"}
# Calls that qemu has known for years on every machine: any other answer is a wrong number.
KNOWN = ("statx", "getrandom", "memfd_create", "copy_file_range")
TIME64 = ("clock_gettime64", "futex_time64", "ppoll_time64", "clock_nanosleep_time64")
FOREIGN = [name for name, target in MACHINES.items() if not find_target(target).is_native]
# Building musl for a machine costs most of a minute of one processor: two are enough each time.
SOME = [
    pytest.param(name, marks=[] if name in {"aarch64", "i386"} else pytest.mark.long)
    for name in FOREIGN
]


@pytest.mark.parametrize("machine", SOME)
def test_the_carried_probe_answers_on_its_machine(tool: Run, tmp_path: Path, machine: str) -> None:
    done = tool("parity", "script", "--arch", machine)
    assert done.returncode == 0, done.stderr
    text = done.stdout.partition(f"probe_{machine}='")[2].partition("'")[0]
    probe = tmp_path / "probe"
    probe.write_bytes(base64.b64decode(text, validate=True))
    probe.chmod(0o755)
    target = machine_target(machine)
    ran = subprocess.run([*runner(target), probe], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    found = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    calls = {key.partition(".")[2]: word for key, word in found.items() if key.startswith("sys")}
    assert set(calls.values()) <= WORDS
    assert {calls[name] for name in KNOWN} == {"works"}
    assert {"clone3", "openat2", "faccessat2", "futex_waitv", "io_uring_setup"} <= set(calls)
    for name in TIME64:
        assert calls.get(name) == ("works" if target.elf.bits == 32 else None), name
    assert found["userns.create"] in WORDS
    assert found["clock.vdso"] in {"yes", "no"}
    assert int(found["clock.call_ns"]) > 0
    assert int(found["clock.syscall_ns"]) > 0
