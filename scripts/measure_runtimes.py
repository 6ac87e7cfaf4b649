"""Measures what OCI runtimes call between installing a filter and starting the program.

    scripts/measure_runtimes.py        # root, strace, and crun or runc

Prints rows for recipes/seccomp/runtimes.toml. Each runtime runs a container whose profile allows
everything, once with no-new-privileges and once without (the filter is then installed earlier),
under strace; what counts is every call of the process that installed the filter, in any of its
threads, from then up to its execve.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gotoolforge.seccomp import numbers

LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")
# crun refuses a machine with both kinds of cgroups; in a mount namespace of its own it sees one.
ALONE = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"]
FLAGS = {"crun": ["--cgroup-manager=disabled"]}
PROFILE = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"]}


def bundle(folder: Path, *, no_new_privs: bool) -> Path:
    root = folder / "rootfs"
    root.mkdir(parents=True)
    source = folder / "true.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-static",
         source, "-o", root / "true"], check=True,
    )  # fmt: skip
    subprocess.run(["runc" if shutil.which("runc") else "crun", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"]["args"] = ["/true"]
    config["process"]["terminal"] = False
    config["process"]["noNewPrivileges"] = no_new_privs
    every = sorted(numbers.calls_of("amd64"))
    config["linux"]["seccomp"] = {**PROFILE, "syscalls": [
        {"names": every, "action": "SCMP_ACT_ALLOW"}]}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


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
        for no_new_privs in (True, False):
            with tempfile.TemporaryDirectory() as scratch:
                folder = bundle(Path(scratch) / "bundle", no_new_privs=no_new_privs)
                log = Path(scratch) / "log"
                subprocess.run(
                    [*ALONE, "strace", "-f", "-qq", "-o", log, runtime, *FLAGS.get(runtime, []),
                     "run", "-b", folder, f"measure{no_new_privs}"], check=True,
                )  # fmt: skip
                some = between(log.read_text(errors="replace"))
                print(f"# {runtime} {version} no-new-privileges={no_new_privs}: {len(some)}")
                calls |= some
        print(f'[[runtime]]\nname = "{runtime}"\nversion = "{version}"')
        print(f"calls = {json.dumps(sorted(calls))}\n")


if __name__ == "__main__":
    main()
