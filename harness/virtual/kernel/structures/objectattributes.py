"""OBJECT_ATTRIBUTES: what an open or create call names."""

from __future__ import annotations

from typing import Final

__all__ = ["ObjectAttributes"]


class ObjectAttributes:
    """Offsets (ntdef.h, x64)."""

    ROOT_DIRECTORY: Final = 0x08
    OBJECT_NAME: Final = 0x10
    ATTRIBUTES: Final = 0x18
    """OBJ_KERNEL_HANDLE and its like."""
