"""The verifier's confusion table: every file of the tests' corpus, judged; wanted against given.

scripts/bench_verdicts.py            what CI makes; --all adds the slow ones
scripts/bench_verdicts.py --append   adds the table to BENCHMARKS.md
"""

import argparse
import datetime
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gotoolforge.policy import load_policy  # noqa: E402
from gotoolforge.verify import verify_file  # noqa: E402
from tests.corpus.cases import CASES, Corpus  # noqa: E402


def judge(corpus: Corpus, names: list[str]) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Pairs of wanted and given verdict, counted; and a line for each that differs."""
    policy = load_policy("no-host-libc")
    pairs: Counter[tuple[str, str]] = Counter()
    wrong = []
    for name in names:
        case = CASES[name]
        report = verify_file(corpus.path(name), policy=policy)
        given = report.verdict or "unreadable"
        pairs[case.verdict, given] += 1
        against = [one.words for one in report.witnesses if one.state == "contradicts"]
        if (given, report.linkage) != (case.verdict, case.linkage) or against:
            wanted = f"wanted {case.verdict}, {case.linkage}"
            wrong.append(f"{name}: {wanted}; given {given}, {report.linkage}; {against}")
    return pairs, wrong


def confusion(pairs: Counter[tuple[str, str]]) -> str:
    """The pairs as a Markdown table: a row for each verdict wanted."""
    given = sorted({seen for _, seen in pairs})
    rows = [f"| wanted \\ given | {' | '.join(given)} |", "|---" * (len(given) + 1) + "|"]
    for wanted in sorted({want for want, _ in pairs}):
        cells = [str(pairs[wanted, seen] or "") for seen in given]
        rows.append(f"| {wanted} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="the slow ones too")
    parser.add_argument("--append", action="store_true", help="add the table to BENCHMARKS.md")
    options = parser.parse_args()
    names = [name for name, case in CASES.items() if options.all or not case.slow]
    with tempfile.TemporaryDirectory() as folder:
        pairs, wrong = judge(Corpus(Path(folder)), names)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    head = f"## Verdicts, {datetime.date.today()}, commit {commit}"
    table = f"\n{head}\n\n{len(names)} files, {len(wrong)} wrong.\n\n{confusion(pairs)}\n"
    print(table, *wrong, sep="\n")
    if options.append:
        with (ROOT / "BENCHMARKS.md").open("a") as file:
            file.write(table)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
