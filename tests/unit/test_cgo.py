"""Who decides that C is needed: packages outside the standard library, and nobody else."""

from gotoolforge.cgo import Package, decode_packages, executable_name, sort_out

LISTED = """{
\t"ImportPath": "net",
\t"Name": "net",
\t"Standard": true,
\t"DepOnly": true,
\t"CgoFiles": ["cgo_unix.go"]
}
{
\t"ImportPath": "example.com/db",
\t"Name": "db",
\t"DepOnly": true,
\t"CgoFiles": ["db.go"],
\t"CXXFiles": ["db.cpp"],
\t"CgoLDFLAGS": ["-lz"],
\t"CgoPkgConfig": ["libpng"],
\t"Module": {"Path": "example.com/db", "Version": "v1.0.0", "Replace": {"Path": "../db"}}
}
{
\t"ImportPath": "example.com/app",
\t"Name": "main",
\t"GoFiles": ["main.go"]
}
"""


def test_only_packages_outside_the_standard_library_decide() -> None:
    program = sort_out(decode_packages(LISTED))
    assert [need.package for need in program.needs] == ["example.com/db"]
    assert program.std_cgo == ("net",)
    assert program.wants_cxx
    assert program.pkg_config == ("libpng",)
    assert program.replaced == ("example.com/db => ../db",)
    assert [one.import_path for one in program.mains] == ["example.com/app"]
    reasons = "; ".join(program.needs[0].reasons)
    assert "cgo (db.go)" in reasons
    assert "C++ (db.cpp)" in reasons
    assert "links -lz" in reasons
    assert "pkg-config libpng" in reasons


def test_standard_cgo_alone_needs_no_c() -> None:
    only_std = tuple(one for one in decode_packages(LISTED) if one.import_path != "example.com/db")
    assert sort_out(only_std).needs == ()


def test_gos_own_assembler_needs_no_c() -> None:
    assert Package(import_path="x", s_files=("add_amd64.s",)).reasons == ()
    assert Package(import_path="x", syso_files=("blob.syso",)).reasons


def test_executable_names_are_gos() -> None:
    def name(path: str) -> str:
        return executable_name(Package(import_path=path, go_files=("tool.go",)))

    assert name("example.com/cmd/app") == "app"
    assert name("example.com/app/v2") == "app"
    assert name("example.com/app/v1") == "v1"
    assert name("command-line-arguments") == "tool"
