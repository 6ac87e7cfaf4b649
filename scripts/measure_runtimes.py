"""Measures what OCI runtimes call between installing a filter and starting the program.

    scripts/measure_runtimes.py        # root, strace, Go, and crun or runc

Prints rows for recipes/seccomp/runtimes.toml. Each runtime makes and starts a container whose
profile allows everything, under strace: by `run` and, as engines do, by `create` and `start`; with
no-new-privileges and without (the filter is then installed earlier); as root and as another user.
What counts is every call of the process that installed the filter, in any of its threads, from then
up to its execve.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from gotoolforge.seccomp import numbers

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")
# crun refuses a machine with both kinds of cgroups; in a mount namespace of its own it sees one.
ALONE = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"]
FLAGS = {"crun": ["--cgroup-manager=disabled"]}
PROFILE = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"]}


def bundle(folder: Path, *, no_new_privs: bool, user: int) -> Path:
    root = folder / "rootfs"
    root.mkdir(parents=True)
    source = folder / "true.go"
    source.write_text("package main\n\nfunc main() {}\n")
    env = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", root / "true", source], env=env, check=True)
    subprocess.run(["runc" if shutil.which("runc") else "crun", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"]["args"] = ["/true"]
    config["process"]["terminal"] = False
    config["process"]["user"] = {"uid": user, "gid": user, "additionalGids": [user + 1]}
    config["process"]["noNewPrivileges"] = no_new_privs
    every = sorted(numbers.calls_of("amd64"))
    config["linux"]["seccomp"] = {**PROFILE, "syscalls": [
        {"names": every, "action": "SCMP_ACT_ALLOW"}]}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def started(runtime: str, folder: Path, log: Path, *, at_once: bool) -> str:
    """What strace says of the making and starting of a container."""
    tool = [*ALONE, runtime, *FLAGS.get(runtime, [])]
    name = f"measure{time.monotonic_ns()}"
    traced = [*ALONE, "strace", "-f", "-qq", "-o", str(log), runtime, *FLAGS.get(runtime, [])]
    if at_once:
        subprocess.run([*traced, "run", "-b", str(folder), name], check=True)
    else:
        # strace stays until the container ends, which it does when it has been started.
        making = subprocess.Popen([*traced, "create", "-b", str(folder), name])
        while '"created"' not in subprocess.run([*tool, "state", name], capture_output=True,
                                                text=True).stdout:  # fmt: skip
            time.sleep(0.1)
        subprocess.run([*tool, "start", name], check=True)
        making.wait()
        subprocess.run([*tool, "delete", "-f", name], check=True)
    return log.read_text(errors="replace")


def between(log: str) -> set[str]:
    """The calls from the filter to the start of the program."""
    found: set[str] = set()
    installer = ""
    groups: dict[str, str] = {}
    for line in log.splitlines():
        one = LINE.match(line)
        if not one:
            continue
        process, name, rest = one.groups()
        made = re.search(r"= (\d+)$", rest)
        if name in ("clone", "clone3") and "CLONE_THREAD" in line and made:
            groups[made[1]] = groups.get(process, process)
        leader = groups.get(process, process)
        # Runtimes also try with a null pointer, to see whether the kernel can.
        if re.search(r"(SECCOMP_SET_MODE_FILTER|PR_SET_SECCOMP).*\{len=", line):
            installer = leader
            found.clear()
        elif installer == leader:
            found.add(name)
            if name == "execve" and '"/true"' in line:
                return found
    raise SystemExit("the log shows no filter, or no start behind it")


def main() -> None:
    for runtime in ("crun", "runc"):
        if not shutil.which(runtime):
            continue
        banner = subprocess.run([runtime, "--version"], capture_output=True, text=True).stdout
        version = re.findall(r"version (\S+)", banner)[0]
        calls: set[str] = set()
        ways = itertools.product((True, False), (0, 1000), (True, False))
        for no_new_privs, user, at_once in ways:
            with tempfile.TemporaryDirectory() as scratch:
                # where another user may look for its program
                Path(scratch).chmod(0o755)
                folder = bundle(Path(scratch) / "bundle", no_new_privs=no_new_privs, user=user)
                log = started(runtime, folder, Path(scratch) / "log", at_once=at_once)
                some = between(log)
                print(f"# {runtime} {version} no-new-privileges={no_new_privs} user={user} "
                      f"{'run' if at_once else 'create, start'}: {len(some)}")  # fmt: skip
                calls |= some
        print(f'[[runtime]]\nname = "{runtime}"\nversion = "{version}"')
        print(f"calls = {json.dumps(sorted(calls))}\n")


if __name__ == "__main__":
    main()
