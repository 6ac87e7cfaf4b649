"""Would a profile stop a program: which of its calls, where from, and with what errno."""

import errno

import msgspec

from gotoolforge.seccomp.listing import Listing
from gotoolforge.seccomp.profile import Profile, verdict


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A reachable call that a profile refuses ("no"), or lets pass with some arguments only."""

    name: str
    allowed: str
    effect: str
    path: tuple[str, ...]


def check(listing: Listing, profiles: dict[str, Profile]) -> dict[str, tuple[Stop, ...]]:
    """For every profile the calls that it would stop."""
    return {name: tuple(_stops(listing, one)) for name, one in profiles.items()}


def _stops(listing: Listing, profile: Profile) -> list[Stop]:
    found = []
    for name in listing.reachable:
        said = verdict(profile, name)
        if said.allowed == "yes":
            continue
        use = next(one for one in listing.uses if one.name == name and one.path)
        effect = _words(said.action, said.errno)
        if said.allowed == "in part":
            effect = f"{effect} unless " + " or ".join(
                f"argument {c.index} {c.op.removeprefix('SCMP_CMP_')} {c.value:#x}"
                + (f" is {c.valueTwo:#x}" if "MASKED" in c.op else "")
                for c in said.conditions
            )
        found.append(Stop(name=name, allowed=said.allowed, effect=effect, path=use.path))
    return found


def _words(action: str, number: int | None) -> str:
    if action == "SCMP_ACT_ERRNO":
        return errno.errorcode.get(number or 0, str(number))
    return {"SCMP_ACT_TRAP": "SIGSYS", "SCMP_ACT_KILL": "kills the thread",
            "SCMP_ACT_KILL_THREAD": "kills the thread",
            "SCMP_ACT_KILL_PROCESS": "kills the process"}.get(action, action)  # fmt: skip
