"""Upstream's form of GCC makes what the distribution's repacked one makes.

The two differ by the manuals, which the distribution leaves out. Upstream's file is put together
here: the repacked tree with the one manual in it that the build reads, as GCC's own program writes
it from GCC's sources.
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from gotoolforge import archive, paths, store
from gotoolforge.console import Console
from gotoolforge.forge.build import fetch_components
from gotoolforge.forge.identity import host_triple
from gotoolforge.forge.manifest import load_manifest
from gotoolforge.forge.recipe import load_recipe
from gotoolforge.forge.stages import target_stages
from gotoolforge.forge.workshop import Workshop
from gotoolforge.target import find_target

from .conftest import gotoolforge
from .test_forge import make_host

pytestmark = [pytest.mark.forge, pytest.mark.go, pytest.mark.long]


def test_upstreams_form_of_gcc_makes_what_the_repacked_one_makes(
    languages: str, tmp_path: Path
) -> None:
    words = ("toolchain", "build", "amd64", "--languages", languages)
    repacked = gotoolforge(*words)
    assert repacked.returncode == 0, repacked.stderr
    file = packed(upstreams_tree(tmp_path), tmp_path)
    place = tmp_path / "store"
    (place / "downloads").mkdir(parents=True)
    for one in store.place("downloads").iterdir():
        if "gcc" not in one.name:
            (place / "downloads" / one.name).symlink_to(one)
    # Python takes modules from the current folder before all others.
    checkout = checkout_that_knows(file, tmp_path / "checkout")
    done = gotoolforge(
        *words, "--from", str(file.parent), cwd=checkout, GOTOOLFORGE_CACHE=str(place)
    )
    assert done.returncode == 0, done.stderr
    first, second = (Path(one.stdout.strip()) for one in (repacked, done))
    assert file.name in [one.file for one in load_manifest(second).components]
    assert file.name not in [one.file for one in load_manifest(first).components]
    assert_same(first, second)


def assert_same(first: Path, second: Path) -> None:
    """Both hold the same files but for the digest of the recipe, which `gcc -v` names: the recipe
    that knows the other file is another one."""
    before, after = (json.loads((one / "files.json").read_text()) for one in (first, second))
    assert before.keys() == after.keys()
    digests = [store.short(load_manifest(one).digest).encode() for one in (first, second)]
    for name in (one for one in before if before[one] != after[one]):
        assert (first / name).read_bytes().replace(*digests) == (second / name).read_bytes(), name


def upstreams_tree(folder: Path) -> Path:
    """GCC's tree as upstream has it, but for parts that no toolchain of ours uses."""
    forge, console = load_recipe(), Console(quiet=True)
    got = fetch_components(forge, console, offline=True)["gcc"]
    archive.unpack(got.path, folder / "outer")
    (inner,) = folder.glob(f"outer/**/{got.form.inner}")
    archive.unpack(inner, folder / "tree", forge.skip["gcc"])
    (tree,) = (folder / "tree").iterdir()
    shop = Workshop(
        root=folder,
        work=folder / "work",
        host=make_host(store.place()),
        sources=dict.fromkeys(forge.sources, tree),
        host_triple=host_triple(),
    )
    store.ensure_dir(shop.answers)
    stage = target_stages(forge, shop, find_target("amd64"), ("c",))[1]
    folders, *begin, make, _, _ = stage.commands
    shared = (*make.argv[:-2], "-j2")
    env = {**os.environ, **{name: value or "" for name, value in make.env.items()}}
    subprocess.run(folders.argv, check=True)
    store.ensure_dir(stage.folder)
    for argv in (
        *(one.argv for one in begin),
        (*shared, "all-libiberty", "configure-gcc"),
        (*shared, "-C", "gcc", "build/genhooks"),
    ):
        done = subprocess.run(argv, cwd=stage.folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    write_manual(tree / "gcc" / "doc", stage.folder / "gcc" / "build" / "genhooks")
    return tree


def write_manual(doc: Path, genhooks: Path) -> None:
    """tm.texi.in with a place for every hook, and tm.texi as genhooks makes it of that."""
    asks, text = doc / "tm.texi.in", "@c The manual of GCC's hooks.\n"
    while True:
        asks.write_text(text)
        done = subprocess.run([genhooks, "-d", asks], capture_output=True, text=True)
        if done.returncode == 0:
            break
        wanted = re.search(r"No place specified to document hook (\S+)", done.stderr)
        assert wanted, done.stderr
        text += f"\n@hook {wanted[1]}\n"
    assert text.count("@hook") > 300
    (doc / "tm.texi").write_text(done.stdout)


def packed(tree: Path, folder: Path) -> Path:
    """The tree as a tarball."""
    file = store.ensure_dir(folder / "given") / f"{tree.name}.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=1) as tar:
        tar.add(tree, tree.name)
    return file


def checkout_that_knows(file: Path, folder: Path) -> Path:
    """gotoolforge with that file in place of upstream's in its recipe."""
    for name in ("gotoolforge", "recipes"):
        shutil.copytree(paths.recipes_dir().parent / name, folder / name)
    (folder / "pyproject.toml").touch()
    recipe = folder / "recipes" / "sources" / "gcc.toml"
    upstream, repacked = re.split(r"(?<=\n)(?=\[\[forms\]\]\n)", recipe.read_text())[1:]
    head = recipe.read_text().split("[[forms]]", 1)[0]
    for key, value in (("file", f'"{file.name}"'), ("sha256", f'"{store.file_sha256(file)}"'),
                       ("size", str(file.stat().st_size))):  # fmt: skip
        upstream, times = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", upstream)
        assert times == 1
    recipe.write_text(head + upstream + repacked)
    return folder
