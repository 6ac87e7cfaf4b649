"""The mouth: every command explains itself, exit codes are documented, completion is complete."""

import re
import subprocess
from pathlib import Path

import pytest

from gotoolforge import cli, errors

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: gotoolforge {command}")


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
