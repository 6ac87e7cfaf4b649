"""What each key of a snapshot means. Data: recipes/parity/keys.toml."""

from fnmatch import fnmatchcase
from typing import Literal

from gotoolforge import paths
from gotoolforge.finding import Severity
from gotoolforge.tables import Row, load_table

Compare = Literal["equal", "at-least", "at-most", "superset", "works", "note"]

# linux/capability.h, in the order of their bits.
CAPABILITIES = tuple(
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore".split()
)


class KeyRow(Row, frozen=True):
    """`key` is a shell pattern; the other fields are explained at the top of the data file."""

    key: str
    changes: str
    source: str
    compare: Compare
    severity: Severity
    laptop: str
    server: str
    hex: bool = False


class _Table(Row, frozen=True):
    key: tuple[KeyRow, ...]


def load_keys() -> tuple[KeyRow, ...]:
    """All rows; the first whose pattern fits a key is that key's."""
    return load_table(paths.recipes_dir() / "parity" / "keys.toml", _Table).key


def find_key(key: str, rows: tuple[KeyRow, ...]) -> KeyRow:
    """The row of `key`; the last row fits everything."""
    return next(row for row in rows if fnmatchcase(key, row.key))
