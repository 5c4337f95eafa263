"""The files that drivers write: volume C: with the folders that drivers put logs into, and nothing in them.

What Windows' own files hold is not known here. Names are compared without regard to case; sharing is not
checked. Source: Microsoft, *ZwCreateFile* (wdm.h).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from harness.virtual.kernel.objectnames import object_name

__all__ = ["MAX_VOLUME", "OpenFile", "StoredFile", "Volume"]

MAX_VOLUME: Final = 64 << 20
"""Bytes that all files together hold at most."""
_PREFIXES: Final = (
    ("\\??\\c:", ""),
    ("\\device\\harddiskvolume3", ""),
    ("\\systemroot", "\\windows"),
)
_FOLDERS: Final = frozenset(
    {
        *("", "\\windows", "\\windows\\system32", "\\windows\\system32\\drivers", "\\windows\\temp"),
        *("\\program files", "\\programdata", "\\users", "\\users\\public"),
    }
)


@dataclass(eq=False)
class StoredFile:
    """What a file holds; a folder holds nothing."""

    path: str
    content: bytearray = field(default_factory=bytearray)


@dataclass(eq=False)
class OpenFile:
    """A handle's view of a file."""

    file: StoredFile
    access: int
    """FILE_READ_DATA and its like."""
    synchronous: bool
    """The handle has a position."""
    delete_on_close: bool = False
    position: int = 0


class Volume:
    """Every file that drivers have made."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._folders = set(_FOLDERS)
        self.used = 0
        """Bytes that the files hold."""

    def resolve(self, name: str) -> str | None:
        """A full name as a path on the volume; None where it leads elsewhere."""
        name = object_name(name).rstrip("\\")
        for prefix, meant in _PREFIXES:
            if name == prefix or name.startswith(prefix + "\\"):
                return meant + name.removeprefix(prefix)
        return None

    def is_folder(self, path: str) -> bool:
        """There is a folder."""
        return path in self._folders

    def find(self, path: str) -> StoredFile | None:
        """The file at a path."""
        return self._files.get(path)

    def has_parent(self, path: str) -> bool:
        """The folder that the path leads through is there."""
        return path.rpartition("\\")[0] in self._folders

    def create(self, path: str) -> StoredFile:
        """An empty file, in place of one that is there."""
        self.delete(path)
        file = self._files[path] = StoredFile(path)
        return file

    def create_folder(self, path: str) -> StoredFile:
        """A folder."""
        self._folders.add(path)
        return StoredFile(path)

    def delete(self, path: str) -> None:
        """Take a file away, if there is one."""
        file = self._files.pop(path, None)
        if file is not None:
            self.used -= len(file.content)

    def write(self, file: StoredFile, offset: int, data: bytes) -> bool:
        """False where the volume is full."""
        growth = max(offset + len(data) - len(file.content), 0)
        if self.used + growth > MAX_VOLUME:
            return False
        file.content.extend(bytes(growth))
        file.content[offset : offset + len(data)] = data
        self.used += growth
        return True

    def set_size(self, file: StoredFile, size: int) -> bool:
        """Cut or extend; False where the volume is full."""
        if size > len(file.content):
            return self.write(file, size, b"")
        self.used -= len(file.content) - size
        del file.content[size:]
        return True
