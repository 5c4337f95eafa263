"""What the variables hold that ntoskrnl.exe exports."""

from __future__ import annotations

from harness.virtual.kernel.exports import DATA
from harness.virtual.kernel.system import SYSTEM_CONTEXT, System

__all__ = ["fill_exported_data"]

_TYPE_OBJECTS = (
    *("PsProcessType", "PsThreadType", "PsJobType"),
    *("IoFileObjectType", "IoDeviceObjectType", "IoDriverObjectType"),
    *("CmKeyObjectType", "ExDesktopObjectType", "ExEventObjectType", "ExSemaphoreObjectType"),
    "SeTokenObjectType",
)
_TYPE_OBJECT_SIZE = 0xD8


def fill_exported_data(system: System) -> None:
    """Give every one the value that it has once Windows has started."""
    memory = system.memory
    for name, (size, value) in DATA.items():
        memory.write(system.symbol(name), value.to_bytes(size, "little"))
    memory.put_u8(system.symbol("KeNumberProcessors"), system.processors)
    process = system.objects.process(SYSTEM_CONTEXT.pid).address
    memory.put_u64(system.symbol("PsInitialSystemProcess"), process)
    for name in _TYPE_OBJECTS:
        type_object = system.heap.allocate(_TYPE_OBJECT_SIZE)
        system.other_objects.add(type_object)
        memory.put_u64(system.symbol(name), type_object)
