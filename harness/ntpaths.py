"""Paths of Windows, as text: nothing of this computer's own."""

from __future__ import annotations

__all__ = ["base_name"]


def base_name(path: str, *, slashes: bool = False) -> str:
    """The last component of an NT or a Win32 path, as it is spelt; of a name alone the name.

    :param slashes: ``/`` parts components, too, as in what people and drivers write.
    """
    return (path.replace("/", "\\") if slashes else path).rpartition("\\")[2]
