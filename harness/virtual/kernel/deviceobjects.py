"""DEVICE_OBJECTs: made, deleted, and freed once nothing refers to them any more.

A device that is deleted loses its name at once. It stays with its driver until no file of it is open, and its
memory until no work item and no reference of a driver holds it. Sources: Microsoft, *IoDeleteDevice*,
*IoQueueWorkItem* (wdm.h).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from harness.virtual.kernel.belongings import Belonging, CallSite
from harness.virtual.kernel.chains import links_of
from harness.virtual.kernel.structures.irp import DEVICE_DRIVER, DEVICE_STACK_SIZE

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["DeviceObject", "DeviceObjects"]

_TAG: Final = b"Devi"


class DeviceObject:
    """Offsets in DEVICE_OBJECT and DRIVER_OBJECT that the I/O manager reads."""

    SIZE: Final = 0x150
    REFERENCES: Final = 0x04
    DRIVER: Final = DEVICE_DRIVER
    NEXT: Final = 0x10
    FLAGS: Final = 0x30
    STACK_SIZE: Final = DEVICE_STACK_SIZE
    OF_DRIVER: Final = 0x08
    """DRIVER_OBJECT.DeviceObject: the first of its devices."""


class DeviceObjects:
    """The devices of all drivers, each in pool of its own, which is unmapped when the device is gone."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._deleted: dict[int, CallSite | None] = {}
        """Those that are there all the same, with the call of IoDeleteDevice."""
        self._held: Counter[int] = Counter()
        """By how many work items that have not ended."""

    def make(self, driver: int, extension_size: int) -> int:
        """A device of zeros but for its driver and its place among that one's devices; 0 without memory.

        :param driver: address of its DRIVER_OBJECT.
        :param extension_size: bytes of DeviceExtension.
        """
        system, memory, site = self._system, self._system.memory, self._system.call_site()
        size = DeviceObject.SIZE + (extension_size + 7 & ~7)
        device = system.pool.allocate(size, _TAG, paged=False, site=site, of_object=True)
        if not device:
            return 0
        memory.put_u64(device + DeviceObject.DRIVER, driver)
        memory.put_u64(device + DeviceObject.NEXT, memory.u64(driver + DeviceObject.OF_DRIVER))
        memory.put_u64(driver + DeviceObject.OF_DRIVER, device)
        system.other_objects.add(device)
        system.belongings.take(Belonging.DEVICE, device, site)
        return device

    def delete(self, device: int) -> None:
        """IoDeleteDevice.

        :raises MemoryFault: it is gone already.
        :raises Hung: the chain of its driver's devices leads back into itself.
        :raises BugcheckRaised: it was written around.
        """
        system = self._system
        # Looked at while the call can be told that spoilt the chain, or that names a device which is gone.
        for link in links_of(system.memory, self._first(device), DeviceObject.NEXT, "devices"):
            if system.memory.u64(link) == device:
                break
        for name in [name for name, owner in system.names.items() if owner == device]:
            del system.names[name]
        system.device_names.pop(device, None)
        if device in system.other_objects:
            system.pool.check(device)
            system.belongings.give_back(Belonging.DEVICE, device)
            self._deleted.setdefault(device, system.call_site())
            self.settle(device)

    def hold(self, device: int) -> None:
        """A work item that is queued holds it."""
        self._held[device] += 1

    def let_go(self, device: int) -> None:
        """The work item has ended."""
        self._held[device] -= 1
        self.settle(device)

    def settle(self, device: int) -> None:
        """Less may refer to the device than before: if it is deleted, it may go now."""
        system = self._system
        if device not in self._deleted or system.memory.u32(device + DeviceObject.REFERENCES):
            return
        self._unlink(device)
        if self._held[device] or system.belongings.taken(Belonging.REFERENCE, device):
            return
        del self._held[device]
        system.other_objects.remove(device)
        system.pool.free(device, site=self._deleted.pop(device))

    def _first(self, device: int) -> int:
        """Where the address of its driver's first device stands."""
        return self._system.memory.u64(device + DeviceObject.DRIVER) + DeviceObject.OF_DRIVER

    def _unlink(self, device: int) -> None:
        memory, others = self._system.memory, self._system.other_objects
        link, seen = self._first(device), set[int]()
        while (found := memory.u64(link)) in others and found not in seen:
            if found == device:
                memory.put_u64(link, memory.u64(device + DeviceObject.NEXT))
                return
            seen.add(found)
            link = found + DeviceObject.NEXT
