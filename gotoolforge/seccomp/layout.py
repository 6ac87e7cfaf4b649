"""How an executable is laid out: its sections, where its code is, where pointers may lie."""

from pathlib import Path
from typing import Any

from gotoolforge.errors import UnreadableError

Segment = dict[str, Any]
Ranges = list[tuple[int, int]]


def read_sections(elf: Any) -> list[Any]:
    """The sections; none where they cannot be read, since no loader looks at them."""
    try:
        return list(elf.iter_sections()) if elf.header["e_shoff"] else []
    # pyelftools raises whatever its parser meets in a broken file.
    except Exception:
        return []


def named(sections: list[Any], name: str) -> Any:
    """The section of a name, or None."""
    return next((one for one in sections if one.name == name), None)


def code_ranges(sections: list[Any], segments: list[Segment], entry: int) -> Ranges:
    """Executable addresses that the file fills.

    A linker may put constants into the segment of the code (RISC-V's does): sections tell them
    apart, where there are any.
    """
    ranges = [
        (one["sh_addr"], one["sh_addr"] + one["sh_size"])
        for one in sections
        if one["sh_flags"] & 4 and one["sh_type"] != "SHT_NOBITS"
    ]
    if any(begin <= entry < end for begin, end in ranges):
        return ranges
    return [
        (one["p_vaddr"], one["p_vaddr"] + one["p_filesz"])
        for one in segments
        if one["p_type"] == "PT_LOAD" and one["p_flags"] & 1
    ]


def data_ranges(sections: list[Any], segments: list[Segment]) -> Ranges:
    """Where pointers may lie: all loaded bytes but code and what the toolchain keeps for itself.

    Go's function table and DWARF hold no pointers that a program follows to call something.
    """
    skip = (".text", ".gopclntab", ".debug", ".eh_frame", ".symtab", ".strtab", ".rela", ".rel.")
    ranges = [
        (one["sh_addr"], one["sh_addr"] + one["sh_size"])
        for one in sections
        if one["sh_flags"] & 2 and one["sh_type"] != "SHT_NOBITS" and not one["sh_flags"] & 4
        and not one.name.startswith(skip)
    ]  # fmt: skip
    if ranges:
        return ranges
    return [
        (one["p_vaddr"], one["p_vaddr"] + one["p_filesz"])
        for one in segments
        if one["p_type"] == "PT_LOAD" and not one["p_flags"] & 1
    ]


def find_got(sections: list[Any]) -> int:
    """Where the global offset table lies, or 0: i386's position-independent code counts from it."""
    found = (named(sections, one) for one in (".got.plt", ".got"))
    return next((int(one["sh_addr"]) for one in found if one), 0)


def open_elf(path: Path) -> Any:
    """A file as pyelftools reads it. Raises UnreadableError for what is no whole ELF file."""
    import io

    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        raw = path.read_bytes()
        elf = ELFFile(io.BytesIO(raw))
        for one in elf.iter_segments():
            if one["p_type"] == "PT_LOAD" and one["p_offset"] + one["p_filesz"] > len(raw):
                what = f"{path} is cut short: a segment goes beyond its end"
                raise UnreadableError(what, hint="copy or build it again")
    except OSError as error:
        what = f"cannot read {path}: {error.strerror}"
        raise UnreadableError(what, hint="is the name right?") from error
    except UnreadableError:
        raise
    # pyelftools raises whatever its parser meets in a broken file.
    except (ELFError, Exception) as error:
        if not isinstance(error, ELFError):
            raise broken(path, error) from error
        what = f"{path} is not an ELF file: {error}"
        raise UnreadableError(what, hint="name a program for Linux (an ELF file)") from error
    return elf


def broken(path: Path, error: Exception) -> UnreadableError:
    """The error that says so."""
    what = f"{path} is a broken ELF file: {error}"
    return UnreadableError(what, hint="copy or build it again")
