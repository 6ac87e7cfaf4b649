"""The checks, one by one, on facts made up for each; and the forms in which findings are told."""

import io
import json
import os
import runpy
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

from gotoolforge import cli, paths
from gotoolforge.blame import load_blame, owner_of
from gotoolforge.dynsym import Symbol
from gotoolforge.elf import ElfFacts
from gotoolforge.errors import RecipeError
from gotoolforge.goelf import CgoCall, GoFacts
from gotoolforge.judgement import Subject, judge
from gotoolforge.policy import load_checks, load_policy
from gotoolforge.target import find_target
from gotoolforge.witness import Witness

PLAIN = ElfFacts(
    type="DYN", machine="EM_X86_64", system="", bits=64, order="little", flags=0, entry=1,
    interpreter="/lib64/ld-linux-x86-64.so.2", needed=("libc.so.6",), soname=None, rpath=None,
    runpath=None, versions=(("libc.so.6", "GLIBC_2.4"), ("libc.so.6", "GLIBC_2.34")),
    dynamic_symbols=(Symbol(name="pthread_create", version="GLIBC_2.34", library="libc.so.6"),),
    offers=(), notes=(), has_dynamic=True, is_pie=True, relro="full", text_relocations=False,
    stack_size=0, stack_executable=False, debug_only=False, sections=(), symbols=(), strings=(),
    entry_code="", packed=False, go=None,
)  # fmt: skip
GO = GoFacts(version="go1.27", path="", module="", settings={"CGO_ENABLED": "1"}, deps=(),
             text=None, functions=())  # fmt: skip


def checks(policy: str = "glibc-2.34", verdict: str = "glibc-dynamic", linkage: str = "dynamic",
           **change: object) -> list[str]:  # fmt: skip
    extra = {name: change.pop(name) for name in ("witnesses", "target") if name in change}
    facts = msgspec.structs.replace(PLAIN, **change)
    subject = Subject(verdict=verdict, linkage=linkage, facts=facts, **extra)  # type: ignore[arg-type]
    return [one.check for one in judge(subject, load_policy(policy))]


def test_a_plain_file_has_no_finding() -> None:
    assert checks() == []


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("verdict-musl-dynamic", {"verdict": "musl-dynamic"}),
        ("verdict-glibc-dynamic", {"policy": "no-host-libc"}),
        ("floor-too-new", {"policy": "glibc-2.28"}),
        ("witness-disagrees", {"witnesses": (Witness(name="readelf", state="contradicts"),)}),
        ("wrong-machine", {"target": find_target("arm64")}),
        ("wrong-system", {"system": "freebsd"}),
        ("stack-executable", {"stack_executable": True}),
        ("text-relocations", {"text_relocations": True}),
        ("runpath-of-builder", {"runpath": "$ORIGIN/lib:/home/me/lib"}),
        ("stack-small", {"verdict": "musl-static", "linkage": "static", "go": GO}),
        (
            "glibc-only-symbols",
            {"verdict": "musl-dynamic", "dynamic_symbols": (Symbol(name="__printf_chk"),)},
        ),
    ],
)
def test_each_check_finds_what_it_asks_for(check: str, change: dict[str, object]) -> None:
    assert check in checks(**change)  # type: ignore[arg-type]


def test_a_floor_compares_numbers_and_names_the_symbol() -> None:
    found = judge(
        Subject(verdict="glibc-dynamic", linkage="dynamic", facts=PLAIN), load_policy("glibc-2.5")
    )
    assert [one.message for one in found] == [
        "it asks libc.so.6 for GLIBC_2.34 for pthread_create; at most GLIBC_2.5 is allowed"
    ]


POLICY = """name = "mine"
describes = "is mine"
interpreters = ["/lib64/*"]
needed = ["libc.so.?"]
[verdict.glibc-dynamic]
judgement = "pass"
[versions]
CXXABI = "1.3"
[checks]
stack-executable = "error"
not-trimmed = "note"
"""


