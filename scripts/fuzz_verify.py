"""Fuzz the verifier, guided by coverage (atheris, which is libFuzzer for Python).

    scripts/fuzz_verify.py SEEDS [libFuzzer's options: -runs=10000 -seed=1 -max_total_time=60]

SEEDS is a folder of small ELF files; what covers new code is added to it. Whatever a file says,
the answer must be a verdict or an error, soon, in little memory: libFuzzer's guards end the run
and leave the input (crash-...), which belongs into the tests then.
"""

import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gotoolforge", "elftools"]):
    from gotoolforge.policy import load_policy
    from gotoolforge.verify import load_tables, verify_file

POLICY = load_policy("no-host-libc")
FILE = os.memfd_create("fuzzed")
PATH = Path(f"/proc/self/fd/{FILE}")


def judge(raw: bytes) -> None:
    """One input, as a file that never touches a disk."""
    os.ftruncate(FILE, 0)
    os.pwrite(FILE, raw, 0)
    report = verify_file(PATH, policy=POLICY, hear=False)
    assert (report.verdict is None) == (report.error is not None)


def main() -> None:
    """Hand the command line to libFuzzer; it ends the process."""
    load_tables()
    # 128 KiB of input, 30 s for each, half a GB of memory.
    guards = ["-timeout=30", "-rss_limit_mb=512", "-max_len=131072"]
    atheris.Setup([sys.argv[0], *guards, *sys.argv[1:]], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
