"""Go's quoting and flags: parted from ours, merged, refused."""

import pytest

from gotoolforge.errors import RefusedError, UsageError
from gotoolforge.goflags import (
    GoFlag,
    GoFlags,
    join_quoted,
    parse_goflags,
    refuse_impossible,
    split_quoted,
    take_go_flags,
)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", []),
        ("-s -w", ["-s", "-w"]),
        ("-X 'main.v=a b' -s", ["-X", "main.v=a b", "-s"]),
        ('-extldflags "-static -lm"', ["-extldflags", "-static -lm"]),
        ("a'b c", ["a'b", "c"]),
        ("  x\ty\n", ["x", "y"]),
    ],
)
def test_split_as_go_does(text: str, fields: list[str]) -> None:
    assert split_quoted(text) == fields
    assert split_quoted(join_quoted(fields)) == fields


def test_an_open_quote_is_misuse() -> None:
    with pytest.raises(UsageError):
        split_quoted("-X 'main.v")


def test_go_flags_are_parted_from_ours() -> None:
    words = ["--target", "amd64", "-v", "-tags", "a,b", "-ldflags=-s -w", "--json", "-json", "./x"]
    flags, rest = take_go_flags(words, frozenset({"--target", "--json"}))
    assert [str(flag) for flag in flags] == ["-v", "-tags=a,b", "-ldflags=-s -w", "-json"]
    assert rest == ["--target", "amd64", "--json", "./x"]


def test_words_after_two_dashes_are_left_alone() -> None:
    assert take_go_flags(["--", "-v"], frozenset()) == ([], ["--", "-v"])


def test_a_flag_without_its_value_is_misuse() -> None:
    with pytest.raises(UsageError):
        take_go_flags(["-ldflags"], frozenset())


@pytest.mark.parametrize("mode", ["c-shared", "c-archive", "plugin", "shared", "archive"])
def test_build_modes_without_a_static_program_are_refused(mode: str) -> None:
    with pytest.raises(RefusedError, match=mode):
        refuse_impossible(GoFlags(from_line=(GoFlag("buildmode", mode),)))


@pytest.mark.parametrize("name", ["race", "msan", "asan", "linkshared"])
def test_sanitizers_are_refused_unless_switched_off(name: str) -> None:
    with pytest.raises(RefusedError, match=name):
        refuse_impossible(GoFlags(from_line=(GoFlag(name),)))
    refuse_impossible(GoFlags(from_line=(GoFlag(name, "false"),)))


def test_toolexec_is_refused_in_goflags_too() -> None:
    flags = GoFlags(from_env=parse_goflags("-toolexec=/bin/spy"))
    with pytest.raises(RefusedError, match="GOFLAGS"):
        refuse_impossible(flags)
    refuse_impossible(flags, allow_toolexec=True)
