"""What reading says beside what running showed: each without the other is reported, not guessed."""

from functools import cache

import msgspec

from gotoolforge import paths
from gotoolforge.seccomp.listing import Listing
from gotoolforge.seccomp.trace import Trace
from gotoolforge.tables import Row, load_table


class KernelMade(Row, frozen=True):
    """Why a traced call is made by no instruction of the program."""

    reason: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`missed`: traced from the program's own image and not listed (a defect of the listing).

    `explained`: traced, made by no instruction of the program, with the reason. `never_traced`:
    reachable by the listing, and no run has shown it.
    """

    missed: tuple[str, ...]
    explained: dict[str, str]
    never_traced: tuple[str, ...]


@cache
def kernel_made() -> dict[str, KernelMade]:
    """The data rows of recipes/seccomp/kernel_made.toml."""
    path = paths.recipes_dir() / "seccomp" / "kernel_made.toml"
    return load_table(path, dict[str, dict[str, KernelMade]])["call"]


def compare(listing: Listing, traces: tuple[Trace, ...]) -> Comparison:
    """One listing beside any number of traces of the same program."""
    traced = {name for trace in traces for name in trace.names}
    beyond = traced - set(listing.reachable)
    return Comparison(
        missed=tuple(sorted(beyond - set(kernel_made()))),
        explained={name: row.reason for name, row in kernel_made().items() if name in beyond},
        never_traced=tuple(sorted(set(listing.reachable) - traced)),
    )
