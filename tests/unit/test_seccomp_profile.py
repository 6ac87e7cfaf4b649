"""Profiles: what is refused when reading one, and what the compiled filter answers."""

import json
from pathlib import Path

import pytest

from gotoolforge.errors import UnreadableError, UsageError
from gotoolforge.seccomp import bpf, libseccomp, numbers
from gotoolforge.seccomp.compare import compare
from gotoolforge.seccomp.defaults import defaults
from gotoolforge.seccomp.listing import Listing, Use
from gotoolforge.seccomp.making import runtime_row, runtimes
from gotoolforge.seccomp.profile import (
    Condition,
    Profile,
    Rule,
    load_profile,
    resolve,
    unknown_names,
    verdict,
)  # fmt: skip
from gotoolforge.seccomp.trace import Trace, Witnessed

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
AMD64 = ("SCMP_ARCH_X86_64",)
BIG = 0x1_0000_0005


def made(*rules: Rule, arches: tuple[str, ...] = AMD64) -> Profile:
    return Profile(defaultAction=ERRNO, defaultErrnoRet=1, architectures=arches, syscalls=rules)


def asked(profile: Profile, name: str, *args: int, arch: str = "amd64") -> tuple[str, int]:
    number = numbers.calls_of(arch)[name]
    return bpf.action_of(bpf.simulate(bpf.compile_profile(profile), number, arch, args))


@pytest.mark.parametrize(
    ("op", "value", "holds", "fails"),
    [
        ("EQ", BIG, [BIG], [5, 0x2_0000_0005, BIG + 1]),
        ("NE", BIG, [5, BIG + 1, 0], [BIG]),
        ("GT", BIG, [BIG + 1, 0x2_0000_0000], [BIG, 6, 0]),
        ("GE", BIG, [BIG, BIG + 1, 1 << 63], [BIG - 1, 0xFFFF_FFFF]),
        ("LT", BIG, [BIG - 1, 0xFFFF_FFFF, 0], [BIG, 1 << 40]),
        ("LE", BIG, [BIG, 0, 0xFFFF_FFFF], [BIG + 1, 1 << 33]),
    ],
)
def test_arguments_are_compared_as_64_bits(
    op: str, value: int, holds: list[int], fails: list[int]
) -> None:
    condition = Condition(index=2, value=value, op=f"SCMP_CMP_{op}")
    profile = made(Rule(names=("read",), action=ALLOW, args=(condition,)))
    assert [asked(profile, "read", 9, 9, one)[0] for one in holds] == [ALLOW] * len(holds)
    assert [asked(profile, "read", 9, 9, one) for one in fails] == [(ERRNO, 1)] * len(fails)


def test_a_mask_and_several_conditions_must_all_hold() -> None:
    mask = Condition(index=0, value=0x7E020000, valueTwo=0, op="SCMP_CMP_MASKED_EQ")
    small = Condition(index=1, value=10, op="SCMP_CMP_LT")
    profile = made(Rule(names=("clone",), action=ALLOW, args=(mask, small)))
    assert asked(profile, "clone", 0x11, 3)[0] == ALLOW
    assert asked(profile, "clone", 0x11, 11) == (ERRNO, 1)
    assert asked(profile, "clone", 0x10000011, 3) == (ERRNO, 1)


def test_rules_for_one_call_are_alternatives_and_one_without_conditions_wins() -> None:
    one, two = (Condition(index=0, value=v, op="SCMP_CMP_EQ") for v in (1, 2))
    either = made(*(Rule(names=("socket",), action=ALLOW, args=(c,)) for c in (one, two)))
    assert [asked(either, "socket", v)[0] for v in (1, 2, 3)] == [ALLOW, ALLOW, ERRNO]
    plain = Rule(names=("socket",), action=ERRNO, errnoRet=97)
    assert asked(made(*either.syscalls, plain), "socket", 1) == (ERRNO, 97)


def test_another_architecture_and_x32_are_killed_unless_named() -> None:
    profile = made(Rule(names=("read", "write"), action=ALLOW))
    assert asked(profile, "read", arch="386")[0] == "SCMP_ACT_KILL_PROCESS"
    program = bpf.compile_profile(profile)
    x32 = bpf.simulate(program, 0x40000000 | numbers.calls_of("amd64")["read"], "amd64")
    assert bpf.action_of(x32)[0] == "SCMP_ACT_KILL_PROCESS"
    both = made(*profile.syscalls, arches=(*AMD64, "SCMP_ARCH_X86", "SCMP_ARCH_X32"))
    assert asked(both, "read", arch="386")[0] == ALLOW
    assert asked(both, "mmap", arch="386") == (ERRNO, 1)


