"""Primary tokens, what is asked of them, and security identifiers.

What a token says here is whose it is: LocalSystem for services and what they start, one user for all others.
Sources: Microsoft, *PsReferencePrimaryToken*, *SeQueryInformationToken*, *RtlConvertSidToUnicodeString*,
*RtlLengthSid* and their relatives (ntifs.h), [MS-DTYP] 2.4.2.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.virtual.kernel.exports.handles import take_other_reference
from harness.virtual.kernel.exports.ob import obf_dereference_object
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.heap import encode_unicode_string
from harness.virtual.kernel.objects import ProcessObject
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import (
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_SID,
    STATUS_NO_MEMORY,
    STATUS_SUCCESS,
)

__all__: list[str] = []

_TOKEN_SIZE: Final = 0x498
_TOKEN_USER: Final = 1
_SESSION_ID: Final = 12
_SID_REVISION, _MAX_SUB_AUTHORITIES = 1, 15
_NT_AUTHORITY: Final = b"\0\0\0\0\0\5"


def _sid(*sub_authorities: int) -> bytes:
    head = bytes((_SID_REVISION, len(sub_authorities))) + _NT_AUTHORITY
    return head + struct.pack(f"<{len(sub_authorities)}I", *sub_authorities)


_LOCAL_SYSTEM: Final = _sid(18)
_USER: Final = _sid(21, 1004336348, 1177238915, 682003330, 1001)


@export("PsReferencePrimaryToken", 1)
def ps_reference_primary_token(system: System, process: int) -> int:
    found = system.objects.at(process)
    pid = found.pid if isinstance(found, ProcessObject) else 0
    token = system.tokens.get(pid)
    if token is None:
        token = system.tokens[pid] = system.heap.allocate(_TOKEN_SIZE)
        system.other_objects.add(token)
    return take_other_reference(system, token)


@export("PsDereferencePrimaryToken", 1)
def ps_dereference_primary_token(system: System, token: int) -> None:
    obf_dereference_object(system, token)


def _session(system: System, token: int) -> int:
    pid = next((pid for pid, known in system.tokens.items() if known == token), 0)
    process = system.objects.find_process(pid)
    return 0 if process is None else process.session


@export("SeQueryInformationToken", 3)
def se_query_information_token(system: System, token: int, kind: int, result: int) -> int:
    """Paged pool, which the caller frees with ExFreePool; of a session its number itself."""
    kind, session = kind & 0xFFFF_FFFF, _session(system, token)
    if kind == _SESSION_ID:
        system.memory.put_u32(result, session)
        return STATUS_SUCCESS
    if kind != _TOKEN_USER:
        system.lacks(f"SeQueryInformationToken(class {kind})")
    sid = _USER if session else _LOCAL_SYSTEM
    block = system.pool.allocate(16 + len(sid), b"SeTk", paged=True, site=system.call_site())
    if not block:
        return STATUS_NO_MEMORY
    system.memory.store(block, struct.pack("<QQ", block + 16, 0) + sid)
    system.memory.put_u64(result, block)
    return STATUS_SUCCESS


@export("PsGetProcessSessionId", "PsGetProcessSessionIdEx", 1)
def ps_get_process_session_id(system: System, process: int) -> int:
    found = system.objects.at(process)
    return found.session if isinstance(found, ProcessObject) else 0


@export("PsGetCurrentProcessSessionId", 0)
def ps_get_current_process_session_id(system: System) -> int:
    return ps_get_process_session_id(system, system.current_process())


def _read_sid(system: System, sid: int) -> bytes | None:
    """Its bytes; None: it is no valid one."""
    revision, count = system.memory.load(sid, 2)
    if revision != _SID_REVISION or count > _MAX_SUB_AUTHORITIES:
        return None
    return system.memory.load(sid, 8 + 4 * count)


@export("RtlValidSid", 1)
def rtl_valid_sid(system: System, sid: int) -> int:
    return int(_read_sid(system, sid) is not None)


@export("RtlLengthSid", 1)
def rtl_length_sid(system: System, sid: int) -> int:
    return 8 + 4 * system.memory.load(sid, 2)[1]


@export("RtlEqualSid", 2)
def rtl_equal_sid(system: System, one: int, other: int) -> int:
    return int(_read_sid(system, one) == _read_sid(system, other))


@export("RtlCopySid", 3)
def rtl_copy_sid(system: System, size: int, destination: int, sid: int) -> int:
    content = system.memory.load(sid, rtl_length_sid(system, sid))
    if size & 0xFFFF_FFFF < len(content):
        return STATUS_BUFFER_TOO_SMALL
    system.memory.store(destination, content)
    return STATUS_SUCCESS


@export("RtlConvertSidToUnicodeString", 3)
def rtl_convert_sid_to_unicode_string(system: System, text: int, sid: int, allocate: int) -> int:
    content = _read_sid(system, sid)
    if content is None:
        return STATUS_INVALID_SID
    parts = struct.unpack_from(f"<{content[1]}I", content, 8)
    authority = int.from_bytes(content[2:8], "big")
    words = "-".join(("S", str(_SID_REVISION), str(authority), *map(str, parts)))
    characters = words.encode("utf-16-le")
    if allocate & 0xFF:
        buffer = system.pool.allocate(len(characters) + 2, b"SeSi", paged=True, site=system.call_site())
        if not buffer:
            return STATUS_NO_MEMORY
        maximum = len(characters) + 2
    else:
        maximum, buffer = system.memory.u16(text + 2), system.memory.u64(text + 8)
        if maximum < len(characters):
            return STATUS_BUFFER_OVERFLOW
    ended = characters + b"\0\0" if maximum >= len(characters) + 2 else characters
    system.memory.store(buffer, ended)
    system.memory.store(text, encode_unicode_string(len(characters), maximum, buffer))
    return STATUS_SUCCESS
