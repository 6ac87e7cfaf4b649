"""The mouth: every command explains itself, exit codes are documented, completion is complete."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gotoolforge import cli, errors
from gotoolforge.console import Console

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: gotoolforge {command}")


def unexplained(parser: argparse.ArgumentParser, words: str) -> list[str]:
    """Every option of a command and its verbs without a word of help."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, one in action.choices.items():
                found += unexplained(one, f"{words} {verb}")
        elif not action.help:
            found.append(f"{words} {action.option_strings or action.dest}")
    return found


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_option_says_what_it_is_for(command: str) -> None:
    (verbs,) = (one for one in cli.make_parser(command)._actions if one.dest == "command")
    assert isinstance(verbs, argparse._SubParsersAction)
    assert not unexplained(verbs.choices[command], command)


@pytest.mark.parametrize("text", [cli.EPILOG, README], ids=["--help", "README"])
def test_every_exit_code_is_documented(text: str) -> None:
    (listed,) = re.findall(r"0 passed;.*?130 interrupted", text, re.S)
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    codes = {
        one.exit_code
        for one in kinds
        if issubclass(one, errors.GotoolforgeError) and one is not errors.GotoolforgeError
    }
    assert codes | {0, 1} == {int(number) for number in re.findall(r"(\d+) [a-zA-Z`]", listed)}


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in cli.COMMANDS)
    assert "with-prefix" in said


def test_bash_completes_a_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cli.main(["completion", "bash"])
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    ask = (
        f'source "{script}"; COMP_WORDS=(gotoolforge build --stack); COMP_CWORD=2; '
        "COMP_LINE='gotoolforge build --stack'; COMP_POINT=${#COMP_LINE}; "
        "$(complete -p gotoolforge | sed 's/.*-F \\([^ ]*\\).*/\\1/') gotoolforge --stack build; "
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True)
    assert done.stdout.split() == ["--stack-size"], done.stderr


def test_an_unknown_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["nosuch"])
    assert ended.value.code == errors.UsageError.exit_code
    assert "nosuch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [(["targets"], 0), (["--version"], 0), (["no-such"], 2), (["verify", "/nowhere"], 3)],
)
def test_the_program_ends_with_the_commands_code(words: list[str], code: int) -> None:
    argv = [sys.executable, "-m", "gotoolforge", *words]
    assert subprocess.run(argv, capture_output=True).returncode == code


def test_output_that_cannot_be_written_is_said() -> None:
    argv = [sys.executable, "-m", "gotoolforge", "targets"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == errors.OutputError.exit_code
    assert done.stderr.startswith("error: cannot write the output: No space left on device\n")


def test_many_files_are_answered_in_the_order_given(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = [str(tmp_path / f"{number}") for number in range(60, 0, -1)]
    for name in names[::2]:
        Path(name).write_bytes(b"\x7fELF")
    assert cli.main(["verify", "--json", *names]) == errors.UnreadableError.exit_code
    said = capsys.readouterr()
    files = json.loads(said.out)["files"]
    assert [one["path"] for one in files] == names
    assert ["No such file" in one["error"] for one in files] == [False, True] * 30
    assert said.err.startswith("verify 60 files ...\n")


def test_a_reader_who_went_away_is_no_pass() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "gotoolforge", "targets"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


def test_a_line_names_its_target_once(capsys: pytest.CaptureFixture[str]) -> None:
    said = Console().labelled("arm")
    said.say("arm: forged")
    said.say("unpack")
    assert capsys.readouterr().err == "[arm] forged\n[arm] unpack\n"
