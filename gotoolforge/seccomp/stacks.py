"""Names for addresses of a running program, and Go stacks by the frame sizes of its own table."""

from pathlib import Path

from gotoolforge.errors import GotoolforgeError
from gotoolforge.seccomp.image import Image


class Symbols:
    """Function names of one program; without names where the file cannot be read."""

    def __init__(self, program: Path) -> None:
        self.image: Image | None = None
        try:
            self.image = Image(program)
        except GotoolforgeError:
            return

    def name(self, address: int) -> tuple[str, ...]:
        """The function at an address, as a stack of one; empty if nobody knows."""
        found = self.image.function_at(address) if self.image else None
        return (found.name,) if found else ()
