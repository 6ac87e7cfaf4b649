"""Running other programs whose lines are handed on while they run."""

import signal

import pytest

from gotoolforge.run import Command, Streamed

MANY = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done"


def test_lines_are_handed_on_to_the_last() -> None:
    lines: list[str] = []
    program = Streamed(Command(argv=("sh", "-c", f"{MANY}; exit 3")), lines.append)
    assert program.wait() == 3
    assert lines == [str(one) for one in range(20000)]


def test_a_line_that_cannot_be_taken_does_not_hold_the_command() -> None:
    """More than a pipe holds follows it."""

    def refuse(line: str) -> None:
        raise ValueError(line)

    program = Streamed(Command(argv=("sh", "-c", MANY)), refuse)
    with pytest.raises(ValueError, match="0"):
        program.wait()


def test_whether_it_ended_is_told_in_time() -> None:
    program = Streamed(Command(argv=("sleep", "600")), print)
    assert not program.ended(0.01)
    program.signal(signal.SIGKILL)
    assert program.ended(60)
    assert program.wait() == -signal.SIGKILL
