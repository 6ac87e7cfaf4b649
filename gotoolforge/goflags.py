"""Go's own flags: which there are, how Go quotes them, and how ours join the user's.

The quoting is cmd/internal/quoted's: a field that begins with ' or " runs to the next such
character; a quote inside a field is an ordinary character; there are no escapes. `shlex` differs.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gotoolforge.errors import RefusedError, UsageError

# `go help build`, Go 1.27. A boolean takes a value only as -flag=value.
BOOLEAN_FLAGS = frozenset(
    "a n v x json asan msan race cover linkshared modcacherw trimpath work buildvcs".split()
)
VALUE_FLAGS = frozenset(
    """C p o tags ldflags gcflags asmflags gccgoflags buildmode compiler covermode coverpkg
    installsuffix mod modfile overlay pgo pkgdir toolexec debug-actiongraph debug-trace""".split()
)
# `go help testflag`, beyond the build flags.
TEST_BOOLEAN_FLAGS = frozenset("c i short failfast benchmem fullpath artifacts".split())
TEST_VALUE_FLAGS = frozenset(
    """bench benchtime blockprofile blockprofilerate count coverprofile cpu cpuprofile exec fuzz
    fuzzcachedir fuzzminimizetime fuzztime list memprofile memprofilerate mutexprofile
    mutexprofilefraction outputdir parallel run shuffle skip testlogfile timeout trace
    vet""".split()
)
# What `go list` must see too, since it changes which files and packages make the program.
_LOADING_FLAGS = frozenset({"mod", "modfile", "overlay", "modcacherw", "installsuffix"})


class GoFlag(msgspec.Struct, frozen=True):
    """One flag of the go command; `value` is None for a boolean given bare."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return f"-{self.name}" if self.value is None else f"-{self.name}={self.value}"


