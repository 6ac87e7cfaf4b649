"""The workflows that `ci` writes: YAML that holds, with commands that our own parser takes."""

import shlex

import pytest
import yaml

from gotoolforge import cli


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_a_workflow_builds_verifies_and_tries(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ci", host, "--package", "./cmd/my app", "--target", "arm64", "--image", "debian:12"]
    assert cli.main([*words, "--smoke=--version"]) == 0
    text = capsys.readouterr().out
    jobs = yaml.safe_load(text)
    assert "'./cmd/my app'" in text
    if host == "github":
        lines = [step["run"] for step in jobs["jobs"]["build"]["steps"] if "run" in step]
        (smoke,) = [s["run"] for s in jobs["jobs"]["try"]["steps"] if "docker" in s.get("run", "")]
        images = jobs["jobs"]["try"]["strategy"]["matrix"]["image"]
        assert "${{ matrix.image }}" in smoke
        assert '"$PWD/dist' in smoke
    else:
        lines = jobs["build"]["script"]
        (smoke,) = jobs["try"]["script"]
        images = jobs["try"]["parallel"]["matrix"][0]["IMAGE"]
    assert images == ["debian:12"]
    assert smoke.strip().endswith("--version")
    ours = [shlex.split(line.partition(" > ")[0])[1:]
            for line in lines if line.startswith("gotoolforge ")]  # fmt: skip
    assert [one[0] for one in ours] == ["build", "verify"]
    for one in ours:
        kept = [word for word in one if word not in {"-o", "dist/app"}]
        cli.make_parser("build", "verify").parse_args(kept if one[0] == "build" else one)
