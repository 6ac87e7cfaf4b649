"""Writes recipes/seccomp/defaults/*.json: the default profiles of container engines, as published.

    scripts/make_default_profiles.py

Docker's and podman's come out of their Go modules as they are; containerd's is Go code, and is run
to print itself; systemd's sets are printed by the systemd-analyze of this machine. Needs Go, its
module proxy, and systemd-analyze.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "recipes" / "seccomp" / "defaults"
JSON_MODULES = [
    ("docker", "20.10.24", "github.com/docker/docker@v20.10.24+incompatible",
     "profiles/seccomp/default.json"),
    ("docker", "28.3.3", "github.com/docker/docker@v28.3.3+incompatible",
     "profiles/seccomp/default.json"),
    ("podman", "common-0.50.1", "github.com/containers/common@v0.50.1",
     "pkg/seccomp/seccomp.json"),
    ("podman", "common-0.64.2", "github.com/containers/common@v0.64.2",
     "pkg/seccomp/seccomp.json"),
]  # fmt: skip
CONTAINERD = [
    ("1.6.20", "github.com/containerd/containerd", "v1.6.20"),
    ("2.1.4", "github.com/containerd/containerd/v2", "v2.1.4"),
]
PRINTER = """package main

import (
	"encoding/json"
	"os"

	"%s/contrib/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD",
		"CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
		"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}
	process := &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}
	spec := &specs.Spec{Process: process}
	json.NewEncoder(os.Stdout).Encode(seccomp.DefaultProfile(spec))
}
"""


def write(engine: str, version: str, source: str, profile: object) -> None:
    value = {"engine": engine, "version": version, "source": source, "profile": profile}
    path = FOLDER / f"{engine}-{version}.json"
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size)


def from_json() -> None:
    for engine, version, module, inner in JSON_MODULES:
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(
                ["go", "mod", "download", "-json", module],
                cwd=scratch, check=True, capture_output=True, text=True,
            )  # fmt: skip
        folder = Path(json.loads(done.stdout)["Dir"])
        profile = json.loads((folder / inner).read_text())
        write(engine, version, f"{inner} of the Go module {module}", profile)


def from_containerd() -> None:
    for version, module, tag in CONTAINERD:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "main.go").write_text(PRINTER % module)
            for words in (["mod", "init", "printer"], ["get", f"{module}@{tag}"], ["mod", "tidy"]):
                subprocess.run(["go", *words], cwd=folder, check=True, capture_output=True)
            done = subprocess.run(
                ["go", "run", "."], cwd=folder, check=True, capture_output=True, text=True
            )
        source = f"contrib/seccomp.DefaultProfile of {module}@{tag}, run on linux/amd64"
        write("containerd", version, source, json.loads(done.stdout))


def from_systemd() -> None:
    banner = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout
    version = re.findall(r"systemd (\d+)", banner)[0]

    def members(name: str) -> set[str]:
        done = subprocess.run(
            ["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True
        )
        words = re.findall(r"^ +(@?[\w-]+)$", done.stdout, re.MULTILINE)
        inner = {call for word in words if word.startswith("@") for call in members(word)}
        return {word for word in words if not word.startswith("@")} | inner

    names = sorted(members("@system-service") | members("@default"))
    profile = {
        "defaultAction": "SCMP_ACT_KILL_PROCESS",
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    }
    source = "systemd-analyze syscall-filter @system-service: a unit has no filter by itself"
    write("systemd", f"{version}-system-service", source, profile)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    from_json()
    from_systemd()
    from_containerd()
