"""FILE_OBJECTs of files that lie on the volume: of images, and of what drivers open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.virtual.kernel.heap import MAX_NAME, KernelHeap
from harness.virtual.kernel.structures.irp import FILE_OBJECT, IO_TYPE_FILE

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["VOLUME_DEVICE", "FileObjects"]

VOLUME_DEVICE: Final = "\\Device\\HarddiskVolume3"
_PREFIXES: Final = ((VOLUME_DEVICE, ""), ("\\SystemRoot", "\\Windows"))
_DEVICE_SIZE: Final = 0x150
_DEVICE_TYPE: Final = 3


class FileObjects:
    """One a path, made when it is first needed."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._objects: dict[str, int] = {}
        self._volume = 0

    def of(self, path: str) -> int:
        """Address of the file object.

        :param path: on the volume, or with the volume's device or ``\\SystemRoot`` before it.
        """
        for prefix, meant in _PREFIXES:
            if path.lower().startswith(prefix.lower()):
                path = meant + path[len(prefix) :]
        path = path[: MAX_NAME // 2]
        key = path.lower()
        if key not in self._objects:
            self._objects[key] = self._make(path)
        return self._objects[key]

    def _make(self, path: str) -> int:
        system = self._system
        characters = path.encode("utf-16-le", "surrogatepass")
        name = system.heap.put(characters + b"\0\0")
        address = system.heap.allocate(FILE_OBJECT.size)
        value = {"Type": IO_TYPE_FILE, "Size": FILE_OBJECT.size, "DeviceObject": self._volume_device()}
        system.memory.store(address, FILE_OBJECT.pack(value))
        at = address + FILE_OBJECT.offset("FileName")
        system.memory.store(at, KernelHeap.string_value(characters, name))
        system.other_objects.add(address)
        return address

    def _volume_device(self) -> int:
        system = self._system
        if not self._volume:
            self._volume = system.heap.allocate(_DEVICE_SIZE)
            system.memory.put_u16(self._volume, _DEVICE_TYPE)
            system.memory.put_u16(self._volume + 2, _DEVICE_SIZE)
            system.device_names[self._volume] = VOLUME_DEVICE
            system.other_objects.add(self._volume)
        return self._volume
