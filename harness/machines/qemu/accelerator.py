"""Whether KVM works: found out with a guest of a few bytes, for /dev/kvm may open and its guests still
hang."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from harness.processes import run_child

__all__ = ["BOOT_SECTOR", "kvm_works"]

PROBE_SECONDS: Final = 3.0
"""How long the guest may take that ends at once; where KVM works it takes a few tenths."""
_EXIT_PORT: Final = 0x501
_EXIT_VALUE: Final = 0x10
_EXIT_CODE: Final = _EXIT_VALUE << 1 | 1
"""What isa-debug-exit makes of the value that is written to it."""
BOOT_SECTOR: Final = (
    bytes((0xBA, _EXIT_PORT & 0xFF, _EXIT_PORT >> 8))  # mov dx, _EXIT_PORT
    + bytes((0xB0, _EXIT_VALUE))  # mov al, _EXIT_VALUE
    + b"\xee"  # out dx, al
    + b"\xfa\xf4\xeb\xfc"  # cli; hlt; and again
).ljust(510, b"\0") + b"\x55\xaa"
"""Ends QEMU through its device isa-debug-exit."""


@functools.cache
def kvm_works(program: str) -> bool:
    """Whether a guest of QEMU runs under KVM on this machine; asked once in a process.

    :param program: QEMU's.
    """
    return boots(program, "kvm")


def boots(program: str, accelerator: str, *, timeout: float = PROBE_SECONDS) -> bool:
    """Whether a boot sector runs to its end with the accelerator.

    :param timeout: seconds.
    """
    with tempfile.TemporaryDirectory(prefix="procnotify-") as folder:
        disk = Path(folder) / "boot.img"
        disk.write_bytes(BOOT_SECTOR.ljust(1440 * 1024, b"\0"))
        argv = [
            *(program, "-accel", accelerator, "-machine", "pc", "-m", "16", "-nodefaults", "-no-user-config"),
            *("-display", "none", "-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"),
            *("-drive", f"file={disk},format=raw,if=floppy", "-boot", "a"),
        ]
        try:
            code, _ = run_child(
                argv,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return code == _EXIT_CODE
