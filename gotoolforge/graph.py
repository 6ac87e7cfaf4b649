"""A small directed graph as Graphviz or mermaid text."""

import msgspec


class Edge(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """`label` stands at the arrow, and may be empty."""

    begin: str
    end: str
    label: str = ""


def render_dot(edges: list[Edge]) -> str:
    """Graphviz: `dot -Tsvg`."""
    lines = ["digraph why {", "  rankdir=LR;", "  node [shape=box];"]
    for one in dict.fromkeys(edges):
        label = f" [label={_quoted(one.label)}]" if one.label else ""
        lines.append(f"  {_quoted(one.begin)} -> {_quoted(one.end)}{label};")
    return "\n".join([*lines, "}"])


def render_mermaid(edges: list[Edge]) -> str:
    """Mermaid, which code hosts draw in Markdown."""
    names: dict[str, str] = {}
    lines = ["flowchart LR"]
    for one in dict.fromkeys(edges):
        ends = []
        for text in (one.begin, one.end):
            known = text in names
            name = names.setdefault(text, f"n{len(names)}")
            ends.append(name if known else f'{name}["{_escaped(text)}"]')
        arrow = f'-- "{_escaped(one.label)}" -->' if one.label else "-->"
        lines.append(f"  {ends[0]} {arrow} {ends[1]}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
