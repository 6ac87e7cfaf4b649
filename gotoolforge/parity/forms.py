"""The limits of a snapshot as `docker run`, compose and Kubernetes spell them."""

from pathlib import PurePath
from typing import Any

from gotoolforge import jsontext
from gotoolforge.parity.alike import Alike


def docker_words(alike: Alike, profile: str | None = None) -> tuple[str, ...]:
    """The same for `docker run` (and podman); `profile` is the file of a seccomp profile."""
    words = []
    for name, (soft, hard) in _ulimits(alike).items():
        words += ["--ulimit", f"{name}={soft}:{hard}"]
    amounts = {"--cpus": _cpus(alike), "--memory": alike.memory, "--pids-limit": alike.pids}
    words += [word for flag, value in amounts.items() if value for word in (flag, str(value))]
    for one in _options(alike, profile, "no-new-privileges", "="):
        words += ["--security-opt", one]
    if alike.capabilities is not None:
        words += ["--cap-drop", "ALL"]
        words += [word for one in alike.capabilities for word in ("--cap-add", one.upper())]
    words += [word for name, value in _set(alike).items() for word in ("--env", f"{name}={value}")]
    return tuple(words)


def compose_text(alike: Alike, profile: str | None = None) -> str:
    """The same as a service of a compose file."""
    capabilities = alike.capabilities
    service = {
        "ulimits": {n: {"soft": low, "hard": high} for n, (low, high) in _ulimits(alike).items()},
        "cpus": _cpus(alike),
        "mem_limit": alike.memory,
        "pids_limit": alike.pids,
        "security_opt": _options(alike, profile, "no-new-privileges:true", ":"),
        "cap_drop": ["ALL"] if capabilities is not None else None,
        "cap_add": [one.upper() for one in capabilities or ()],
        "environment": _set(alike),
    }
    return _yaml({"services": {"app": _given(service)}})


def kubernetes_text(alike: Alike, profile: str | None = None) -> str:
    """The same as a container of a Pod, as far as Kubernetes has words for it."""
    amounts = {
        "cpu": None if alike.cpu is None else f"{alike.cpu}m",
        "memory": None if alike.memory is None else str(alike.memory),
    }
    context: dict[str, Any] = {"allowPrivilegeEscalation": not alike.no_new_privs}
    if alike.capabilities is not None:
        names = [one.upper() for one in alike.capabilities]
        context["capabilities"] = _given({"drop": ["ALL"], "add": names})
    if profile:
        # A path below the kubelet's seccomp folder: /var/lib/kubelet/seccomp.
        file = PurePath(profile).name
        context["seccompProfile"] = {"type": "Localhost", "localhostProfile": file}
    container = {
        "name": "app",
        "resources": {"limits": _given(amounts)} if _given(amounts) else None,
        "securityContext": context,
        "env": [{"name": name, "value": value} for name, value in _set(alike).items()],
    }
    lines = [_yaml({"containers": [_given(container)]})]
    lines.append("# A Pod cannot set rlimits: the node's container runtime gives them.")
    if alike.pids is not None:
        lines.append(f"# pids: {alike.pids} is podPidsLimit in the kubelet's configuration.")
    return "\n".join(lines)


def _ulimits(alike: Alike) -> dict[str, tuple[int, int]]:
    """The limits that are not wholly unlimited; -1 for none."""
    return {
        name: (-1 if soft is None else soft, -1 if hard is None else hard)
        for name, (soft, hard) in alike.rlimits.items()
        if (soft, hard) != (None, None)
    }


def _cpus(alike: Alike) -> str | None:
    return None if alike.cpu is None else f"{alike.cpu / 1000:g}"


def _options(alike: Alike, profile: str | None, privileges: str, joint: str) -> list[str]:
    return [privileges] * alike.no_new_privs + ([f"seccomp{joint}{profile}"] if profile else [])


def _set(alike: Alike) -> dict[str, str]:
    return {name: value for name, value in alike.env.items() if value is not None}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _yaml(value: Any, depth: int = 0) -> str:
    """YAML in blocks; its leaves are JSON, which is YAML too."""
    pad = "  " * depth
    lines = []
    if isinstance(value, list):
        for one in value:
            inner = _yaml(one, depth + 1) if _is_block(one) else pad + "  " + _leaf(one)
            lines.append(f"{pad}- {inner[len(pad) + 2 :]}")
        return "\n".join(lines)
    for name, one in value.items():
        lines.append(f"{pad}{name}:\n{_yaml(one, depth + 1)}" if _is_block(one)
                     else f"{pad}{name}: {_leaf(one)}")  # fmt: skip
    return "\n".join(lines)


def _is_block(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _leaf(value: Any) -> str:
    return jsontext.compact(value).decode()
