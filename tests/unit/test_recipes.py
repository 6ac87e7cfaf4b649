"""Recipes are strict, `recipe check` names every mistake at once, and config.mak is understood."""

import shutil
from pathlib import Path

import pytest

from gotoolforge import cli, config_mak, holes, paths, recipe
from gotoolforge.errors import RecipeError, UnreadableError, UsageError
from gotoolforge.forge.identity import toolchain_digest
from gotoolforge.forge.recipe import load_recipe, with_flags
from gotoolforge.recipe_check import check_recipes
from gotoolforge.target import find_target

FORM = """\
name = "x"
version = "1"
licence = "MIT"
[[forms]]
file = "x.tar"
sha256 = "{}"
size = 3
urls = ["https://upstream.invalid/x.tar"]
""".format("0" * 64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of recipes/ that a test may spoil."""
    copy = tmp_path / "recipes"
    shutil.copytree(paths.recipes_dir(), copy)
    monkeypatch.setattr(paths, "recipes_dir", lambda: copy)
    return copy


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("sha256", "sha255", "sha25"),
        ('sha256 = "0', 'sha256 = "A', "sha256"),
        ("size = 3", 'size = "3"', "size"),
        ("size = 3", "size = -3", "size"),
        ("size = 3", "weight = 3", "weight"),
        ("https://upstream.invalid", "ftp://upstream.invalid", "urls"),
        ("https://upstream.invalid", "https://", "urls"),
        ('urls = ["https://upstream.invalid/x.tar"]', "", "urls"),
        ('file = "x.tar"', 'file = "../x.tar"', "file"),
        ("size = 3", 'host = "linux"\nsize = 3', "host"),
        ("size = 3", 'fixups = [{file = "../y", content = "z"}]\nsize = 3', "fixups"),
        ("size = 3", 'root = "/etc"\nsize = 3', "root"),
        ("[[forms]]", "[forms]", "forms"),
        ('name = "x"', "name = x", "x.toml"),
    ],
)
def test_a_wrong_source_does_not_load(folder: Path, before: str, after: str, words: str) -> None:
    path = folder / "sources" / "x.toml"
    path.write_text(FORM)
    assert recipe.load_source("x").version == "1"
    path.write_text(FORM.replace(before, after))
    with pytest.raises(RecipeError) as caught:
        recipe.load_source("x")
    assert "x.toml" in caught.value.what
    assert words in caught.value.what


def test_the_recipes_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    count, wrong = check_recipes()
    assert not wrong
    assert count > 20
    assert cli.main(["recipe", "check", "--json"]) == 0
    assert '"findings": []' in capsys.readouterr().out


def test_every_mistake_is_named_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sources" / "x.toml").write_text(FORM.replace("https", "ftp"))
    (folder / "targets.toml").write_text("targets = 1\n")
    (folder / "holes.toml").write_bytes(b"\xff")
    assert cli.main(["recipe", "check"]) == RecipeError.exit_code
    said = capsys.readouterr().out
    assert all(name in said for name in ("sources/x.toml", "targets.toml", "holes.toml"))


def test_patches_and_pins_are_held_together(folder: Path) -> None:
    table = folder / "holes.toml"
    table.write_text(table.read_text().replace("0002-qsort.patch", "0009-nosuch.patch"))
    (folder / "patches" / "musl-1.2.5" / "0003-idle.patch").write_text("")
    (folder / "sources" / "x.toml").write_text(FORM)
    (folder / "sources" / "y.toml").write_text(FORM)
    said = [one.message for one in check_recipes()[1]]
    assert any("0009-nosuch.patch" in one for one in said)
    assert any("0003-idle.patch" in one for one in said)
    assert any("y.toml" in one and "same sha256" not in one for one in said)


def test_an_unreadable_recipe_is_said(folder: Path) -> None:
    (folder / "sources" / "musl.toml").unlink()
    with pytest.raises(RecipeError, match=r"musl\.toml: cannot be read"):
        recipe.load_source("musl")


def test_config_mak_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.mak"
    path.write_text(
        "# a comment\nARCH = x86_64\nTARGET = $(ARCH)-linux-musl  # the usual one\n"
        "GCC_VER := 9.4.0\nGCC_VER ?= 8\nMUSL_VER = 1.2.5\nOUTPUT = /opt/cross\n"
        "COMMON_CONFIG += --disable-nls\nCOMMON_CONFIG += \\\n  --with-foo \\\n  --with-bar\n"
        "GCC_CONFIG = --enable-languages=c,c++ CFLAGS='-g0 -Os' '--with-quux=a b'\n"
        "DL_CMD = curl -C - -L -o\n"
        "ifeq ($(X),1)\nendif\nHERE = $(shell pwd)\n"
    )
    config = config_mak.read_config_mak(path)
    assert config.target == "x86_64-linux-musl"
    assert config.output == "/opt/cross"
    assert config.versions == {"gcc": "9.4.0", "musl": "1.2.5"}
    both = ("--disable-nls", "--with-foo", "--with-bar")
    assert config.configure == {"binutils": both, "gcc": (*both, "--with-quux=a b")}
    unknown = "\n".join(config.unknown)
    words = ("DL_CMD", "ARCH", "line 14", "line 15", "HERE", "--enable-languages", "CFLAGS=-g0 -Os")
    assert all(word in unknown for word in words)
    pinned = {name: recipe.load_source(name).version for name in load_recipe().sources}
    said = config_mak.differences(config, pinned)
    assert any("gcc 9.4.0" in one for one in said)
    assert not any("musl 1.2.5" in one for one in said)


def test_flags_of_a_users_own_make_a_toolchain_of_its_own() -> None:
    forge, target = load_recipe(), find_target("amd64")
    other = with_flags(forge, {"gcc": ("--with-foo",)})
    assert other.gcc.configure == (*forge.gcc.configure, "--with-foo")
    assert other.musl == forge.musl
    digests = {toolchain_digest(one, target, ("c",)) for one in (forge, other)}
    assert len(digests) == 2


def test_a_config_mak_without_target_or_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "config.mak"
    with pytest.raises(UnreadableError):
        config_mak.read_config_mak(path)
    path.write_text("GCC_VER = 9\n")
    with pytest.raises(UsageError, match="TARGET"):
        config_mak.require_target(config_mak.read_config_mak(path), path)
    assert cli.main(["toolchain", "build", "--config-mak", str(path)]) == UsageError.exit_code


def test_holes_of_tools_are_kept_apart_from_those_of_programs() -> None:
    old = [("binutils", "2.44", ()), ("gcc", "13.2.0", ()), ("musl", "1.2.1", ())]
    programs = {one.id for one in holes.open_holes(old)}
    tools = {one.id for one in holes.open_holes(old, "tools")}
    assert {"CVE-2023-4039", "CVE-2020-28928", "CVE-2026-40200"} <= programs
    assert "CVE-2019-14697" not in programs
    assert {"CVE-2025-5244", "CVE-2025-11083"} <= tools
    assert not programs & tools
    new = [("binutils", "2.46", ()), ("gcc", "14.2.0", ())]
    assert not [*holes.open_holes(new), *holes.open_holes(new, "tools")]
