"""Contexts of minifilters, and references to the filter manager's objects.

Contexts are set on instances and on the volume; those for files are allocated, but there is nothing to set
them on. Sources: Microsoft, *FltAllocateContext*, *FLT_CONTEXT_REGISTRATION*, *FltSetInstanceContext*,
*FltGetInstanceContext*, *FltReleaseContext*, *FltDeleteContext* and their relatives, *FltObjectReference*,
*FltGetVolumeFromInstance*, *FltGetFilterFromInstance* (fltkernel.h); *Bug Check 0xF5: FLTMGR_FILE_SYSTEM*.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.cpu.traps import BugcheckRaised, Continued
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.exports.registry import FILTER_MANAGER, export
from harness.virtual.kernel.filtermanager import Context, ContextKind, Minifilter
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_FLT_CONTEXT_ALLOCATION_NOT_FOUND,
    STATUS_FLT_CONTEXT_ALREADY_DEFINED,
    STATUS_FLT_CONTEXT_ALREADY_LINKED,
    STATUS_FLT_DELETING_OBJECT,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_FOUND,
    STATUS_SUCCESS,
)

__all__ = ["drop_contexts", "read_context_kinds"]

_VOLUME, _INSTANCE = 0x1, 0x2
_TYPES: Final = frozenset(1 << bit for bit in range(7))
"""FLT_VOLUME_CONTEXT and its like."""
_END: Final = 0xFFFF
_KIND_SIZE: Final = 0x38
_MAX_KINDS: Final = 64
_NO_EXACT_SIZE: Final = 0x1
_VARIABLE_SIZE: Final = 0xFFFF_FFFF_FFFF_FFFF
_MAX_SIZE: Final = 0xFFFF
_PAGED: Final = 0x1
_REPLACE, _KEEP = 0, 1
_FLTMGR_FILE_SYSTEM: Final = 0xF5
_OVER_RELEASED, _REFERENCED_WHEN_FREE = 0x6D, 0x6E


def read_context_kinds(system: System, table: int) -> tuple[ContextKind, ...]:
    """What a registration says of its contexts."""
    kinds, memory = list[ContextKind](), system.memory
    for at in range(table, table + _MAX_KINDS * _KIND_SIZE, _KIND_SIZE) if table else ():
        kind = memory.u16(at)
        if kind == _END:
            break
        flags, cleanup, size, tag = (
            memory.u16(at + 2),
            *(memory.u64(at + 0x08), memory.u64(at + 0x10), memory.u32(at + 0x18)),
        )
        own = memory.u64(at + 0x20) or memory.u64(at + 0x28)
        kinds.append(ContextKind(kind, flags, cleanup, size, tag.to_bytes(4, "little"), bool(own)))
    return tuple(kinds)


def _fits(kind: ContextKind, size: int) -> bool:
    if kind.size in (_VARIABLE_SIZE, size):
        return True
    return bool(kind.flags & _NO_EXACT_SIZE) and kind.size >= size


@export("FltAllocateContext", 5, module=FILTER_MANAGER)
def flt_allocate_context(
    system: System, minifilter: int, wanted: int, size: int, pool: int, result: int
) -> int:
    memory = system.memory
    memory.put_u64(result, 0)
    owner, wanted = system.filter_manager.filters.get(minifilter), wanted & 0xFFFF
    if owner is None:
        memory.u64(minifilter)
        return STATUS_FLT_DELETING_OBJECT
    paged = bool(pool & _PAGED)
    if wanted not in _TYPES or not 0 < size <= _MAX_SIZE or (paged and wanted == _VOLUME):
        return STATUS_INVALID_PARAMETER
    kind = next((known for known in owner.contexts if known.kind == wanted and _fits(known, size)), None)
    if kind is None:
        return STATUS_FLT_CONTEXT_ALLOCATION_NOT_FOUND
    if kind.own_memory:
        system.lacks("FltAllocateContext(ContextAllocateCallback)")
    address = system.pool.allocate(size, kind.tag, paged=paged, site=None, fill=0xCD)
    if not address:
        return STATUS_INSUFFICIENT_RESOURCES
    system.filter_manager.contexts[address] = Context(address, kind, owner)
    system.belongings.take_once_more(Belonging.CONTEXT, address, system.call_site())
    memory.put_u64(result, address)
    return STATUS_SUCCESS


def _known(system: System, address: int, violation: int) -> Context:
    """
    :raises BugcheckRaised: it is freed, or none.
    """
    found = system.filter_manager.contexts.get(address)
    if found is None:
        if system.pool.freed_at(address) is None:
            system.memory.u64(address)
        raise BugcheckRaised(_FLTMGR_FILE_SYSTEM, violation, address, 0, 0)
    return found


@export("FltReferenceContext", 1, module=FILTER_MANAGER)
def flt_reference_context(system: System, address: int) -> None:
    _known(system, address, _REFERENCED_WHEN_FREE).references += 1
    system.belongings.take_once_more(Belonging.CONTEXT, address, system.call_site())


@export("FltReleaseContext", 1, module=FILTER_MANAGER)
def flt_release_context(system: System, address: int) -> int:
    """The last one calls the ContextCleanupCallback and frees it. Once too often: bugcheck 0xF5."""
    found = _known(system, address, _OVER_RELEASED)
    if found.references == 1 and found.linked_to:
        raise BugcheckRaised(_FLTMGR_FILE_SYSTEM, _OVER_RELEASED, address, 0, 0)
    system.belongings.give_back(Belonging.CONTEXT, address)
    return _dereference(system, found)


def _dereference(system: System, context: Context) -> int:
    context.references -= 1
    if context.references:
        return 0
    raise Continued(_free(system, context))


def _free(system: System, context: Context) -> Program[int]:
    if context.kind.cleanup and system.current is not None:
        arguments = (context.address, context.kind.kind)
        where, irql = system.current.context, system.cpu.irql
        yield from system.enter(context.kind.cleanup, arguments, where, irql, what="a ContextCleanupCallback")
    del system.filter_manager.contexts[context.address]
    system.pool.free(context.address)
    return 0


def _set(system: System, item: int, kind: int, how: int, new: int, old: int) -> int:
    memory, manager = system.memory, system.filter_manager
    how &= 0xFFFF_FFFF
    if old:
        memory.put_u64(old, 0)
    context = manager.contexts.get(new)
    if how not in (_REPLACE, _KEEP) or context is None or context.kind.kind != kind:
        return STATUS_INVALID_PARAMETER
    if context.linked_to:
        return STATUS_FLT_CONTEXT_ALREADY_LINKED
    before = manager.context_on(item, context.minifilter)
    if before is not None and how == _KEEP:
        if old:
            _hand_out(system, before, old)
        return STATUS_FLT_CONTEXT_ALREADY_DEFINED
    context.linked_to = item
    context.references += 1
    if before is None:
        return STATUS_SUCCESS
    before.linked_to = 0
    if old:  # the reference that the object had is the caller's now
        memory.put_u64(old, before.address)
        system.belongings.take_once_more(Belonging.CONTEXT, before.address, system.call_site())
        return STATUS_SUCCESS
    return _dereference(system, before)


def _hand_out(system: System, context: Context, result: int) -> None:
    context.references += 1
    system.memory.put_u64(result, context.address)
    system.belongings.take_once_more(Belonging.CONTEXT, context.address, system.call_site())


def _get(system: System, item: int, minifilter: Minifilter | None, result: int) -> int:
    system.memory.put_u64(result, 0)
    found = None if minifilter is None else system.filter_manager.context_on(item, minifilter)
    if found is None:
        return STATUS_NOT_FOUND
    _hand_out(system, found, result)
    return STATUS_SUCCESS


def _delete(system: System, item: int, minifilter: Minifilter | None, old: int) -> int:
    if old:
        system.memory.put_u64(old, 0)
    found = None if minifilter is None else system.filter_manager.context_on(item, minifilter)
    if found is None:
        return STATUS_NOT_FOUND
    found.linked_to = 0
    if old:
        system.memory.put_u64(old, found.address)
        system.belongings.take_once_more(Belonging.CONTEXT, found.address, system.call_site())
        return STATUS_SUCCESS
    return _dereference(system, found)


@export("FltSetInstanceContext", 4, module=FILTER_MANAGER)
def flt_set_instance_context(system: System, instance: int, how: int, new: int, old: int) -> int:
    system.memory.u64(instance)
    return _set(system, instance, _INSTANCE, how, new, old)


@export("FltSetVolumeContext", 4, module=FILTER_MANAGER)
def flt_set_volume_context(system: System, volume: int, how: int, new: int, old: int) -> int:
    system.memory.u64(volume)
    return _set(system, volume, _VOLUME, how, new, old)


@export("FltGetInstanceContext", 2, module=FILTER_MANAGER)
def flt_get_instance_context(system: System, instance: int, result: int) -> int:
    system.memory.u64(instance)
    return _get(system, instance, system.filter_manager.of_instance(instance), result)


@export("FltGetVolumeContext", 3, module=FILTER_MANAGER)
def flt_get_volume_context(system: System, minifilter: int, volume: int, result: int) -> int:
    system.memory.u64(volume)
    return _get(system, volume, system.filter_manager.filters.get(minifilter), result)


@export("FltDeleteInstanceContext", 2, module=FILTER_MANAGER)
def flt_delete_instance_context(system: System, instance: int, old: int) -> int:
    return _delete(system, instance, system.filter_manager.of_instance(instance), old)


@export("FltDeleteVolumeContext", 3, module=FILTER_MANAGER)
def flt_delete_volume_context(system: System, minifilter: int, volume: int, old: int) -> int:
    return _delete(system, volume, system.filter_manager.filters.get(minifilter), old)


@export("FltDeleteContext", 1, module=FILTER_MANAGER)
def flt_delete_context(system: System, address: int) -> int:
    """Takes it off the object that it is set on; who has a reference keeps it."""
    found = _known(system, address, _REFERENCED_WHEN_FREE)
    if not found.linked_to:
        return 0
    found.linked_to = 0
    return _dereference(system, found)


def drop_contexts(system: System, minifilter: Minifilter, item: int) -> Program[None]:
    """An object goes, or the minifilter does: what is set on it is not set any more."""
    found = system.filter_manager.context_on(item, minifilter)
    if found is not None:
        found.linked_to = 0
        found.references -= 1
        if not found.references:
            yield from _free(system, found)


@export("FltGetVolumeFromInstance", 2, module=FILTER_MANAGER)
def flt_get_volume_from_instance(system: System, instance: int, result: int) -> int:
    system.memory.u64(instance)
    if system.filter_manager.of_instance(instance) is None:
        return STATUS_FLT_DELETING_OBJECT
    system.memory.put_u64(result, system.filter_manager.volume)
    return _referenced(system, system.filter_manager.volume)


@export("FltGetFilterFromInstance", 2, module=FILTER_MANAGER)
def flt_get_filter_from_instance(system: System, instance: int, result: int) -> int:
    system.memory.u64(instance)
    found = system.filter_manager.of_instance(instance)
    if found is None:
        return STATUS_FLT_DELETING_OBJECT
    system.memory.put_u64(result, found.address)
    return _referenced(system, found.address)


@export("FltObjectReference", 1, module=FILTER_MANAGER)
def flt_object_reference(system: System, item: int) -> int:
    """FltUnregisterFilter waits for those to a minifilter to be given back."""
    system.memory.u64(item)
    return _referenced(system, item)


def _referenced(system: System, item: int) -> int:
    if (found := system.filter_manager.filters.get(item)) is not None:
        found.held += 1
    system.belongings.take_once_more(Belonging.FILTER_OBJECT, item, system.call_site())
    return STATUS_SUCCESS


@export("FltObjectDereference", 1, module=FILTER_MANAGER)
def flt_object_dereference(system: System, item: int) -> None:
    system.memory.u64(item)
    if (found := system.filter_manager.filters.get(item)) is not None and found.held:
        found.held -= 1
        system.waits.signalled(item)
    system.belongings.give_back(Belonging.FILTER_OBJECT, item)
