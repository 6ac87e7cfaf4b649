"""Profiles to the kernel's filter, and a simulator that answers as the kernel would.

libseccomp could compile too; this does it itself because the filter that a Go program carries
(`seccomp embed`) must be made without it, for every architecture, and because a filter that is
not installed can then be asked. What it does is held against libseccomp's filters by the tests
that run the same profiles in crun and runc.

A program is a list of struct sock_filter of <linux/filter.h>: (code, jt, jf, k).
"""

import struct

from gotoolforge.errors import UsageError
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.profile import (
    ACTIONS,
    Condition,
    Profile,
    Rule,
    action_word,
)  # fmt: skip

Program = list[tuple[int, int, int, int]]

_LOAD, _JEQ, _JGT, _JGE, _JSET, _JA, _AND, _RET = 0x20, 0x15, 0x25, 0x35, 0x45, 0x05, 0x54, 0x06
# Places in struct seccomp_data: nr, arch, instruction pointer (64 bits), args.
_NR, _ARCH, _ARGS = 0, 4, 16
_X32_BIT = 0x40000000
_MOST = 4096
_KILL_PROCESS = ACTIONS["SCMP_ACT_KILL_PROCESS"]


def compile_profile(profile: Profile) -> Program:
    """The filter of a resolved profile.

    A call of an architecture that the profile does not name kills the process. Names that an
    architecture lacks are left out there (`unknown_names` lists those that none has). Raises
    UsageError if it does not fit the kernel's 4096 instructions.
    """
    sections: Program = []
    scmps = profile.architectures
    arches = [arch for scmp in scmps if (arch := numbers.by_scmp(scmp))]
    for arch in arches:
        body = _section(profile, arch, x32="SCMP_ARCH_X32" in scmps)
        audit = numbers.architectures()[arch].audit
        # Distances beyond 255 need the unconditional jump, which has 32 bits.
        sections += [(_JEQ, 1, 0, audit), (_JA, 0, 0, len(body)), *body]
    program = [(_LOAD, 0, 0, _ARCH), *sections, (_RET, 0, 0, _KILL_PROCESS)]
    if len(program) > _MOST:
        what = f"the filter has {len(program)} instructions; the kernel takes {_MOST}"
        raise UsageError(what, hint="name fewer architectures or fewer calls")
    return program


def _section(profile: Profile, arch: str, *, x32: bool) -> Program:
    default = action_word(profile.defaultAction, profile.defaultErrnoRet)
    out: Program = [(_LOAD, 0, 0, _NR)]
    if arch == "amd64":
        # x32 is the same architecture with a bit in the number: without this, a hole.
        out += [(_AND, 0, 0, ~_X32_BIT & 0xFFFFFFFF)] if x32 else [
            (_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, _KILL_PROCESS),
        ]  # fmt: skip
    by_number: dict[int, list[Rule]] = {}
    table = numbers.calls_of(arch)
    for rule in profile.syscalls:
        for name in rule.names:
            if name in table:
                by_number.setdefault(table[name], []).append(rule)
    for number, rules in sorted(by_number.items()):
        body = _rules(rules, profile, default)
        if len(body) == 1:
            out += [(_JEQ, 0, 1, number), *body]
        else:
            out += [(_JEQ, 1, 0, number), (_JA, 0, 0, len(body)), *body]
    return [*out, (_RET, 0, 0, default)]


def _rules(rules: list[Rule], profile: Profile, default: int) -> Program:
    plain = next((rule for rule in rules if not rule.args), None)
    if plain is not None:
        return [(_RET, 0, 0, _word(plain, profile))]
    out: Program = []
    for rule in rules:
        out += _conditional(rule, _word(rule, profile))
    return [*out, (_RET, 0, 0, default)]


def _word(rule: Rule, profile: Profile) -> int:
    errno = rule.errnoRet if rule.errnoRet is not None else profile.defaultErrnoRet
    return action_word(rule.action, errno)


def _conditional(rule: Rule, word: int) -> Program:
    """Compare every argument; a comparison that fails leaves to just behind the return."""
    out: Program = [(_RET, 0, 0, word)]
    for one in reversed(rule.args or ()):
        out = _compare(one, len(out)) + out
    return out


def _compare(one: Condition, beyond: int) -> Program:
    """Go on if the comparison holds; otherwise jump over `beyond` further instructions.

    Arguments are 64 bits, loads 32: the upper half (little-endian: the second) decides first.
    """
    low, high = _ARGS + 8 * one.index, _ARGS + 8 * one.index + 4
    op = one.op.removeprefix("SCMP_CMP_")
    if op == "MASKED_EQ":
        mask, value = one.value, one.valueTwo
        return [
            (_LOAD, 0, 0, high), (_AND, 0, 0, mask >> 32), (_JEQ, 0, beyond + 3, value >> 32),
            (_LOAD, 0, 0, low), (_AND, 0, 0, mask & 0xFFFFFFFF),
            (_JEQ, 0, beyond, value & 0xFFFFFFFF),
        ]  # fmt: skip
    top, bottom = one.value >> 32, one.value & 0xFFFFFFFF
    load_high, load_low = (_LOAD, 0, 0, high), (_LOAD, 0, 0, low)
    if op == "EQ":
        return [load_high, (_JEQ, 0, beyond + 2, top), load_low, (_JEQ, 0, beyond, bottom)]
    if op == "NE":
        return [load_high, (_JEQ, 0, 2, top), load_low, (_JEQ, beyond, 0, bottom)]
    if op in ("GT", "GE"):
        code = _JGT if op == "GT" else _JGE
        return [load_high, (_JGT, 3, 0, top), (_JEQ, 0, beyond + 2, top),
                load_low, (code, 0, beyond, bottom)]  # fmt: skip
    code = _JGE if op == "LT" else _JGT
    return [load_high, (_JGT, beyond + 3, 0, top), (_JEQ, 0, 2, top),
            load_low, (code, beyond, 0, bottom)]  # fmt: skip


def simulate(program: Program, number: int, arch: str, args: tuple[int, ...] = ()) -> int:
    """The word that the filter returns for a call, as the kernel would compute it."""
    row = numbers.architectures()[arch]
    padded = (*args, *(0,) * (6 - len(args)))
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, row.audit, 0, *padded)
    accumulator = place = 0
    while True:
        code, true, false, k = program[place]
        place += 1
        if code == _LOAD:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif code == _AND:
            accumulator &= k
        elif code == _RET:
            return k
        elif code == _JA:
            place += k
        else:
            holds = {
                _JEQ: accumulator == k, _JGT: accumulator > k,
                _JGE: accumulator >= k, _JSET: bool(accumulator & k),
            }[code]  # fmt: skip
            place += true if holds else false


def action_of(word: int) -> tuple[str, int]:
    """The action and the errno in what a filter returned."""
    top = word & 0xFFFF0000
    name = next(name for name, value in ACTIONS.items() if value == top)
    return name, word & 0xFFFF


def pack(program: Program) -> bytes:
    """The program as an array of struct sock_filter in the host's byte order."""
    return b"".join(struct.pack("=HBBI", *one) for one in program)
