"""Communication ports of minifilters, to which no program connects, and security descriptors for them.

Sources: Microsoft, *FltCreateCommunicationPort*, *FltCloseCommunicationPort*, *FltSendMessage*,
*FltCloseClientPort*, *FltBuildDefaultSecurityDescriptor*, *FltFreeSecurityDescriptor* (fltkernel.h);
*RtlCreateSecurityDescriptor*, *RtlSetDaclSecurityDescriptor* (wdm.h). A server port is a kernel handle, as in
ReactOS.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.kernel.exports.psthreads import zw_close
from harness.virtual.kernel.exports.registry import FILTER_MANAGER, export
from harness.virtual.kernel.exports.rtlstrings import read_unicode_string
from harness.virtual.kernel.handletable import CommunicationPort
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_FLT_DELETING_OBJECT,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_PORT_DISCONNECTED,
    STATUS_SUCCESS,
    STATUS_UNKNOWN_REVISION,
)

__all__: list[str] = []

_OBJECT_NAME, _ATTRIBUTES = 0x10, 0x18
"""Offsets in OBJECT_ATTRIBUTES."""
_KERNEL_HANDLE: Final = 0x200
_REVISION: Final = 1
_DESCRIPTOR: Final = struct.Struct("<BBHIQQQQ")
"""Revision, Sbz1, Control, pad, Owner, Group, Sacl, Dacl: SECURITY_DESCRIPTOR."""
_CONTROL, _DACL = 0x02, 0x20
"""Offsets in it."""
_DACL_PRESENT, _DACL_DEFAULTED = 0x4, 0x8
_ACL: Final = struct.Struct("<BBHHH")
_ACE: Final = struct.Struct("<BBHI")
_SYSTEM: Final = bytes((1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0))
_ADMINISTRATORS: Final = bytes((1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0))
"""S-1-5-18, S-1-5-32-544."""
_TAG: Final = b"FMsd"


@export("FltCreateCommunicationPort", 8, module=FILTER_MANAGER)
def flt_create_communication_port(
    system: System,
    minifilter: int,
    result: int,
    attributes: int,
    _cookie: int,
    connect: int,
    disconnect: int,
    _message: int,
    most: int,
) -> int:
    memory = system.memory
    memory.put_u64(result, 0)
    owner = system.filter_manager.filters.get(minifilter)
    flags, name_at = memory.u32(attributes + _ATTRIBUTES), memory.u64(attributes + _OBJECT_NAME)
    most &= 0xFFFF_FFFF
    if not (connect and disconnect) or not 0 < most < 1 << 31 or not flags & _KERNEL_HANDLE:
        return STATUS_INVALID_PARAMETER
    if owner is None:
        memory.u64(minifilter)
        return STATUS_INVALID_PARAMETER
    if owner.unregisters:
        return STATUS_FLT_DELETING_OBJECT
    name = object_name(read_unicode_string(system, name_at)) if name_at else ""
    if name and (name in system.names or system.handles.port_named(name) is not None):
        return STATUS_OBJECT_NAME_COLLISION
    owner.ports += 1
    memory.put_u64(result, system.open_handle(CommunicationPort(owner, name), system.call_site()))
    return STATUS_SUCCESS


@export("FltCloseCommunicationPort", 1, module=FILTER_MANAGER)
def flt_close_communication_port(system: System, port: int) -> None:
    zw_close(system, port)


@export("FltSendMessage", 7, module=FILTER_MANAGER)
def flt_send_message(
    system: System,
    _minifilter: int,
    client: int,
    _message: int,
    _size: int,
    _reply: int,
    _reply_size: int,
    _timeout: int,
) -> int:
    """There is no client."""
    system.memory.u64(client)
    return STATUS_PORT_DISCONNECTED


@export("FltCloseClientPort", 2, module=FILTER_MANAGER)
def flt_close_client_port(system: System, _minifilter: int, client: int) -> None:
    system.memory.put_u64(client, 0)


@export("FltBuildDefaultSecurityDescriptor", 2, module=FILTER_MANAGER)
def flt_build_default_security_descriptor(system: System, result: int, access: int) -> int:
    """The system and administrators have that access."""
    aces = b"".join(
        _ACE.pack(0, 0, _ACE.size + len(sid), access & 0xFFFF_FFFF) + sid
        for sid in (_ADMINISTRATORS, _SYSTEM)
    )
    acl = _ACL.pack(2, 0, _ACL.size + len(aces), 2, 0) + aces
    size = _DESCRIPTOR.size + len(acl)
    block = system.pool.allocate(size, _TAG, paged=True, site=system.call_site())
    if not block:
        return STATUS_INSUFFICIENT_RESOURCES
    dacl = block + _DESCRIPTOR.size
    system.memory.store(block, _DESCRIPTOR.pack(_REVISION, 0, _DACL_PRESENT, 0, 0, 0, 0, dacl) + acl)
    system.memory.put_u64(result, block)
    return STATUS_SUCCESS


@export("FltFreeSecurityDescriptor", 1, module=FILTER_MANAGER)
def flt_free_security_descriptor(system: System, descriptor: int) -> None:
    system.pool.free(descriptor, site=system.call_site())


@export("RtlCreateSecurityDescriptor", 2)
def rtl_create_security_descriptor(system: System, descriptor: int, revision: int) -> int:
    if revision & 0xFFFF_FFFF != _REVISION:
        return STATUS_UNKNOWN_REVISION
    system.memory.store(descriptor, _DESCRIPTOR.pack(_REVISION, 0, 0, 0, 0, 0, 0, 0))
    return STATUS_SUCCESS


@export("RtlSetDaclSecurityDescriptor", 4)
def rtl_set_dacl_security_descriptor(
    system: System, descriptor: int, present: int, dacl: int, defaulted: int
) -> int:
    memory = system.memory
    if memory.load(descriptor, 1)[0] != _REVISION:
        return STATUS_UNKNOWN_REVISION
    control = memory.u16(descriptor + _CONTROL) & ~(_DACL_PRESENT | _DACL_DEFAULTED)
    if present & 0xFF:
        control |= _DACL_PRESENT | (_DACL_DEFAULTED if defaulted & 0xFF else 0)
        memory.put_u64(descriptor + _DACL, dacl)
    memory.put_u16(descriptor + _CONTROL, control)
    return STATUS_SUCCESS