def test_a_policy_of_ones_own_allows_and_overrules(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(POLICY)
    assert checks(str(path)) == []
    assert checks(str(path), stack_executable=True, go=GO) == ["stack-executable", "not-trimmed"]
    assert checks(str(path), interpreter="/lib/x", needed=("libm.so.6",)) == [
        "interpreter-not-allowed", "needed-not-allowed",
    ]  # fmt: skip
    newer = (("libstdc++.so.6", "CXXABI_1.3.9"),)
    assert checks(str(path), versions=newer) == ["version-not-allowed"]
    path.write_text(POLICY + 'nosuch = "off"\n')
    with pytest.raises(RecipeError, match="nosuch"):
        load_policy(str(path))


def test_the_readme_s_policy_is_one(tmp_path: Path) -> None:
    lines = (Path(__file__).parents[2] / "README.md").read_text().splitlines()
    begin = lines.index('    name = "servers"')
    path = tmp_path / "servers.toml"
    path.write_text("\n".join(lines[begin : lines.index("", begin)]))
    policy = load_policy(str(path))
    assert policy.versions == {"GLIBC": "2.28", "GLIBCXX": "3.4.25"}
    assert policy.verdict["glibc-dynamic"].judgement == "warn"
    found = judge(Subject(verdict="glibc-dynamic", linkage="dynamic", facts=PLAIN), policy)
    assert [one.check for one in found if one.severity == "error"] == ["floor-too-new"]
    path.write_text("name = 3")
    with pytest.raises(RecipeError) as wrong:
        load_policy(str(path))
    assert "judgement (pass, warn or fail)" in wrong.value.hint


def test_every_verdict_has_a_check_and_every_check_is_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in load_checks():
        assert cli.main(["verify", "--explain", name]) == 0
        assert load_checks()[name].why in capsys.readouterr().out
    assert cli.main(["verify", "--explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(load_checks())
    assert cli.main(["verify", "--explain", "nosuch"]) == 2
    assert cli.main(["verify"]) == 2


def test_the_published_schema_is_what_the_structs_say_and_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = runpy.run_path(str(paths.recipes_dir().parent / "scripts" / "make_schemas.py"))
    assert made["PATH"].read_bytes() == made["schema"]()
    assert cli.main(["verify", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    (tmp_path / "text").write_text("hello")
    files = [sys.executable, str(tmp_path / "text"), str(tmp_path / "missing")]
    assert cli.main(["verify", "--json", *files]) == 3
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema)
    assert [one["verdict"] for one in document["files"]][1:] == ["not-executable", None]


def test_sarif_has_a_rule_for_each_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a b").write_text("hello")
    assert cli.main(["verify", "--sarif", str(tmp_path / "a b"), str(tmp_path / "missing")]) == 3
    document = json.loads(capsys.readouterr().out)
    (run,) = document["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    # What GitHub's code scanning asks of each (sarif-multitool validate --rule-kind Ghas).
    wanted = {"shortDescription", "fullDescription", "help"}
    assert all(wanted <= set(rule) for rule in run["tool"]["driver"]["rules"])
    assert [one["ruleId"] for one in run["results"]] == ["verdict-not-executable", "unreadable"]
    assert {one["ruleId"] for one in run["results"]} <= rules
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place.endswith("a%20b")


def test_names_that_are_no_text_are_told_by_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff\x1b[31m")
    path.write_text("hello")
    for form in ("--json", "--sarif"):
        assert cli.main(["verify", form, str(path)]) == 1
        assert "bad" in json.dumps(json.loads(capsys.readouterr().out))
    assert cli.main(["verify", str(path)]) == 1
    said = capsys.readouterr().err
    assert "\\x1b[31m: not-executable" in said
    assert "\x1b" not in said


def test_a_list_on_stdin_is_of_lines_or_of_print0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b\nc"):
        (tmp_path / name).write_text("hello")
    for text, count in ((f"{tmp_path}/a\n\n", 1), (f"{tmp_path}/a\0{tmp_path}/b\nc\0", 2)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert cli.main(["verify", "--json", "-"]) == 1
        assert len(json.loads(capsys.readouterr().out)["files"]) == count


def test_a_package_that_calls_c_owns_its_symbols() -> None:
    go = msgspec.structs.replace(GO, cgo_calls=(CgoCall("os/user", "mygetpwuid_r"),))
    facts = msgspec.structs.replace(PLAIN, go=go)
    assert owner_of("getpwuid_r", facts, load_blame()) == "os/user"
    assert owner_of("getpwuid_r", PLAIN, load_blame()) == ""
