"""How far a limit is, how fast it comes nearer, and when it is reached at that rate."""

from collections import deque

import msgspec

from gotoolforge.limits.usage import Gauge, Usage

_WINDOW = 10
# From this share of the limit on, or with less time left than this, somebody should be told.
_NEAR_SHARE = 0.8
_SOON_SECONDS = 60.0


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """One gauge with its rate (units a second) and the seconds left at that rate, if any."""

    name: str
    used: int | None
    limit: int | None
    rate: float
    seconds_left: float | None
    near: bool


class Forecast:
    """Takes one look after the other; the rate is that of the last ten."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def add(self, usage: Usage) -> tuple[Outlook, ...]:
        """What each gauge's outlook is, with this look."""
        return tuple(self._one(gauge, usage.at) for gauge in usage.gauges)

    def _one(self, gauge: Gauge, at: float) -> Outlook:
        seen = self._seen.setdefault(gauge.name, deque(maxlen=_WINDOW))
        if gauge.used is not None:
            seen.append((at, gauge.used))
        rate = 0.0
        if len(seen) > 1 and seen[-1][0] > seen[0][0]:
            rate = (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
        left = None
        if gauge.limit is not None and gauge.used is not None and rate > 0:
            left = max(0.0, (gauge.limit - gauge.used) / rate)
        near = (gauge.share or 0) >= _NEAR_SHARE or (left is not None and left <= _SOON_SECONDS)
        return Outlook(
            name=gauge.name,
            used=gauge.used,
            limit=gauge.limit,
            rate=rate,
            seconds_left=left,
            near=near,
        )
