"""Limits beside use, how far they are, what a load needs, what a unit really says."""

import os
import subprocess
from pathlib import Path

import pytest

from gotoolforge.errors import ProcessError, UnreadableError
from gotoolforge.limits import unit
from gotoolforge.limits.advise import advise, drop_in
from gotoolforge.limits.forecast import Forecast
from gotoolforge.limits.usage import Gauge, Usage, parse_limits, read_usage


def look(at: float, used: int | None, limit: int | None) -> Usage:
    gauge = Gauge(name="descriptors", used=used, limit=limit)
    return Usage(pid=1, name="x", at=at, gauges=(gauge,), children=0, resident=0)


def test_a_process_is_seen_beside_its_limits() -> None:
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(7)]
    try:
        usage = read_usage(os.getpid())
        descriptors = next(one for one in usage.gauges if one.name == "descriptors")
        assert descriptors.used is not None
        assert descriptors.used >= 10
        assert {one.name for one in usage.gauges} > {"threads", "mappings", "address space"}
    finally:
        for one in files:
            os.close(one)


def test_a_process_that_has_ended_is_named() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with pytest.raises(ProcessError) as caught:
        read_usage(child.pid)
    assert str(child.pid) in caught.value.what


def test_limits_of_the_kernel_are_parsed_unlimited_and_beyond_64_bits() -> None:
    text = (
        "Limit  Soft Limit  Hard Limit  Units\n"
        "Max open files            1024                 524288               files\n"
        f"Max address space         {2**64 - 1}          unlimited            bytes\n"
        "Max nice priority         0                    0\n"
    )
    found = parse_limits(text)
    assert found == {"nofile": (1024, 524288), "as": (None, None), "nice": (0, 0)}


def test_the_time_left_is_that_at_the_present_rate() -> None:
    forecast = Forecast()
    forecast.add(look(0, 100, 1000))
    (one,) = forecast.add(look(10, 200, 1000))
    assert one.rate == 10
    assert one.seconds_left == 80
    assert not one.near
    (one,) = forecast.add(look(20, 500, 1000))
    assert one.near


def test_no_limit_and_no_sight_are_never_near() -> None:
    forecast = Forecast()
    for usage in (look(0, 5, None), look(1, None, 10), look(2, 9000, None)):
        (one,) = forecast.add(usage)
        assert not one.near
        assert one.seconds_left is None


def test_advice_grows_with_connections_and_with_c() -> None:
    small = advise(100, cgo=False, cpus=2)
    large = advise(10000, files=2, cgo=True, cpus=2)
    assert small.nofile == 164
    assert large.nofile == 20064
    assert large.tasks > 10000 > small.tasks
    assert "LimitNOFILE=164" in drop_in(small)
    assert "ulimit" not in drop_in(small)


def limits_of(path: Path, name: str = "") -> dict[str, str]:
    return {key: one.value for key, one in unit.read_unit(path, name)[0].limits.items()}


def test_a_unit_says_what_its_limits_really_are(tmp_path: Path) -> None:
    path = tmp_path / "app.service"
    path.write_text(
        "[Unit]\nLimitNOFILE=1\n[Service]\nExecStartPre=/bin/sh -c 'ulimit -n 65536'\n"
        "ExecStart=-/usr/bin/true --x\n# LimitNOFILE=7\nLimitNOFILE=2048\nTasksMax=9\n"
    )
    found, findings = unit.read_unit(path)
    assert limits_of(path) == {"LimitNOFILE": "2048", "TasksMax": "9"}
    assert (found.program, found.limits["TasksMax"].source) == ("/usr/bin/true", str(path))
    assert [one.check for one in findings] == ["unit.ulimit"]
    (tmp_path / "app.service.d").mkdir()
    (tmp_path / "app.service.d" / "x.conf").write_text("[Service]\nLimitNOFILE=4096:8192\n")
    assert limits_of(path)["LimitNOFILE"] == "4096:8192"
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    (tmp_path / "app.service.d" / "y.conf").write_text(f"[Service]\nLimitNOFILE={most + 1}\n")
    assert "unit.nr_open" in [one.check for one in unit.read_unit(path)[1]]


def test_drop_ins_of_every_folder_count_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd.unit(5) has it: the file in /usr, an administrator's drop-ins in /etc."""
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    monkeypatch.setattr(unit, "_LIBRARY", (str(etc), str(usr)))
    texts = {
        usr / "system" / "app@.service": "[Service]\nExecStart=/x\nLimitCORE=5\nTasksMax=5\n",
        usr / "system" / "app@.service.d" / "20.conf": "[Service]\nLimitNOFILE=20\n",
        usr / "system" / "service.d" / "30.conf": "[Service]\nLimitNPROC=30\nLimitCORE=\n",
        etc / "system" / "app@one.service.d" / "20.conf": "[Service]\nLimitNOFILE=21\n",
        etc / "system" / "app@.service.d" / "10.conf": "[Service]\nLimitNOFILE=10\nTasksMax=\n",
        etc / "system.conf": "[Manager]\nDefaultTasksMax=77\n#DefaultLimitNOFILE=1\n",
        etc / "system.conf.d" / "a.conf": "[Manager]\nDefaultLimitMEMLOCK=8M\n",
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path = unit.find_unit("app@one")
    assert path == usr / "system" / "app@.service"
    assert limits_of(path, "app@one.service") == {
        "LimitNOFILE": "21", "LimitNPROC": "30", "TasksMax": "77", "LimitMEMLOCK": "8M",
    }  # fmt: skip
    assert limits_of(path, "app@two.service")["LimitNOFILE"] == "20"


def test_a_unit_without_limits_has_those_of_systemd(tmp_path: Path) -> None:
    path = tmp_path / "app.service"
    path.write_text("[Service]\nExecStart=/usr/bin/true\n")
    assert limits_of(path)["LimitNOFILE"]
    with pytest.raises(UnreadableError):
        unit.find_unit("nosuch-unit-anywhere")


@pytest.mark.parametrize(
    ("reload", "given", "checks"),
    [
        ("no", "2048", ["unit.restart"]),  # this process has another limit
        ("yes", "2048", ["unit.reload", "unit.restart"]),
        # A new folder of drop-ins is not seen by systemd itself.
        ("no", "99", ["unit.reload", "unit.restart"]),
    ],
)
def test_what_systemd_has_is_held_against_the_files_and_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reload: str, given: str, checks: list[str]
) -> None:
    """By a stand-in for systemctl; scripts/try_on_systemd asks the real one."""
    path, program = tmp_path / "app.service", tmp_path / "systemctl"
    path.write_text("[Service]\nLimitNOFILE=1024:2048\n")
    said = (
        f"LoadState=loaded\nNeedDaemonReload={reload}\nMainPID={os.getpid()}\nLimitNOFILE={given}"
    )
    program.write_text(f"#!/bin/sh\ncat <<'X'\n{said}\nX\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(unit, "_BOOTED", tmp_path)
    loaded, findings = unit.ask_systemd("app.service", unit.read_unit(path)[0])
    assert loaded
    assert loaded["LimitNOFILE"] == given
    assert [one.check for one in findings] == checks
    monkeypatch.setattr(unit, "_BOOTED", tmp_path / "none")
    assert unit.ask_systemd("app.service", unit.read_unit(path)[0]) == (None, ())
