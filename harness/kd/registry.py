"""From a packet's type and payload to its typed record. ``record.encode()`` gives the payload back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.kd import manipulate, manipulate_rare
from harness.kd.debugio import decode_debug_io
from harness.kd.errors import ProtocolError
from harness.kd.fileio import decode_file_io
from harness.kd.layout import Record
from harness.kd.manipulate import Manipulate
from harness.kd.packets import PacketType
from harness.kd.statechange import decode_state_change
from harness.kd.traceio import ControlRequest, TraceIo

__all__ = ["APIS", "decode_manipulate", "decode_payload"]

APIS: Final[dict[int, type[Manipulate]]] = {
    record.API: record
    for module in (manipulate, manipulate_rare)
    for name in module.__all__
    if (record := getattr(module, name)).API
}
"""Every STATE_MANIPULATE api with a record of its own."""


def decode_manipulate(payload: bytes) -> Manipulate:
    """Parse the payload of a type 2 packet; an api without a record gives a bare :class:`Manipulate`.

    Raises :class:`ProtocolError` for fewer than 56 bytes.
    """
    return APIS.get(int.from_bytes(payload[:4], "little"), Manipulate).decode(payload)


_DECODERS: Final[dict[PacketType, Callable[[bytes], Record]]] = {
    PacketType.STATE_MANIPULATE: decode_manipulate,
    PacketType.DEBUG_IO: decode_debug_io,
    PacketType.STATE_CHANGE64: decode_state_change,
    PacketType.TRACE_IO: TraceIo.decode,
    PacketType.CONTROL_REQUEST: ControlRequest.decode,
    PacketType.FILE_IO: decode_file_io,
}


def decode_payload(packet_type: PacketType, payload: bytes) -> Record:
    """Parse a data packet's payload; raises :class:`ProtocolError`, also for a type without records."""
    decoder = _DECODERS.get(packet_type)
    if decoder is None:
        raise ProtocolError(f"no record is known for packet type {packet_type}")
    return decoder(payload)
