"""Security and structured exceptions: what notify drivers use of them.

Sources: Microsoft, *SeLocateProcessImageName* (ntifs.h, freed by the caller with ExFreePool).
"""

from __future__ import annotations

from harness.virtual.kernel.exports.handles import take_other_reference
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.objects import ProcessObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS

__all__: list[str] = []


@export("SeLocateProcessImageName", 2)
def se_locate_process_image_name(system: System, process: int, result: int) -> int:
    found = system.objects.at(process)
    if not isinstance(found, ProcessObject):
        return STATUS_INVALID_PARAMETER
    characters = (found.image_path or "").encode("utf-16-le")
    size = 16 + len(characters) + 2
    block = system.pool.allocate(size, b"SeIn", paged=True, site=system.call_site())
    if not block:
        return STATUS_NO_MEMORY
    value = encode_unicode_string(len(characters), len(characters) + 2, block + 16)
    system.memory.store(block, value + characters + b"\0\0")
    system.memory.put_u64(result, block)
    return STATUS_SUCCESS


@export("PsReferenceProcessFilePointer", 2)
def ps_reference_process_file_pointer(system: System, process: int, result: int) -> int:
    """Undocumented: the executable's file object, which the caller dereferences."""
    found = system.objects.at(process)
    if not isinstance(found, ProcessObject) or not found.image_path:
        return STATUS_INVALID_PARAMETER
    file = system.file_objects.of(found.image_path)
    system.memory.put_u64(result, take_other_reference(system, file))
    return STATUS_SUCCESS


@export("__chkstk", 0)
def chkstk(_system: System) -> None:
    """Real code in the kernel image: it must keep RAX. The whole kernel stack is mapped, so it returns at
    once."""
