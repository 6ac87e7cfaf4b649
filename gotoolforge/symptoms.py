"""What Go's and the linker's messages mean, and the fix. Data: recipes/symptoms.toml."""

import re

from gotoolforge import paths
from gotoolforge.tables import Row, load_table


class Symptom(Row, frozen=True):
    """`pattern` is a regular expression over the whole output."""

    pattern: str
    meaning: str
    fix: str

    def say(self) -> str:
        """What it means and what to do, as sentences."""
        return f"{self.meaning} {self.fix[0].upper()}{self.fix[1:]}."


class _Table(Row, frozen=True):
    symptom: tuple[Symptom, ...]


def load_symptoms() -> tuple[Symptom, ...]:
    """All known symptoms, the more particular first."""
    return load_table(paths.recipes_dir() / "symptoms.toml", _Table).symptom


def recognise(output: str) -> Symptom | None:
    """The first symptom that the output shows, if any."""
    found = (one for one in load_symptoms() if re.search(one.pattern, output))
    return next(found, None)
