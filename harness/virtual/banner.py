"""What KeBugCheckEx prints before the target stops, a DbgPrint a line."""

from __future__ import annotations

from typing import Final

__all__ = ["MANUALLY_INITIATED_CRASH", "bugcheck_banner"]

MANUALLY_INITIATED_CRASH: Final = 0xE2
"""A bugcheck that a debugger caused: nothing is printed for it."""
_REFRESHING: Final = b"KDTARGET: Refreshing KD connection\n"


def bugcheck_banner(
    code: int, parameters: tuple[int, int, int, int], module: str | None
) -> tuple[bytes, ...]:
    """The prints of one bugcheck.

    :param module: the driver at fault, where one is known.
    """
    if code == MANUALLY_INITIATED_CRASH:
        return ()
    words = ",".join(f"0x{parameter:016X}" for parameter in parameters)
    banner = f"\n*** Fatal System Error: 0x{code:08x}\n{' ' * 23}({words})\n\n".encode()
    at_fault = () if module is None else (f"Driver at fault: {module}.\n".encode(),)
    return (_REFRESHING, banner, *at_fault)
