"""Packages of Debian's other suites, unpacked into the store and never installed: their libc.

The archive is the one that this machine's apt is configured with; its own lists stay as they are.
"""

import functools
import os
import subprocess
from pathlib import Path

from gotoolforge import distro, paths

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBC = ("libc6", "libc6-dev", "linux-libc-dev")
UPX = ("upx-ucl", "libucl1", "zlib1g", "libstdc++6", "libgcc-s1", "libc6")


@functools.cache
def unpacked(suite: str, packages: tuple[str, ...]) -> Path:
    """A folder with these packages of a suite in it; downloaded once."""
    folder = paths.store_dir() / "tests" / "suites" / suite
    root = folder / "-".join(packages)
    if root.is_dir():
        return root
    options = _lists(folder, suite)
    _run(["apt-get", *options, "-qq", "update"], folder)
    _run(["apt-get", *options, "-qq", "download", *packages], folder)
    scratch = folder / f"unpacking.{os.getpid()}"
    for name in packages:
        (deb,) = folder.glob(f"{name}_*.deb")
        _run(["dpkg-deb", "-x", str(deb), str(scratch)], folder)
    for name in ("lib", "lib64"):  # what the package base-files would bring
        if not (scratch / name).exists():
            (scratch / name).symlink_to(f"usr/{name}")
    for link in [one for one in scratch.rglob("*") if one.is_symlink()]:
        target = str(link.readlink())
        if target.startswith("/"):  # a link into the machine that unpacks becomes one inside
            link.unlink()
            link.symlink_to(os.path.relpath(f"{scratch}{target}", link.parent))
    scratch.rename(root)
    return root


def _lists(folder: Path, suite: str) -> list[str]:
    for name in ("parts", "lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    signed = f" [signed-by={_KEYRING}]" if Path(_KEYRING).is_file() else ""
    lines = [f"deb{signed} {base} {suite} main\n" for base in dict.fromkeys(distro.mirrors())]
    (folder / "parts" / "suite.list").write_text("".join(lines))
    return [
        "-o", "Dir::Etc::SourceList=/dev/null",
        "-o", "Dir::State::status=/dev/null",
        "-o", f"Dir::Etc::SourceParts={folder / 'parts'}",
        "-o", f"Dir::State::Lists={folder / 'lists'}",
        "-o", f"Dir::Cache={folder / 'cache'}",
        "-o", "Debug::NoLocking=true",
        "-o", "APT::Sandbox::User=",
        "-o", "Acquire::Languages=none",
        "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ]  # fmt: skip


def _run(argv: list[str], cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    # apt-get update of an archive that lacks the suite fails for that archive only.
    if done.returncode and "update" not in argv:
        raise AssertionError(f"{argv}: {done.stderr}")


def gcc_flags(suite: str) -> list[str]:
    """What makes this machine's GCC compile and link against the suite's glibc."""
    root = unpacked(suite, LIBC)
    library = root / "usr/lib/x86_64-linux-gnu"
    return [f"--sysroot={root}", f"-B{library}", f"-L{library}"]


def upx(out: Path, made: Path, suite: str = "trixie") -> Path:
    """`made`, packed by the suite's UPX, which runs on its own libc."""
    root = unpacked(suite, UPX)
    library = root / "usr/lib/x86_64-linux-gnu"
    loader = library / "ld-linux-x86-64.so.2"
    program = root / "usr/bin/upx-ucl"
    argv = [loader, "--library-path", library, program, "-q", "-1", "-o", out, made]
    _run([str(word) for word in argv], out.parent)
    return out
