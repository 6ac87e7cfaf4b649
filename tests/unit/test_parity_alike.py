"""What is to be applied to a program, and the same as containers and systemd spell it."""

import resource
from pathlib import Path

import pytest
import yaml

from gotoolforge.errors import SnapshotError
from gotoolforge.parity import alike, forms, group
from gotoolforge.parity.applying import plan_rlimits
from gotoolforge.parity.calls import captured_profile
from gotoolforge.seccomp.profile import verdict

from .test_parity import snapshot


def test_a_limit_is_raised_only_by_who_may() -> None:
    infinity = resource.RLIM_INFINITY
    assert alike.fit((10, 20), (100, 100), may_raise=False) == ((10, 20), True)
    assert alike.fit((10, 2000), (100, 100), may_raise=False) == ((10, 100), False)
    assert alike.fit((None, None), (100, 100), may_raise=False) == ((100, 100), False)
    assert alike.fit((None, None), (100, 100), may_raise=True) == ((infinity, infinity), True)


LIKE = snapshot(
    rlimit__nofile__soft="512",
    rlimit__nofile__hard="1024",
    rlimit__core__soft="0",
    rlimit__core__hard="unlimited",
    cgroup__cpu__milli="1500",
    cgroup__memory__max="536870912",
    cgroup__pids__max="64",
    security__no_new_privs="1",
    security__cap_bounding="0000000000000401",
    env__GOMAXPROCS="2",
    env__GOGC="unset",
)


def test_the_same_limits_for_containers() -> None:
    wanted = alike.read_alike(LIKE)
    words = " ".join(forms.docker_words(wanted, "p.json"))
    assert "--ulimit nofile=512:1024" in words
    assert "--ulimit core=0:-1" in words
    assert "--cpus 1.5 --memory 536870912 --pids-limit 64" in words
    assert "--security-opt no-new-privileges --security-opt seccomp=p.json" in words
    assert "--cap-drop ALL --cap-add CHOWN --cap-add NET_BIND_SERVICE --env GOMAXPROCS=2" in words
    assert yaml.safe_load(forms.compose_text(wanted, "p.json")) == {
        "services": {
            "app": {
                "ulimits": {
                    "nofile": {"soft": 512, "hard": 1024},
                    "core": {"soft": 0, "hard": -1},
                },
                "cpus": "1.5",
                "mem_limit": 536870912,
                "pids_limit": 64,
                "security_opt": ["no-new-privileges:true", "seccomp:p.json"],
                "cap_drop": ["ALL"],
                "cap_add": ["CHOWN", "NET_BIND_SERVICE"],
                "environment": {"GOMAXPROCS": "2"},
            }
        }
    }
    pod = forms.kubernetes_text(wanted, "/x/p.json")
    assert "cannot set rlimits" in pod
    assert yaml.safe_load(pod) == {
        "containers": [
            {
                "name": "app",
                "resources": {"limits": {"cpu": "1500m", "memory": "536870912"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]},
                    "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
                },
                "env": [{"name": "GOMAXPROCS", "value": "2"}],
            }
        ]
    }


def test_a_snapshot_without_limits_asks_containers_for_nothing() -> None:
    wanted = alike.read_alike(snapshot(security__cap_bounding="000001ffffffffff"))
    assert forms.docker_words(wanted) == ()
    assert yaml.safe_load(forms.compose_text(wanted)) == {"services": {"app": {}}}
    (one,) = yaml.safe_load(forms.kubernetes_text(wanted))["containers"]
    assert one == {"name": "app", "securityContext": {"allowPrivilegeEscalation": True}}


def test_a_filter_refuses_what_the_server_was_seen_to_refuse() -> None:
    server = snapshot(syscall__openat2="EPERM", syscall__clone3="ENOSYS", syscall__statx="works")
    profile = captured_profile(server)
    said = {name: verdict(profile, name) for name in ("openat2", "clone3", "statx", "read")}
    assert {name: one.allowed for name, one in said.items()} == {
        "openat2": "no", "clone3": "no", "statx": "yes", "read": "yes",
    }  # fmt: skip
    assert (said["openat2"].errno, said["clone3"].errno) == (1, 38)
    with pytest.raises(SnapshotError):
        captured_profile(snapshot(clock__source="tsc"))


def test_the_same_limits_for_a_scope_of_systemd() -> None:
    assert group.scope_properties(alike.read_alike(LIKE)) == (
        "--property=CPUQuota=150%",
        "--property=MemoryMax=536870912",
        "--property=TasksMax=64",
    )


@pytest.mark.parametrize(
    ("soft", "hard"), [("many", "1"), ("2", "1"), ("unlimited", "1"), ("-5", "1")]
)
def test_a_limit_that_makes_no_sense_is_refused(soft: str, hard: str) -> None:
    with pytest.raises(SnapshotError):
        alike.read_alike(snapshot(rlimit__nofile__soft=soft, rlimit__nofile__hard=hard))


@pytest.mark.parametrize("hard", ["unlimited", str(2**70), str(2**40)])
def test_more_files_than_the_kernel_gives_are_told_and_cut(hard: str) -> None:
    wanted = alike.read_alike(snapshot(rlimit__nofile__soft="64", rlimit__nofile__hard=hard))
    settings, failed = plan_rlimits(wanted)
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    assert 0 < settings[resource.RLIMIT_NOFILE][1] <= most
    assert settings[resource.RLIMIT_NOFILE][0] == 64
    assert "fs.nr_open" in failed[0]
