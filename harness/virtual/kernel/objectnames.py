"""Names in the object manager's namespace.

Source: Microsoft, *Local and Global MS-DOS Device Names*: ``\\DosDevices`` and ``\\??`` are one directory, in
which system threads see ``\\GLOBAL??``. Sessions of their own are not modelled.
"""

from __future__ import annotations

from typing import Final

__all__ = ["object_name"]

_DOS_DEVICES: Final = "\\??\\"
_ALSO: Final = ("\\dosdevices\\", "\\global??\\")


def object_name(text: str) -> str:
    """The name as it is compared: letter case does not count, nor which of its names that directory has."""
    name = text.lower()
    for prefix in _ALSO:
        if name.startswith(prefix):
            return _DOS_DEVICES + name.removeprefix(prefix)
    return name
