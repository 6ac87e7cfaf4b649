"""ci: write the workflow that builds, verifies and tries a program on each push."""

import argparse
import json
import shlex
import string
import sys

from gotoolforge import paths
from gotoolforge.errors import EXIT_OK
from gotoolforge.run import quote
from gotoolforge.target import default_target, find_target

IMAGES = ("debian:12-slim", "ubuntu:22.04", "rockylinux:8", "alpine:3.22")
EPILOG = """\
The workflow goes to stdout: gotoolforge ci github --package ./cmd/app --smoke=--version
                             > .github/workflows/static.yml
"""


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """The host of the code, what is built, and where it is tried."""
    parser.epilog = EPILOG
    parser.add_argument("host", choices=("github", "gitlab"), help="whose workflow")
    parser.add_argument(
        "--smoke", default="", metavar="WORDS", help="its arguments there: --smoke=--version"
    )
    parser.add_argument("--package", default=".", metavar="PACKAGE", help="default: .")
    parser.add_argument("--target", metavar="TARGET", help="default: this machine's")
    parser.add_argument(
        "--image",
        action="append",
        metavar="IMAGE",
        help=f"where it is tried; repeatable; default: {', '.join(IMAGES)}",
    )
    parser.add_argument("--install", default="gotoolforge[kit]", metavar="WHAT", help="for pip")


def run(parsed: argparse.Namespace) -> int:
    """Fill in the template of `recipes/ci`."""
    target = find_target(parsed.target) if parsed.target else default_target()
    text = (paths.recipes_dir() / "ci" / f"{parsed.host}.yml").read_text()
    filled = string.Template(text).substitute(
        INSTALL=quote([parsed.install]),
        TARGET=target.name,
        PACKAGE=quote([parsed.package]),
        IMAGES=json.dumps(parsed.image or IMAGES),  # which is YAML too
        ARGS=quote(shlex.split(parsed.smoke)),
    )
    sys.stdout.write(filled)
    return EXIT_OK
