"""One root error, one exit code a reason. Raised deep, printed once (by `cli`).

Exit codes 0 to 3 are fixed words of `verify`: passed, findings, misuse, could not read.
A finding is not an exception; see `gotoolforge.finding`.
"""

EXIT_OK = 0
EXIT_FINDINGS = 1


class GotoolforgeError(Exception):
    """What happened and why; `hint` says what to do next, `log` where the whole story lies."""

    exit_code = 70

    def __init__(self, what: str, *, hint: str = "", log: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.log = log


class UsageError(GotoolforgeError):
    """The words on the command line, or in a settings file, do not fit together."""

    exit_code = 2


class UnreadableError(GotoolforgeError):
    """A file that should be looked at cannot be read."""

    exit_code = 3


class TargetError(GotoolforgeError):
    """No such target, or one that the installed Go cannot build for."""

    exit_code = 10


class GoError(GotoolforgeError):
    """No usable Go: none found, too old for the module, or not to be had."""

    exit_code = 11


class PlanError(GotoolforgeError):
    """`go list` could not say what the program is made of."""

    exit_code = 12


class BuildError(GotoolforgeError):
    """`go build` failed; its own message has already been shown."""

    exit_code = 13


class ToolchainError(GotoolforgeError):
    """No C toolchain of the wanted family for this target, or it cannot do what is asked."""

    exit_code = 14


class FetchError(GotoolforgeError):
    """A file could not be had: no network, a wrong digest, nothing at any place."""

    exit_code = 15


class OutputError(GotoolforgeError):
    """The result cannot be written where it should go."""

    exit_code = 16


class RecipeError(GotoolforgeError):
    """A data file (recipe, target table, policy) is wrong; names file and key."""

    exit_code = 17


class RefusedError(GotoolforgeError):
    """Asked for something that cannot give a binary free of the host's libc."""

    exit_code = 18


class EmulatorError(GotoolforgeError):
    """A foreign program should run and there is no emulator for it."""

    exit_code = 19


class StoreError(GotoolforgeError):
    """The store cannot be read or written."""

    exit_code = 20


class UnprovenError(GotoolforgeError):
    """It could not be tried here: neither a pass nor a finding."""

    exit_code = 21


class CaptureError(GotoolforgeError):
    """A machine could not be captured: ssh failed, or the script gave no snapshot."""

    exit_code = 31


class SnapshotError(GotoolforgeError):
    """A file is no snapshot that this version reads."""

    exit_code = 32


class ProcessError(GotoolforgeError):
    """A process to look at is not there, has ended, or may not be looked at."""

    exit_code = 33


class ApplyError(GotoolforgeError):
    """What should be applied to a program cannot be, and without it the run would tell nothing."""

    exit_code = 34


class PprofError(GotoolforgeError):
    """A Go program's pprof address does not tell what the runtime says."""

    exit_code = 35


class InterruptedRunError(GotoolforgeError):
    """Stopped by a signal; 128 + SIGINT, as shells say it."""

    exit_code = 130
