"""Where the start routines of threads lie: in which image the model knows, but not where in its code."""

from __future__ import annotations

from typing import Final

from harness.virtual.nt.images import ImageStore
from harness.virtual.nt.objects import Thread

__all__ = ["start_address"]

_NTDLL: Final = "ntdll.dll"
_CODE_OFFSET: Final = 0x1000
"""Where the code of an image begins, behind its headers."""


def start_address(thread: Thread, store: ImageStore) -> int:
    """For a first thread in its program, for others in the image that they were given or in ntdll, whose pool
    threads they are; 0 for a thread of a process without images."""
    process = thread.process
    if not process.image:
        return 0
    image = None if thread.ordinal or thread.starts_in else store.find(process.image)
    image = image or store.find(thread.starts_in or _NTDLL, wow64=process.wow64)
    if image is None:
        return 0
    mapping = process.mapped.get(image.path.casefold())
    return _CODE_OFFSET + (store.base(image) if mapping is None else mapping.base)
