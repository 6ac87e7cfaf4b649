"""Built twice in different folders: what is the same, and what differs on purpose."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network]
# The runtime alone: the second build compiles all that the program imports.
HELLO = 'package main\n\nfunc main() { println("hello") }\n'
CGO = (
    'package main\n\n// %s\n// const char *where(void);\nimport "C"\n\n'
    "func main() { println(C.GoString(C.where())) }\n"
)


def built(tool: Run, folder: Path, *words: str, code: int) -> dict[str, Any]:
    done = tool("build", "--reproduce", "--json", *words, ".", cwd=folder)
    assert done.returncode == code, done.stderr
    (one,) = json.loads(done.stdout)["reproduced"]
    return dict(one)


def test_a_pure_module_is_the_same_from_another_folder(
    tool: Run, module: Callable[..., Path]
) -> None:
    one = built(tool, module(main__go=HELLO), code=0)
    assert one["same"]
    assert one["sha256"] == one["second_sha256"]


def test_a_store_in_somebodys_checkout_is_not_taken_for_the_module_s(
    tool: Run, module: Callable[..., Path], tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        checkout.mkdir(exist_ok=True)
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *who, *words], cwd=checkout, check=True)
    words = ("build", "--reproduce", "--json", ".")
    done = tool(*words, cwd=module(main__go=HELLO), GOTOOLFORGE_CACHE=str(checkout / "cache"))
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)["reproduced"]
    assert one["same"]


def test_c_that_holds_its_folder_differs_and_is_explained(
    tool: Run, module: Callable[..., Path]
) -> None:
    folder = module(
        main__go=CGO % "#cgo CFLAGS: -I${SRCDIR}",
        where__c="#include <where.h>\n",
        where__h="const char *where(void) { return __FILE__; }\n",
    )
    one = built(tool, folder, "-trimpath=false", code=1)
    assert not one["same"]
    said = [two for two in one["differences"] if "/elsewhere/" in two["second"]]
    assert said, one
    assert any("the folder that it was built in" in two["cause"] for two in said)


def test_untrimmed_go_differs_and_the_build_ids_follow(
    tool: Run, module: Callable[..., Path]
) -> None:
    one = built(tool, module(main__go=HELLO), "-trimpath=false", code=1)
    follows = [two["section"] for two in one["differences"] if two["follows"]]
    assert ".note.go.buildid" in follows
    leading = [two for two in one["differences"] if not two["follows"]]
    assert leading
    assert one["differences"][-1]["follows"]


@pytest.mark.system
def test_c_that_holds_the_time_differs_and_the_symbol_is_named(
    tool: Run, module: Callable[..., Path]
) -> None:
    # The second build compiles Go's runtime before this file, so that its second is another.
    text = "const char when[] = __TIME__;\nconst char *where(void) { return when; }\n"
    folder = module(main__go=CGO % "#include <stddef.h>", where__c=text)
    one = built(tool, folder, "--toolchain", "system", code=1)
    (said,) = [two for two in one["differences"] if "__TIME__" in two["cause"]]
    assert (said["section"], said["symbol"]) == (".rodata", "when")