@pytest.mark.parametrize("row", defaults(), ids=lambda one: one.name)
def test_every_default_profile_is_valid_and_compiles(row: object, tmp_path: Path) -> None:
    for arch in ("amd64", "arm64"):
        profile = resolve(row.profile, arch)  # type: ignore[attr-defined]
        if numbers.architectures()[arch].scmp not in profile.architectures:
            continue
        assert asked(profile, "read", arch=arch)[0] == ALLOW
        assert asked(profile, "kexec_load", arch=arch)[0] != ALLOW
        assert verdict(profile, "read").allowed == "yes"


def test_a_profile_without_architectures_is_for_the_machines_own() -> None:
    plain = Profile(defaultAction=ERRNO, defaultErrnoRet=1,
                    syscalls=(Rule(names=("read",), action="SCMP_ACT_ALLOW"),))  # fmt: skip
    for arch in ("amd64", "arm64"):
        profile = resolve(plain, arch)
        assert asked(profile, "read", arch=arch)[0] == ALLOW
        assert asked(profile, "mmap", arch=arch) == (ERRNO, 1)


def test_capabilities_open_dockers_rules() -> None:
    docker = next(one for one in defaults() if one.name == "docker-28.3.3").profile
    assert verdict(resolve(docker, "amd64"), "mount").allowed == "no"
    admin = resolve(docker, "amd64", frozenset({"CAP_SYS_ADMIN"}))
    assert verdict(admin, "mount").allowed == "yes"
    assert verdict(admin, "clone").allowed == "yes"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no seccomp profile"),
        ('{"syscalls": []}', "defaultAction"),
        ('{"defaultAction": "SCMP_ACT_MAYBE"}', "unknown action 'SCMP_ACT_MAYBE'"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}', "PDP11"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action":'
         ' "SCMP_ACT_ALLOW", "args": [{"index": 7, "value": 1, "op": "SCMP_CMP_EQ"}]}]}',
         "no argument 7"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action":'
         ' "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}]}',
         "does not fit 64 bits"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["FAST"]}', "unknown flag 'FAST'"),
    ],
)  # fmt: skip
def test_a_wrong_profile_is_refused_with_its_fault(
    content: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "profile.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=words):
        load_profile(path)
    with pytest.raises(UnreadableError):
        load_profile(tmp_path / "absent.json")


def test_unknown_names_are_listed_and_do_not_stop_a_profile(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    rules = [{"names": ["read", "frobnicate"], "action": ALLOW}]
    path.write_text(json.dumps({"defaultAction": ERRNO, "syscalls": rules}))
    assert unknown_names(load_profile(path)) == ("frobnicate",)


def test_measured_runtimes_name_real_calls() -> None:
    for row in runtimes():
        assert set(row.calls) <= set(numbers.calls_of("amd64"))
        assert "execve" in row.calls
    assert runtime_row("none") is None
    assert runtime_row("podman") == runtime_row("crun")
    with pytest.raises(UsageError, match="rkt"):
        runtime_row("rkt")


def test_what_the_kernel_itself_calls_is_explained_and_not_missed() -> None:
    def use(name: str) -> Use:
        return Use(
            number=0, name=name, owner="f", site="f", address=0, path=("f",), root="", note=""
        )

    listing = Listing(file="app", arch="amd64", go=True, uses=(use("read"), use("write")),
                      unresolved=(), functions=1, sites=1, warnings=())  # fmt: skip
    own = Witnessed(program="app")
    for name in ("execve", "restart_syscall", "read", "mmap"):
        own.saw(name)
    found = compare(listing, (Trace(witness="strace", arch="amd64", command=(), own=own),))
    assert found.missed == ("mmap",)
    assert set(found.explained) == {"execve", "restart_syscall"}
    assert found.never_traced == ("write",)


def test_names_that_the_local_libseccomp_does_not_know_are_told() -> None:
    assert libseccomp.unknown_here(("read", "frobnicate")) in (("frobnicate",), None)
