"""A recorded watch as one HTML page: a panel a gauge, use and limit over time, as inline SVG.

No script and nothing from elsewhere: it can be mailed, or kept beside a build.
"""

from collections.abc import Sequence
from html import escape
from time import gmtime, strftime

from gotoolforge.limits.usage import Gauge
from gotoolforge.limits.watching import Look

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 180, 90, 12, 26
# A limit further away than this many times the use would flatten the line to nothing.
_FAR = 20
_BYTES = {"address space", "resident memory", "memory of the cgroup", "Go heap", "Go stacks"}
_STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2em; max-width: 60em; color: #222 }
svg { display: block; margin-bottom: 1.5em } text { font-size: 11px; fill: #555 }
.axis { stroke: #999 } .used { fill: none; stroke: #06c; stroke-width: 2 }
.limit { stroke: #c00; stroke-dasharray: 6 4 } h2 { font-size: 1.05em; margin-bottom: .2em }
"""


def render_page(looks: Sequence[Look]) -> str:
    """The page. Gauges that were never seen are left out."""
    first, last = looks[0], looks[-1]
    begun = strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(first.at))
    title = f"{first.name} ({first.pid})"
    # The runtime's own gauges may be missing in the first look, or in the last.
    names = dict.fromkeys(gauge.name for look in looks for gauge in look.gauges)
    panels = [_panel(name, looks) for name in names]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n"
        f"<p>{len(looks)} looks in {last.at - first.at:.0f} s from {begun}.</p>\n"
        + "\n".join(one for one in panels if one)
        + "\n</html>\n"
    )


def amount_words(name: str, value: float) -> str:
    """A gauge's amount for people: bytes in binary units, the rest as numbers."""
    if name not in _BYTES:
        return f"{value:,.0f}"
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"


def _panel(name: str, looks: Sequence[Look]) -> str:
    seen = [(look.at, gauge) for look in looks for gauge in look.gauges if gauge.name == name]
    points = [(at, gauge.used) for at, gauge in seen if gauge.used is not None]
    if not points:
        return ""
    most = max(used for _at, used in points)
    limit = seen[-1][1].limit
    drawn = limit is not None and limit <= max(most, 1) * _FAR
    top = max(most, limit if drawn and limit else 0, 1) * 1.05
    begin, span = looks[0].at, max(looks[-1].at - looks[0].at, 1e-9)

    def place(at: float, used: float) -> tuple[float, float]:
        across = _LEFT + (at - begin) / span * (_WIDTH - _LEFT - 10)
        return across, _TOP + (1 - used / top) * (_HEIGHT - _TOP - _BOTTOM)

    line = " ".join("{:.1f},{:.1f}".format(*place(at, used)) for at, used in points)
    left, floor = place(begin, 0)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img">',
        f"<title>{escape(name)}</title>",
        f'<path class="axis" fill="none" d="M{left} {_TOP}V{floor:.1f}H{_WIDTH - 10}"/>',
        f'<text x="{left}" y="{_HEIGHT - 6}">0 s</text>',
        f'<text x="{_WIDTH - 10}" y="{_HEIGHT - 6}" text-anchor="end">{span:.0f} s</text>',
        *_mark(name, most, left, place(begin, most)[1]),
    ]
    if drawn and limit is not None:
        height = place(begin, limit)[1]
        parts.append(
            f'<line class="limit" x1="{left}" x2="{_WIDTH - 10}" y1="{height:.1f}" '
            f'y2="{height:.1f}"/>'
        )
        parts += _mark(name, limit, left, height)
    parts += [f'<polyline class="used" points="{line}"/>', "</svg>"]
    return f"<h2>{escape(_heading(name, most, seen[-1][1]))}</h2>\n" + "\n".join(parts)


def _heading(name: str, most: int, gauge: Gauge) -> str:
    words = f"{name}: at most {amount_words(name, most)}"
    if gauge.limit is None:
        return f"{words}; no limit"
    return f"{words} of {amount_words(name, gauge.limit)} ({most / max(gauge.limit, 1):.1%})"


def _mark(name: str, value: float, left: float, height: float) -> tuple[str, ...]:
    text = escape(amount_words(name, value))
    return (f'<text x="{left - 6}" y="{height + 4:.1f}" text-anchor="end">{text}</text>',)
