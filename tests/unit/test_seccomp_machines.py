"""The listing on hand-written code of the machines that `recipes/seccomp/code` describes."""

from pathlib import Path

import pytest

from gotoolforge import paths
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.code_rows import Form, load_code
from gotoolforge.seccomp.listing import Listing, code_for, list_calls

from .test_seccomp_listing import elf

# e_machine, bits, byte order
MACHINES = {
    "386": (3, 32, "<"), "arm64": (183, 64, "<"), "arm": (40, 32, "<"), "riscv64": (243, 64, "<"),
    "ppc64le": (21, 64, "<"), "s390x": (22, 64, ">"), "loong64": (258, 64, "<"),
    "mips": (8, 32, ">"), "mipsle": (8, 32, "<"), "mips64": (8, 64, ">"), "mips64le": (8, 64, "<"),
}  # fmt: skip


def listed(path: Path, arch: str, code: bytes) -> Listing:
    machine, bits, order = MACHINES[arch]
    return list_calls(elf(path, code, machine=machine, bits=bits, order=order))


@pytest.mark.parametrize(
    ("arch", "code", "names"),
    [
        ("386", "b801000000 cd80", {"exit"}),
        # musl's way through the vDSO: call *%gs:16
        ("386", "b804000000 65ff1510000000 c3", {"write"}),
        # a call that only tells where it is keeps eax
        ("386", "b801000000e803000000cd80c3 8b3c24c3", {"exit"}),
        # musl's clone: mov al over a segment's number
        ("386", "31c0668ce8c1e803b078cd80", {"clone"}),
        # mov x8, #93; svc #0
        ("arm64", "a80b80d2 010000d4", {"exit"}),
        # str x9, [sp, #8]; bl: the number on the stack, as Go's ABI0 passes it, twice
        ("arm64", "ff8300d1090880d2e90700f905000094a90b80d2e90700f902000094000020d4"
                  "e80740f9010000d4c0035fd6", {"write", "exit"}),
        # mov w0, #n; bl and b: in a register, behind a frame
        ("arm64", "0008805203000094a00b805201000014fd7bbfa9e803002a010000d4fd7bc1a8c0035fd6",
         {"write", "exit"}),
        # cbz over a mov: two numbers reach one place
        ("arm64", "0808805240000034a80b8052010000d4", {"write", "exit"}),
        # csel leaves both possible
        ("arm64", "010880d2a20b80d22800829a010000d4", {"write", "exit"}),
        # ldr x8, [x0]: nobody can tell
        ("arm64", "080040f9010000d4c0035fd6", set()),
        ("riscv64", "9308d005 73000000", {"exit"}),
        # auipc and jalr: a call in two steps
        ("riscv64", "1305d005970000 00e780c00073001000 930805007300000067800000", {"exit"}),
        ("arm", "0170a0e3000000ef", {"exit"}),
        ("arm", "017000e3007040e3000000ef", {"exit"}),
        # ldr r7, [pc, #0]: from between the code
        ("arm", "00709fe5 000000ef 01000000", {"exit"}),
        # push and pop about a wrapper, called twice
        ("arm", "0400a0e3020000eb0100a0e3000000ebf000f0e790402de90070a0e1000000ef9080bde8",
         {"write", "exit"}),
        # movne
        ("arm", "000050e30470a0e30170a013000000ef", {"write", "exit"}),
        ("ppc64le", "0100003802000044", {"exit"}),
        # stdu makes the frame; the number on the stack
        ("ppc64le", "c1ff21f804006038200061f81500004801006038200061f8090000480800e07f"
                    "200001e8020000442000804e", {"write", "exit"}),
        # svc 1, and svc 0 with the number in r1
        ("s390x", "0a01", {"exit"}),
        ("s390x", "a71900f80a00", {"exit_group"}),
        # a vector instruction, which capstone does not know, in between
        ("s390x", "a71900f8e700f0a030060a00", {"exit_group"}),
        ("s390x", "e3f0ffc0ff71a7290004e320f0080024c0e50000000ca7290001e320f0080024c0e500000004"
                  "0000e310f00800040a0007fe", {"write", "exit"}),
        ("mips", "24020fa10000000c", {"exit"}),
        # jal with its delay slot: the second call's number is stored in it
        ("mips", "27bdffe024080fa4afa800040c1004090000000024080fa10c100409afa800040000000d"
                 "8fa200040000000c03e0000800000000", {"write", "exit"}),
        ("mipsle", "a10f02240c000000", {"exit"}),
        ("mips64", "240213c20000000c", {"exit"}),
        ("mips64le", "c21302240c000000", {"exit"}),
        ("loong64", "0b74810300002b00", {"exit"}),
        # pcaddu18i and jirl: a call in two steps
        ("loong64", "047481031400001e810e004c00002a00 8b00150000002b002000004c", {"exit"}),
        ("loong64", "6380ff020c0081036c20c029001400540c7481036c20c0290008005400002a00"
                    "6b20c02800002b002000004c", {"write", "exit"}),
    ],
)  # fmt: skip
def test_numbers_are_found_by_walking_back(
    tmp_path: Path, arch: str, code: str, names: set[str]
) -> None:
    found = listed(tmp_path / "program", arch, bytes.fromhex(code).ljust(80, b"\0"))
    assert set(found.in_file) == names
    assert bool(found.unresolved) == (not names)


@pytest.mark.parametrize("arch", MACHINES)
def test_bytes_that_are_no_code_are_survived(tmp_path: Path, arch: str) -> None:
    garbage = bytes((index * 167 + index // 7) % 256 for index in range(8_000))
    assert listed(tmp_path / "garbage", arch, garbage).arch == arch


def test_every_architecture_of_the_table_can_be_read() -> None:
    assert {*MACHINES, "amd64"} == set(numbers.architectures())
    for arch in numbers.architectures():
        assert code_for(arch).sp


def test_the_rows_of_every_machine_are_whole() -> None:
    for path in (paths.recipes_dir() / "seccomp" / "code").glob("*.toml"):
        row = load_code(path.stem)
        assert [Form(*one) for one in row.forms]
        assert all(one.match & ~one.mask == 0 for one in (*row.site, *row.reference, *row.pair))


def test_a_form_says_what_an_instruction_does() -> None:
    (first, second) = Form("stp", "S, T, [B, #N]!", "B=B+N; [B+8]8=T").effects(
        "stp", "x29, x30, [sp, #-0x20]!"
    ) or ((), ())
    assert first == ("sp", ("sp", -32, 0), False)
    assert second == (("sp", 8, 8), ("x30", 0, 0), False)
    assert Form("add", "D, S, #N", "D=S+N").effects("add", "x0, x1, x2") is None
    (unknown,) = Form("movk", "D, ...", "D=?").effects("movk", "x0, #1, lsl #16") or ((),)
    assert unknown == ("x0", None, False)
