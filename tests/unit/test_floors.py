"""The house keeps its floors: a module imports only from its own floor or those below it."""

import ast
from pathlib import Path

import gotoolforge

FLOORS = [
    {"errors", "paths", "finding", ""},
    {"tables", "console", "run", "filebytes", "jsontext"},
    {"headers"},
    {"goelf", "dynsym", "beside", "buildpaths", "notes", "logged"},
    {"target", "recipe", "policy", "elf", "store", "settings", "symptoms", "goflags", "holes",
     "config_mak"},
    {"archive", "distro", "web", "bundle"},
    {"fetch", "sources", "evidence", "witness", "emulator", "compilers.toolchain"},
    {"judgement", "blame", "rootfs", "graph"},
    {"particulars", "objects", "needs"},
    {"compat", "prove", "prove.cell"},
    {"prove.trial"},
    {"prove.engine"},
    {"prove.matrix"},
    {"verify", "gosdk", "pkgconfig", "compilers", "compilers.zig", "compilers.system",
     "compilers.imported"},
    {"cgo", "gobuild"},
    {"forge.recipe", "forge.jobserver", "forge.resume", "forge.manifest"},
    {"forge.workshop", "forge.identity", "forge.wrapping", "forge.sharing"},
    {"forge", "forge.host_zig", "forge.host_gcc", "forge.stages", "forge.progress",
     "forge.probe"},
    {"forge.work"},
    {"forge.pace"},
    {"forge.host"},
    {"forge.build", "forge.transfer", "forge.upkeep", "compilers.gcc"},
    {"provenance", "sbom", "remote", "recipe_check"},
    {"chains", "prebuilt"},
    {"limits", "limits.names", "limits.pprof"},
    {"limits.usage", "limits.advise"},
    {"limits.forecast", "limits.unit"},
    {"limits.watching", "limits.plot"},
    {"parity", "parity.snapshot", "parity.keys", "parity.probe", "parity.alike"},
    {"parity.capture", "parity.compare", "parity.hierarchy"},
    {"parity.group"},
    {"parity.binary", "parity.applying", "parity.forms"},
    {"plan", "placement", "pipeline", "report", "sarif", "difference"},
    {"reproduce"},
    {"seccomp", "seccomp.numbers", "seccomp.machine", "seccomp.gotable", "seccomp.libseccomp",
     "seccomp.code_rows", "seccomp.references_x86", "seccomp.layout"},
    {"seccomp.decode_rows"},
    {"seccomp.image", "seccomp.code_x86", "seccomp.code_lifted", "seccomp.profile"},
    {"seccomp.graph", "seccomp.discover", "seccomp.bpf", "seccomp.defaults"},
    {"seccomp.flow", "seccomp.stacks", "seccomp.trace", "seccomp.kernel",
     "seccomp.ebpf", "seccomp.gotest"},
    {"seccomp.listing", "seccomp.witness_strace", "seccomp.witness_notify", "seccomp.filtered"},
    {"seccomp.witness_qemu", "seccomp.witness_ebpf", "seccomp.witness_log"},
    {"parity.calls"},
    {"seccomp.compare", "seccomp.checking", "seccomp.auditing", "seccomp.embedding"},
    {"seccomp.making", "seccomp.differing", "seccomp.mapping", "seccomp.watching"},
    {"seccomp.verbs", "seccomp.verbs.tracing", "seccomp.verbs.reading", "seccomp.verbs.profiling",
     "seccomp.verbs.judging", "seccomp.verbs.mapping", "seccomp.verbs.watching"},
    {"commands", "commands.golang", "commands.verify", "commands.targets", "commands.doctor",
     "commands.toolchain", "commands.fetching", "commands.recipe"},
    {"commands.compat", "commands.why", "commands.prove", "commands.ci"},
    {"commands.parity", "commands.limits"},
    {"commands.seccomp"},
    {"cli", "__main__"},
]  # fmt: skip
PACKAGE = Path(gotoolforge.__file__).parent


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__").removesuffix("__init__")] = path
    return found


def imported(path: Path, known: set[str]) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gotoolforge"):
            base = (node.module or "").removeprefix("gotoolforge").removeprefix(".")
            inner = {f"{base}.{one.name}".removeprefix(".") for one in node.names}
            names |= (inner & known) or {base}
    return names


def test_every_module_has_a_floor_and_looks_down_only() -> None:
    rows = modules()
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert set(rows) == set(floor)
    upward = [
        f"{name} imports {other}"
        for name, path in rows.items()
        for other in imported(path, set(rows))
        if floor[other] > floor[name]
    ]
    assert not upward


def test_each_outside_thing_has_one_door() -> None:
    doors = {"requests": {"web"}, "sh": {"logged"}, "subprocess": {"run"}, "tqdm": {"web"},
             "rich": {"console"}, "filelock": {"store"}, "platformdirs": {"paths"},
             "psutil": {"limits.usage"},
             "capstone": {"seccomp.code_x86", "seccomp.code_lifted"}}  # fmt: skip
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                named = [node.module or ""]
            for word in named:
                top = word.split(".")[0]
                assert name in doors.get(top, {name}), f"{name} imports {top}"
