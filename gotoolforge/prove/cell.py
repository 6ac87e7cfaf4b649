"""The inside of a cell: a process that shuts itself in and becomes the program.

Run as `python cell.py ORDER.json`; imports nothing of gotoolforge, since it is started on its own.
The order names a root folder, files to show in it, and the words to run. What goes wrong is written
to the order's `status` file, and so is that it was started; nothing there proves nothing.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

_NEWNS, _NEWUTS, _NEWIPC = 0x00020000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_SET_PDEATHSIG = 1
_covered: set[Path] = set()
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Follow the order; does not return."""
    order = json.loads(Path(sys.argv[1]).read_text())
    status = os.open(order["status"], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    stage = "namespaces"
    try:
        _unshare(network=order["network"])
        stage = "mounts"
        root = order["root"]
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
        _mount(root, root, "", _MS_BIND | _MS_REC)
        for source, place in order["show"]:
            _show(root, source, place, order["writable"])
        stage = "root"
        os.chroot(root)
        os.chdir("/")
        stage = "exec"
        # The new process namespace holds children only; a child that is alone in it is its init.
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            _be_init(order["argv"], order["env"], told)
        os.close(told)
        # The kernel closes the pipe when it starts the program; words in it say why it could not.
        why = os.read(heard, 4096).decode()
        news = {"stage": "exec", "why": why} if why else {"stage": "started"}
        os.write(status, json.dumps(news).encode())
        _, code = os.waitpid(child, 0)
        _end(code)
    except OSError as error:
        os.write(status, json.dumps({"stage": stage, "why": str(error)}).encode())
        os._exit(125)


def _be_init(argv: list[str], env: dict[str, str], told: int) -> NoReturn:
    """Process 1 of the cell: the kernel spares it signals, which the program must not be spared."""
    # Whoever ends the cell ends its first process, and with it all that runs there.
    _libc.prctl(_SET_PDEATHSIG, signal.SIGKILL)
    child = os.fork()
    if child == 0:
        _become(argv, env, told)
    os.close(told)
    while True:
        ended, code = os.wait()
        if ended == child:
            _end(code)


def _become(argv: list[str], env: dict[str, str], told: int) -> NoReturn:
    try:
        # Python ignores SIGPIPE and SIGXFSZ; what it starts should not.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execve(argv[0], argv, env)  # noqa: S606
    except BaseException as error:
        os.write(told, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(126)


def _end(code: int) -> NoReturn:
    if os.WIFSIGNALED(code):
        os._exit(128 + os.WTERMSIG(code))
    os._exit(os.WEXITSTATUS(code))


def _unshare(*, network: bool) -> None:
    spaces = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | (0 if network else _NEWNET)
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(spaces | _NEWUSER) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        return
    refused = ctypes.get_errno()
    # Root in a container may have no user namespaces and yet be allowed the others.
    if user != 0 or _libc.unshare(spaces) != 0:
        raise OSError(refused, f"unshare: {os.strerror(refused)}")


def _mount(source: str, place: str, kind: str, flags: int) -> None:
    if (
        _libc.mount(os.fsencode(source), os.fsencode(place), kind.encode() or None, flags, None)
        != 0
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {place}: {os.strerror(number)}")


def _show(root: str, source: str, place: str, writable: bool) -> None:
    """Bind a file or folder to a place in the root, on a tmpfs where the root lacks the place.

    A root that is somebody's is never written to.
    """
    path = Path(root + place)
    if not path.exists():
        folder = path.parent
        if writable:
            folder.mkdir(parents=True, exist_ok=True)
        elif folder not in _covered:
            _mount("tmpfs", str(folder), "tmpfs", 0)
            _covered.add(folder)
        path.mkdir() if Path(source).is_dir() else path.touch()
    _mount(source, str(path), "", _MS_BIND | _MS_REC)


if __name__ == "__main__":
    main()
