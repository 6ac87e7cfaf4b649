"""The host compiler's wrapper: static programs and precompiled headers."""

import os
import subprocess
from pathlib import Path

from gotoolforge import store
from gotoolforge.forge.wrapping import share_scripts, wrap_compiler


def test_a_wrapped_compiler_links_static_programs_and_compiles_as_told(tmp_path: Path) -> None:
    said = tmp_path / "said"
    (tmp_path / "cc").write_text(f'#!/bin/sh\necho "$@" > {said}\n')
    (tmp_path / "cc").chmod(0o755)
    wrap_compiler(tmp_path / "host-cc", (str(tmp_path / "cc"), "-a b"), ("-L/l",), [Path("/l.a")])
    answers = {}
    for words in ("-c x.c", "-print-prog-name=ld", "x.c -o x"):
        subprocess.run([tmp_path / "host-cc", *words.split()], check=True)
        answers[words] = said.read_text().strip()
    mapped = f"-a b -w -ffile-prefix-map={store.place('forge')}=/forge"
    assert answers == {
        "-c x.c": f"{mapped} -c x.c",
        "-print-prog-name=ld": f"{mapped} -print-prog-name=ld",
        "x.c -o x": f"{mapped} -static -Wl,-s -Wl,--build-id=none -L/l x.c -o x /l.a",
    }


# A compiler that says what it was told, writes what it is to write, and trips over one header.
_PRECOMPILER = """\
echo "$@" >> SAID
for word; do
  case $previous in
  -o | -MF) echo made > "$word";;
  -include) grep -q broken.h "$word" && exit 1;;
  esac
  previous=$word
done
exit 0
"""
_LICENCE = "/* Copyright\n   http://x.org/  */\n\n// more\n"


def begun_with(*names: str, rest: str = "int x;\n") -> str:
    return _LICENCE + "".join(f'#include "{one}"\n' for one in names) + rest


def test_the_headers_with_which_sources_begin_are_compiled_once(tmp_path: Path) -> None:
    folder, said = tmp_path / "headers", tmp_path / "said"
    folder.mkdir()
    (tmp_path / "cc").write_text("#!/bin/sh\n" + _PRECOMPILER.replace("SAID", str(said)))
    (tmp_path / "cc").chmod(0o755)
    share_scripts(tmp_path)
    compiler = tmp_path / "bin" / "host-c++"
    wrap_compiler(store.ensure_dir(compiler.parent) / "host-c++", (str(tmp_path / "cc"),))

    def compiled(text: str, *options: str, source: str = "gcc/x.cc") -> list[str]:
        """What the compiler was told for a source of that text, each time that it ran."""
        (store.ensure_dir(tmp_path / "gcc") / "x.cc").write_text(text)
        said.write_text("")
        words = (compiler, "-c", *options, "-o", "x.o", "-MT", "x.o", "-MF", "x.d", source)
        env = {**os.environ, "FORGE_HEADERS": str(folder)}
        subprocess.run(words, check=True, cwd=tmp_path, env=env)
        return said.read_text().splitlines()

    plain = begun_with("config.h", "system.h", "coretypes.h", "tm.h")
    (first,) = compiled(plain, "-DA=b c")
    assert "-include" not in first
    assert (tmp_path / "x.d").read_text() == "made\n"
    made, used = compiled(plain, "-DA=b c")
    (header,) = folder.glob("*.h")
    assert (
        header.read_text()
        == begun_with("config.h", "system.h", "coretypes.h", rest="")[len(_LICENCE) :]
    )
    assert f"-c -DA=b c -x c++-header {header} -o {header}.new" in made
    assert f"-include {header} -c -DA=b c -o x.o -MT x.o -MF x.d gcc/x.cc" in used
    # ccache would bring what names the header to where it is not.
    assert (tmp_path / "x.d").read_text() == ""
    assert (tmp_path / "x.o").read_text() == "made\n"
    (again,) = compiled(plain, "-DA=b c")
    assert again == used
    # Other options, or something before the includes: another header, or none.
    (other,) = compiled(plain, "-DA=c")
    assert "-include" not in other
    for text in (
        "#define CHECKED 1\n" + plain,
        begun_with("config.h", "tm.h", "system.h", "coretypes.h"),
        "#ifdef X\n" + plain + "#endif\n",
        "int x;\n" + plain,
    ):
        for _ in range(3):
            (never,) = compiled(text)
            assert "-include" not in never
    # A header for sources of the current folder lies beside them, and is named as they name others.
    for name in ("insn-x.cc", "insn-y.cc"):
        (tmp_path / name).write_text("#pragma GCC diagnostic push\n" + plain)
    compiled(plain, source="insn-x.cc")
    made, used = compiled(plain, source="insn-y.cc")
    (beside,) = tmp_path.glob("forge-*.h")
    assert beside.read_text() == header.read_text()
    assert f"-x c++-header {beside.name} -o {beside.name}.new" in made
    assert f"-include {beside.name} -c -o x.o" in used
    target = "#define IN_TARGET_CODE 1\n" + begun_with(
        "config.h", "system.h", "coretypes.h", "backend.h", "rtl.h", "tree.h", "df.h"
    )
    compiled(target)
    compiled(target)
    assert any(one.read_text().startswith("#define IN_TARGET_CODE 1\n#include") and
               one.read_text().endswith('"tree.h"\n') for one in folder.glob("*.h"))  # fmt: skip


def test_a_header_that_does_not_serve_is_left_out(tmp_path: Path) -> None:
    said = tmp_path / "said"
    (tmp_path / "cc").write_text("#!/bin/sh\n" + _PRECOMPILER.replace("SAID", str(said)))
    (tmp_path / "cc").chmod(0o755)
    (tmp_path / "x.h").write_text('#include "broken.h"\n')
    (tmp_path / "precompile.sh").write_text(f"echo {tmp_path}/x.h\n")
    compiler = store.ensure_dir(tmp_path / "bin") / "host-c++"
    wrap_compiler(compiler, (str(tmp_path / "cc"),))
    env = {**os.environ, "FORGE_HEADERS": str(tmp_path)}
    subprocess.run([compiler, "-c", "x.cc"], check=True, env=env)
    with_it, without = said.read_text().splitlines()
    assert f"-include {tmp_path}/x.h" in with_it
    assert without.endswith("-c x.cc")
    assert "-include" not in without
