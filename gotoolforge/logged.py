"""Long programs whose output goes to a log: the door to `sh`."""

import os
from pathlib import Path

from gotoolforge import run
from gotoolforge.errors import ToolchainError
from gotoolforge.run import Command

_TAIL_LINES = 30


def run_logged(
    command: Command, log: Path, what: str, *, pass_fds: frozenset[int] = frozenset()
) -> None:
    """Run a long command with both streams in the file `log` (appended).

    It inherits the descriptors `pass_fds`, and ends with this process, however that ends.

    Raises ToolchainError with the last lines of the log and its path if it fails.
    """
    import sh

    run.refuse_when_stopping()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(os.fsencode(f"+ {command}\n"))
        sink.flush()
        try:
            # sh's defaults are a pseudo-terminal, output kept in memory, and an error that shows
            # the first 750 bytes; a log wants none of the three.
            child = sh.Command(command.argv[0])(
                *command.argv[1:],
                _env=command.full_env(),
                _cwd=str(command.cwd) if command.cwd else None,
                _out=sink.fileno(),
                _err=sink.fileno(),
                _tty_out=False,
                _no_out=True,
                _no_err=True,
                _pass_fds=pass_fds,
                _new_session=True,
                _preexec_fn=run.ending_with_parent(),
                _bg=True,
                _bg_exc=False,
                _return_cmd=True,
            )
            with run.stoppable(child.pid):
                child.wait()
        except sh.CommandNotFound as error:
            missing = f"{what}: {command.argv[0]} is not on this machine"
            hint = "`gotoolforge doctor` names what to install"
            raise ToolchainError(missing, hint=hint) from error
        except sh.ErrorReturnCode as error:
            failed = f"{what} failed with exit code {error.exit_code}:\n{_last_lines(log)}"
            raise ToolchainError(failed, log=str(log)) from error


def _last_lines(log: Path) -> str:
    """The end of a log, where the reason usually stands."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
