"""The store: what a run leaves in it, and what it takes away."""

import os
import subprocess
import sys
from pathlib import Path

from gotoolforge import store

LONG_AGO = (1, 1)


def test_what_a_killed_run_left_goes_with_the_next_and_a_living_ones_stays(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", "import os, signal, sys; from pathlib import Path\n"
         "from gotoolforge import store\n"
         "with store.scratch_dir(near=Path(sys.argv[1])) as made:\n"
         "    (made / 'half').write_bytes(b'x')\n"
         "    os.kill(os.getpid(), signal.SIGKILL)\n", str(tmp_path)],
    )  # fmt: skip
    assert killed.returncode < 0
    (left,) = tmp_path.iterdir()
    with store.scratch_dir(near=tmp_path) as living:
        assert left.is_dir()  # it could be one that is only being made
        os.utime(left, LONG_AGO)
        os.utime(living, LONG_AGO)
        with store.scratch_dir(near=tmp_path) as third:
            assert {*tmp_path.iterdir()} == {living, third}
    assert not [*tmp_path.iterdir()]


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    named_alike = tmp_path / "gotoolforge-1"
    named_alike.mkdir()
    os.utime(named_alike, LONG_AGO)
    with store.scratch_dir(near=tmp_path):
        assert named_alike.is_dir()
