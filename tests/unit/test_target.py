"""Every usual spelling of a target, and the nearest names for one that does not exist."""

import pytest

from gotoolforge.errors import TargetError
from gotoolforge.target import find_target, load_targets, spellings


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("x86_64-alpine-musl", "x86_64-alpine-musl"),
        ("x86_64-linux-musl", "x86_64-alpine-musl"),
        ("x86_64-alpine-linux-musl", "x86_64-alpine-musl"),
        ("linux/amd64", "x86_64-alpine-musl"),
        ("amd64", "x86_64-alpine-musl"),
        ("X86_64", "x86_64-alpine-musl"),
        ("linux_amd64", "x86_64-alpine-musl"),
        ("linux/arm64/v8", "aarch64-alpine-musl"),
        ("linux/arm/v7", "armv7-alpine-musleabihf"),
        ("armv7", "armv7-alpine-musleabihf"),
        ("arm", "armv7-alpine-musleabihf"),
        ("linux/arm/v5", "armv5-alpine-musleabi"),
        ("armv6-linux-musleabihf", "armv6-alpine-musleabihf"),
        ("386", "i686-alpine-musl"),
        ("linux/mips/softfloat", "mips-alpine-muslsf"),
        ("mips", "mips-alpine-musl"),
        ("mipsle", "mipsel-alpine-musl"),
        ("linux/mips64le", "mips64el-alpine-musl"),
        ("ppc64le", "powerpc64le-alpine-musl"),
        ("loong64", "loongarch64-alpine-musl"),
        ("riscv64", "riscv64-alpine-musl"),
        ("s390x", "s390x-alpine-musl"),
    ],
)
def test_usual_spellings_are_understood(spelling: str, name: str) -> None:
    assert find_target(spelling).name == name


def test_no_spelling_means_two_targets() -> None:
    owners: dict[str, str] = {}
    for row in load_targets():
        for word in spellings(row):
            assert owners.setdefault(word, row.name) == row.name, word


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(TargetError) as caught:
        find_target("aarch64-alpin-musl")
    assert "aarch64-alpine-musl" in caught.value.hint


def test_a_glibc_target_is_told_why_not() -> None:
    with pytest.raises(TargetError, match="musl"):
        find_target("x86_64-linux-gnu")


def test_artifact_suffixes() -> None:
    assert find_target("armv7").suffix == "_linux_armv7"
    assert find_target("mips-alpine-muslsf").suffix == "_linux_mips_softfloat"
    assert find_target("amd64").suffix == "_linux_amd64"
