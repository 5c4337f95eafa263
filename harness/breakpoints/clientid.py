"""Where a thread object holds its CLIENT_ID (ETHREAD.Cid), told by the kernel's own code, not by symbols.

PsGetThreadProcessId and PsGetThreadId each load one field of the thread that they are handed and return it::

    x64   48 8B 81 disp32        mov rax, [rcx+disp32]
    x86   8B 45 08               mov eax, [ebp+8]
          8B 80 disp32           mov eax, [eax+disp32]

The encodings are those of Intel SDM vol. 2, MOV.
"""

from __future__ import annotations

from typing import Final

from harness.breakpoints.targetreader import Read
from harness.kd.contexts import MACHINE_AMD64, MACHINE_I386

__all__ = ["CODE_BYTES", "MAX_OFFSET", "loaded_field"]

CODE_BYTES: Final = 24
"""Bytes of a function that are looked at."""
MAX_OFFSET: Final = 0x2000
"""No field of a thread object lies behind this."""
_LOADS: Final = {
    MACHINE_AMD64: ((b"\x48\x8b\x81",), 0),
    MACHINE_I386: ((b"\x8b\x45\x08\x8b\x80", b"\x8b\x4d\x08\x8b\x81"), 8),
}
"""Machine → what stands before the displacement, and how far into the function that may begin."""


def loaded_field(read: Read, function: int, machine: int) -> int | None:
    """Offset of the field that the code at ``function`` returns of its one argument; None where its code is
    not one of those."""
    starts, latest = _LOADS.get(machine, ((), 0))
    code = read(function, CODE_BYTES)
    for start in starts:
        at = code.find(start, 0, latest + len(start))
        if at >= 0:
            offset = int.from_bytes(code[at + len(start) : at + len(start) + 4], "little")
            return offset if offset < MAX_OFFSET else None
    return None
