"""The one door to the machine's libseccomp: which names it knows. Runtimes skip the others."""

import ctypes
import ctypes.util
from collections.abc import Iterable

_UNKNOWN = -1


def unknown_here(names: Iterable[str]) -> tuple[str, ...] | None:
    """The names that the local libseccomp does not know; None if there is no libseccomp here."""
    found = ctypes.util.find_library("seccomp")
    if found is None:
        return None
    library = ctypes.CDLL(found)
    resolve = library.seccomp_syscall_resolve_name
    resolve.argtypes, resolve.restype = [ctypes.c_char_p], ctypes.c_int
    return tuple(sorted(name for name in names if resolve(name.encode()) == _UNKNOWN))


def version() -> str:
    """The local libseccomp's version, `2.5.4`; empty if there is none."""
    found = ctypes.util.find_library("seccomp")
    if found is None:
        return ""
    library = ctypes.CDLL(found)

    class Version(ctypes.Structure):
        _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))

    library.seccomp_version.restype = ctypes.POINTER(Version)
    one = library.seccomp_version().contents
    return f"{one.major}.{one.minor}.{one.micro}"