class GoFlags(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's flags in order, GOFLAGS' before those of the command line (the later wins)."""

    from_env: tuple[GoFlag, ...] = ()
    from_line: tuple[GoFlag, ...] = ()

    def all(self) -> tuple[GoFlag, ...]:
        """Every flag, in the order in which Go would apply them."""
        return self.from_env + self.from_line

    def last(self, name: str) -> str | None:
        """The value that wins for `name`; "true" for a bare boolean; None if it is not given."""
        values = [flag.value or "true" for flag in self.all() if flag.name == name]
        return values[-1] if values else None

    def is_on(self, name: str) -> bool:
        """Whether a boolean flag ends up true."""
        return (self.last(name) or "false").lower() in {"true", "1", "t", "auto"}

    def loading(self) -> tuple[str, ...]:
        """The flags of the command line that `go list` must be given too."""
        return tuple(str(flag) for flag in self.from_line if flag.name in _LOADING_FLAGS)

    def others(self, merged: Iterable[str]) -> tuple[str, ...]:
        """The flags of the command line that nobody merges, to be handed on as they are."""
        drop = {*merged, "C", "o"}
        return tuple(str(flag) for flag in self.from_line if flag.name not in drop)


def split_quoted(text: str) -> list[str]:
    """Fields of `text` as Go reads them from -ldflags, GOFLAGS or CC. Raises UsageError."""
    fields: list[str] = []
    rest = text.lstrip()
    while rest:
        if rest[0] in "'\"":
            field, closed, rest = rest[1:].partition(rest[0])
            if not closed:
                what = f"a quote is not closed in {text!r}"
                raise UsageError(what)
        else:
            field, *tail = rest.split(maxsplit=1)
            rest = tail[0] if tail else ""
        fields.append(field)
        rest = rest.lstrip()
    return fields


def join_quoted(fields: Iterable[str]) -> str:
    """The inverse of `split_quoted`. Raises UsageError for a field with both kinds of quotes."""
    words = []
    for field in fields:
        plain = field and not any(c.isspace() for c in field) and field[0] not in "'\""
        if plain:
            words.append(field)
        elif "'" not in field:
            words.append(f"'{field}'")
        elif '"' not in field:
            words.append(f'"{field}"')
        else:
            what = f"Go has no way to quote {field!r}: it holds both kinds of quotes"
            raise UsageError(what)
    return " ".join(words)


def take_go_flags(
    words: Sequence[str], ours: frozenset[str], *, test: bool = False
) -> tuple[list[GoFlag], list[str]]:
    """Part the go command's flags from the rest of a command line.

    Go spells its flags with one dash or two; a two-dash word in `ours` is ours, so `--json` asks
    gotoolforge and `-json` asks Go. Words after `--` are left alone. Raises UsageError.
    """
    booleans = BOOLEAN_FLAGS | (TEST_BOOLEAN_FLAGS if test else frozenset())
    valued = VALUE_FLAGS | (TEST_VALUE_FLAGS if test else frozenset())
    flags: list[GoFlag] = []
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return flags, [*rest, word, *queue]
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or word.split("=")[0] in ours:
            rest.append(word)
        elif name in booleans:
            flags.append(GoFlag(name, value if equals else None))
        elif name in valued:
            if not equals and not queue:
                what = f"-{name} wants a value"
                raise UsageError(what)
            flags.append(GoFlag(name, value if equals else queue.pop(0)))
        else:
            rest.append(word)
    return flags, rest


def parse_goflags(text: str) -> tuple[GoFlag, ...]:
    """The flags in GOFLAGS; every entry must be `-flag` or `-flag=value`, as Go wants it."""
    found = []
    for word in split_quoted(text):
        name, equals, value = word.lstrip("-").partition("=")
        found.append(GoFlag(name, value if equals else None))
    return tuple(found)


def goflags_without(flags: Iterable[GoFlag], names: Iterable[str]) -> str:
    """GOFLAGS without those flags that are merged into the command line."""
    drop = set(names)
    return join_quoted(str(flag) for flag in flags if flag.name not in drop)


_REFUSED_MODES = {
    "c-shared": "a C shared library of Go code uses initial-exec TLS, which musl's loader refuses "
    "in a library loaded later (golang/go#54805)",
    "c-archive": "musl gives initialisers no argc and argv, and Go's runtime crashes in such an "
    "archive (golang/go#13492)",
    "plugin": "a plugin is loaded by the host's dynamic loader, and a static program has none",
    "shared": "a shared library of Go packages needs the host's dynamic loader",
}
_REFUSED_SANITIZERS = {
    "race": "the race detector's runtime is built for glibc; run `go test -race` on its own",
    "msan": "the memory sanitizer's runtime is built for glibc",
    "asan": "the address sanitizer's runtime is built for glibc",
    "linkshared": "it links against shared Go libraries of the host",
}


def refuse_impossible(flags: GoFlags, *, allow_toolexec: bool = False) -> None:
    """Refuse, with the reason, what cannot give a static program. Raises RefusedError."""
    mode = flags.last("buildmode")
    if mode in _REFUSED_MODES:
        what = f"-buildmode={mode} is refused for musl: {_REFUSED_MODES[mode]}"
        raise RefusedError(what, hint="build an executable (-buildmode=exe or pie)")
    if mode not in {None, "exe", "pie", "default"}:
        what = f"-buildmode={mode} makes no executable, so there is nothing to verify"
        raise RefusedError(what, hint="build an executable (-buildmode=exe or pie)")
    for name, reason in _REFUSED_SANITIZERS.items():
        if flags.is_on(name):
            what = f"-{name} is refused for musl: {reason}"
            raise RefusedError(what, hint=f"leave -{name} out of this build")
    if flags.last("compiler") == "gccgo":
        what = "-compiler=gccgo is refused: its runtime is a library of the host"
        raise RefusedError(what, hint="leave it out; the gc compiler is meant here")
    if flags.last("toolexec") and not allow_toolexec:
        where = "GOFLAGS" if any(f.name == "toolexec" for f in flags.from_env) else "the flags"
        what = f"-toolexec in {where} would run a program of its own for every compile step"
        raise RefusedError(what, hint="pass --allow-toolexec if that is what you want")
