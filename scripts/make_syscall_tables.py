"""Writes recipes/seccomp/syscalls/*.toml from the kernel headers that the ziglang package carries.

    scripts/make_syscall_tables.py

One file a Go architecture. Run it again after the pin of ziglang in pyproject.toml moved, and read
the difference: a number never changes its meaning, so only additions are in order.
"""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "recipes" / "seccomp" / "syscalls"
ZIG_TARGETS = {
    "amd64": "x86_64-linux-musl",
    "386": "x86-linux-musl",
    "arm64": "aarch64-linux-musl",
    "arm": "arm-linux-musleabihf",
    "riscv64": "riscv64-linux-musl",
    "loong64": "loongarch64-linux-musl",
    "ppc64le": "powerpc64le-linux-musl",
    "s390x": "s390x-linux-musl",
    "mips": "mips-linux-musleabi",
    "mipsle": "mipsel-linux-musleabi",
    "mips64": "mips64-linux-muslabi64",
    "mips64le": "mips64el-linux-muslabi64",
}
# `__NR_read`; on ARM also `__ARM_NR_cacheflush`, which libseccomp calls cacheflush.
WORD = re.compile(r"^__(?:ARM_)?NR_(\w+)$")
NOT_CALLS = re.compile(
    r"^(BASE|Linux|SYSCALL_BASE|OABI_SYSCALL_BASE|syscalls|arch_specific)|^COMPAT"
)


def macros(target: str) -> dict[str, int]:
    """The numbers that asm/unistd.h gives for a target, evaluated by the compiler itself."""
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-E"]
    defined = subprocess.run(
        [*zig, "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    names = [line.split()[1] for line in defined.splitlines() if line.startswith("#define __")]
    names = [n for n in names if (m := WORD.match(n)) and not NOT_CALLS.match(m[1])]
    source = "#include <asm/unistd.h>\n" + "".join(f"@{n[2:]}@ {n}\n" for n in names)
    expanded = subprocess.run(
        [*zig, "-P", "-x", "c", "-"], input=source, check=True, capture_output=True, text=True
    ).stdout
    found = {}
    for line in expanded.splitlines():
        if line.startswith("@"):
            _, name, value = line.split("@", 2)
            # Values are sums of decimal and hexadecimal literals in parentheses, nothing else.
            if re.fullmatch(r"[\s()+0-9a-fxA-FX]+", value):
                found[name.split("NR_", 1)[1]] = sum(int(v, 0) for v in re.findall(r"\w+", value))
    return found


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for goarch, target in ZIG_TARGETS.items():
        calls = macros(target)
        rows = "".join(f"{name} = {number}\n" for name, number in
                       sorted(calls.items(), key=lambda item: item[1]))  # fmt: skip
        head = (
            f"# Made by scripts/make_syscall_tables.py; do not edit.\n"
            f'source = "asm/unistd.h of Linux 7.2 for {target}, '
            f'from ziglang {version("ziglang")}"\n'
        )
        (FOLDER / f"{goarch}.toml").write_text(f"{head}\n[calls]\n{rows}", encoding="utf-8")
        print(goarch, len(calls))


if __name__ == "__main__":
    main()
