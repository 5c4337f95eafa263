"""The prints of a target whose KDNET session was captured, by the key of the session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.errors import TraceError, UsageError
from harness.events import Event, kind_of
from harness.grammars import described
from harness.kd.debugio import PrintString, decode_debug_io
from harness.kd.errors import ProtocolError
from harness.kd.kdnet import MAGIC, Drop, Key
from harness.kd.kdnet_tap import KdnetTap, SessionBegan
from harness.kd.packets import Packet, PacketType
from harness.lines import EventAssembler, Grammar
from harness.trace.format import Footer, Header
from harness.trace.loss import LossCounter
from harness.trace.sources.capture.datagrams import udp_payload
from harness.trace.sources.capture.packets import captured_frames
from harness.trace.sources.imported import Damaged, read_footer
from harness.trace.sources.unpacked import open_unpacked

__all__ = ["KdnetCapture"]

_WORDS: Final = {
    PacketType.STATE_CHANGE64: "state changes (module loads, exceptions, breakpoints)",
    PacketType.STATE_MANIPULATE: "answers to the debugger",
    PacketType.FILE_IO: "file requests",
    PacketType.TRACE_IO: "trace data",
}
_DROPS: Final = {
    Drop.NO_SESSION: "datagrams before the first handshake of the capture",
    Drop.BAD_MAC: "datagrams that the key does not open",
    Drop.STALE_SEQUENCE: "datagrams that came twice",
    Drop.REPEATED: "packets that were sent again",
}


class KdnetCapture:
    """A pcap or pcapng file, which may be compressed by gzip or xz; every iteration reads it anew.

    Prints come as the debugger got them, with the capture's time. A handshake of a target that began anew is
    a reboot. Exceptions and all else that the two ends told one another are left out.

    :param key: the session's.
    :param grammar: of the driver's lines.
    """

    def __init__(self, path: Path, key: Key, grammar: Grammar) -> None:
        self.path = path
        self.header = Header(
            machine={"type": "recorded", "source": "KDNET, network capture", "transport": "net"},
            order="the datagrams, as they were captured",
            lines=described(grammar),
        )
        self.footer: Footer | None = None
        self.damage = ""
        self._key = key
        self._grammar = grammar

    def __iter__(self) -> Iterator[Event]:
        self.footer, self.damage = None, ""
        tap = KdnetTap(self._key)
        left_out: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        loss = LossCounter()
        for event in self._events(tap, left_out):
            counts[kind_of(event)] += 1
            loss.add(event)
            yield event
        for drop, count in tap.dropped.items():
            left_out[_DROPS.get(drop, f"datagrams dropped: {drop.value}")] += count
        if not counts:
            self._explain(tap)
        self.footer = read_footer(counts, self.damage, complete=None, left_out=left_out, loss=loss.report())

    def _events(self, tap: KdnetTap, left_out: Counter[str]) -> Iterator[Event]:
        assembler = EventAssembler(self._grammar)
        began = False
        try:
            with open_unpacked(self.path) as file:
                for frame in captured_frames(self.path, file):
                    data = udp_payload(frame.link_type, frame.data)
                    if data is None or not data.startswith(MAGIC):
                        left_out["packets that are not KDNET's"] += 1
                        continue
                    for heard in tap.receive(data):
                        if isinstance(heard, SessionBegan):
                            if heard.fresh and began:
                                yield from assembler.reboot(frame.time)
                            began = True
                        elif (said := _print(heard)) is None:
                            left_out[_WORDS.get(heard.packet_type, heard.packet_type.name)] += 1
                        else:
                            yield from assembler.feed_bytes(said.text, frame.time, said.processor)
        except Damaged as error:
            self.damage = str(error)
        except OSError as error:
            raise TraceError(f"{self.path}: cannot be read: {error.strerror}") from None
        yield from assembler.flush()

    def _explain(self, tap: KdnetTap) -> None:
        """No line came: is it the key, or the capture?"""
        refused = tap.dropped[Drop.BAD_MAC]
        if not tap.opened and refused:
            raise UsageError(
                f"{self.path}: the key opens none of the {refused} KDNET datagrams in it",
                hint="--key takes the key that the target has (bcdedit /dbgsettings)",
            )
        if not tap.opened and not tap.dropped:
            raise TraceError(
                f"{self.path}: no KDNET datagram is in it", hint="capture UDP of the debugger's port"
            )
        if tap.dropped[Drop.NO_SESSION]:
            raise TraceError(
                f"{self.path}: the session's handshake is not in it, so nothing can be opened",
                hint="begin to capture before the target starts, or before the debugger does",
            )


def _print(packet: Packet) -> PrintString | None:
    if packet.packet_type is not PacketType.DEBUG_IO:
        return None
    try:
        said = decode_debug_io(packet.payload)
    except ProtocolError:
        return None
    return said if isinstance(said, PrintString) else None
