"""From source: the chain of imports from the main package to each package that brings C."""

from collections import deque

import msgspec

from gotoolforge import blame, run
from gotoolforge.beside import ahead
from gotoolforge.cgo import Package, decode_packages
from gotoolforge.errors import PlanError
from gotoolforge.run import Command


class Edges(msgspec.Struct, frozen=True, rename="pascal"):
    """Whom a package imports, as `go list` prints it."""

    import_path: str
    imports: tuple[str, ...] = ()


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """One package with C: `imports` lead from the main package to it, both included.

    `remedy` is what takes its C away; `has_twin` says that it also compiles without cgo.
    """

    package: str
    module: str
    reasons: tuple[str, ...]
    imports: tuple[str, ...]
    remedy: str
    has_twin: bool


def find_chains(
    list_words: tuple[str, ...], command: Command
) -> tuple[tuple[Package, ...], tuple[Chain, ...]]:
    """Every package, and the shortest chain to each that needs C, the standard library's own too.

    `list_words` is a `go list -deps -json=...`; it is asked with cgo on, and without beside that.
    Raises PlanError with Go's own words.
    """
    # -e: a package of cgo files alone is an error without cgo, and here an answer.
    tolerant = (*list_words[:2], "-e", *list_words[2:])
    bare = msgspec.structs.replace(command, env={**command.env, "CGO_ENABLED": "0"})
    without = ahead(lambda: _ask(tolerant, bare))
    more = tuple(f"{word},Imports" if word.startswith("-json=") else word for word in list_words)
    text = _ask(more, command)
    packages, edges = decode_packages(text), _decode_edges(text)
    twins = {one.import_path for one in decode_packages(without()) if one.go_files}
    roots = tuple(one.import_path for one in packages if not one.dep_only)
    paths = _shortest(roots, edges)
    table = blame.load_blame()
    chains = tuple(
        Chain(
            package=one.import_path,
            module=f"{one.module.path} {one.module.version}".strip() if one.module else "",
            reasons=one.reasons,
            imports=paths.get(one.import_path, (one.import_path,)),
            remedy=_remedy(one, table, twin=one.import_path in twins),
            has_twin=one.import_path in twins,
        )
        for one in packages
        if one.reasons
    )
    return packages, chains


def _ask(words: tuple[str, ...], command: Command) -> str:
    answer = run.ask(msgspec.structs.replace(command, argv=words))
    if answer.code:
        raise PlanError(answer.err.strip(), hint="`go list` says why")
    return answer.out


def _decode_edges(text: str) -> dict[str, tuple[str, ...]]:
    joined = "[" + text.strip().replace("\n}\n{\n", "\n},\n{\n") + "]"
    rows = msgspec.json.decode(joined, type=tuple[Edges, ...])
    return {one.import_path: one.imports for one in rows}


def _shortest(
    roots: tuple[str, ...], edges: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    paths: dict[str, tuple[str, ...]] = {root: (root,) for root in roots}
    queue = deque(roots)
    while queue:
        here = queue.popleft()
        for there in edges.get(here, ()):
            if there not in paths:
                paths[there] = (*paths[here], there)
                queue.append(there)
    # Every package with `import "C"` gets runtime/cgo from the go command, not by an import line.
    if "runtime/cgo" in edges and "runtime/cgo" not in paths:
        users = [path for name, path in paths.items() if "C" in edges.get(name, ())]
        if users:
            paths["runtime/cgo"] = (*min(users, key=len), "runtime/cgo")
    return paths


def _remedy(package: Package, table: blame.Table, *, twin: bool) -> str:
    for row in table.instead:
        if package.import_path == row.package or package.import_path.startswith(row.package + "/"):
            return row.use
    if twin:
        return "CGO_ENABLED=0: it has files for that, try whether they do all you need"
    return "link it against musl: gotoolforge build"
