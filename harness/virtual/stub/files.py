"""``.kdfiles``: before it loads a driver, the target asks the debugger whether it has another file for it."""

from __future__ import annotations

from typing import Final, TypeVar

from harness.kd.errors import ProtocolError
from harness.kd.fileio import CloseFile, CreateFile, FileIo, ReadFile, decode_file_io
from harness.kd.packets import PacketType
from harness.kd.status import STATUS_SUCCESS
from harness.virtual.stub.link import DebuggerLink

__all__ = ["MAX_FILE", "READ_SIZE", "fetch_file"]

READ_SIZE: Final = 1344
"""Bytes a Read: the most that Microsoft's debugger returns over KDNET."""
MAX_FILE: Final = 64 * 1024 * 1024
"""A longer file is refused: the debugger is not trusted with our memory."""
_PATIENCE: Final = 40
"""How often to wait (a retransmission, a poke or a second) for the answer to an acknowledged request."""

_GENERIC_READ_ACCESS: Final = 0x120089
_ATTRIBUTE_NORMAL: Final = 0x80
_SHARE_READ: Final = 1
_OPEN: Final = 1

_F = TypeVar("_F", CreateFile, ReadFile, CloseFile)


def fetch_file(link: DebuggerLink, path: str) -> bytes | None:
    """The debugger's file for ``path``; None: not mapped, no debugger, or an answer that makes no sense."""
    opened = _ask(
        link,
        CreateFile(
            desired_access=_GENERIC_READ_ACCESS,
            file_attributes=_ATTRIBUTE_NORMAL,
            share_access=_SHARE_READ,
            create_disposition=_OPEN,
            data=path.encode("utf-16-le") + b"\0\0",
        ),
    )
    if opened is None or opened.length > MAX_FILE:
        return None
    content = b""
    while len(content) < opened.length:
        wanted = min(READ_SIZE, opened.length - len(content))
        part = _ask(link, ReadFile(handle=opened.handle, offset=len(content), length=wanted))
        if part is None or not part.data:
            break
        content += part.data[:wanted]
    _ask(link, CloseFile(handle=opened.handle))
    return content if len(content) == opened.length else None


def _ask(link: DebuggerLink, request: _F) -> _F | None:
    """Send one request; its successful answer."""
    link.flush_packets()
    if not link.deliver(PacketType.FILE_IO, request.encode()):
        return None
    answer = _answer(link)
    if isinstance(answer, type(request)) and answer.status == STATUS_SUCCESS:
        return answer
    return None


def _answer(link: DebuggerLink) -> FileIo | None:
    waited = 0
    while link.present and waited < _PATIENCE:
        packet = link.next_packet(1.0)
        if packet is None:
            waited += 1
        elif packet.packet_type is PacketType.FILE_IO:
            try:
                return decode_file_io(packet.payload)
            except ProtocolError:
                return None
    return None
