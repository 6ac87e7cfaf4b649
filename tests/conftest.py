"""Flags that choose the real things, and a clean environment for every test."""

import os
import signal

import pytest

FLAGS = {
    "go": "tests that run a real Go and real compilers",
    "network": "tests that download (Go modules, distribution sources)",
    "emulation": "tests that run foreign programs under qemu-user",
    "system": "tests that build musl around the machine's own GCC",
    "corpus": "tests that judge files of many compilers (cross GCCs, musl-gcc, dietlibc)",
    "forge": "tests that forge a C toolchain from source (some 15 minutes the first time)",
    "container": "tests that build a Dockerfile with buildah (root)",
    "long": "tests that take an hour: every target of the table",
    "seccomp": "tests that trace and filter programs: strace, bpftrace, crun, runc (root)",
    "parity": "tests that start a real sshd, namespaces, and servers under a bounded load (root)",
    "packaging": "tests that build and install the wheel and the sdist",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for flag, what in FLAGS.items():
        parser.addoption(f"--run-{flag}", action="store_true", help=what)
    parser.addoption("--run-all", action="store_true", help="all of the above but --run-long")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what it sends to the background with SIGINT ignored, nohup with SIGHUP ignored,
    # and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for flag, what in FLAGS.items():
        config.addinivalue_line("markers", f"{flag}: {what}; needs --run-{flag}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for flag in FLAGS:
            all_but_long = config.getoption("--run-all") and flag != "long"
            wanted = all_but_long or config.getoption(f"--run-{flag}")
            if item.get_closest_marker(flag) and not wanted:
                item.add_marker(pytest.mark.skip(reason=f"needs --run-{flag}"))
        # What forges may wait for another who does; all else is bound by pyproject.toml.
        for flag, seconds in {"long": 4 * 3600, "forge": 2700}.items():
            if item.get_closest_marker(flag):
                item.add_marker(pytest.mark.timeout(seconds))
                break


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes = ("GOTOOLFORGE_", "CGO_", "PKG_CONFIG")
    names = {"GOFLAGS", "GOOS", "GOARCH", "GOARM", "CC", "CXX", "AR"}
    for name in list(os.environ):
        ours = name.startswith(prefixes) or name in names
        if ours and name != "GOTOOLFORGE_CACHE":
            monkeypatch.delenv(name)
    # The default family is forged for a quarter of an hour first: tests of it ask for it.
    monkeypatch.setenv("GOTOOLFORGE_TOOLCHAIN", "zig")
