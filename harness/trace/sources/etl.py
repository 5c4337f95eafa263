"""Event trace logs (ETL) of the kernel's process provider, by the library ``dissect.etl``.

Microsoft-Windows-Kernel-Process tells of processes (1, 2), threads (3, 4) and images (5); its manifest gives
the fields, which are read here from the payload. The header of an event names the thread in whose context it
happened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final
from uuid import UUID

from harness.errors import TraceError
from harness.events import ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.trace.sources.extra import missing_extra
from harness.trace.sources.imported import Damaged, ImportedTrace, Seen

__all__ = ["MAX_BUFFER", "MAX_EVENTS", "KernelProcessEtl", "claims_etl"]

MAX_EVENTS: Final = 2_000_000
"""Events of processes, threads and images of one log; they are sorted by their time in memory."""
MAX_BUFFER: Final = 16 << 20
"""Bytes of one buffer; ETW's limit is 16 MiB."""

_PROVIDER: Final = UUID("22fb2cd6-0e7b-422b-a0c7-2fad1fd0e716").bytes_le
_BUFFER_HEADER: Final = 0x48
_BUFFER: Final = struct.Struct("<I44xI H")
"""Of a buffer's header its size, how much of it is filled, and its flags."""
_COMPRESSED: Final = 0x40
_EXTENDED: Final = 0x0001
"""Flag of an event's header: items stand before its payload."""
_MARKER: Final = b"\xc0"
_SYSTEM_HEADERS: Final = (1, 2)
_PERFORMANCE_COUNTER, _SYSTEM_TIME, _CPU_CYCLES = 1, 2, 3


def claims_etl(head: bytes) -> bool:
    """Whether a file that begins so is an event trace log: a buffer whose first event is the system's."""
    if len(head) < _BUFFER_HEADER + 4:
        return False
    size, filled, _ = _BUFFER.unpack_from(head)
    marker = head[_BUFFER_HEADER : _BUFFER_HEADER + 4]
    sound = _BUFFER_HEADER < filled <= size <= MAX_BUFFER and not size % 512
    return sound and marker[3:] == _MARKER and marker[2] in _SYSTEM_HEADERS


class KernelProcessEtl(ImportedTrace):
    """An ETL file. Each processor fills buffers of its own, so its events are sorted by their time."""

    tool = "event trace log, Microsoft-Windows-Kernel-Process"
    order = "the events of all processors, by their time"
    ends = False

    def _seen(self) -> Iterator[Seen]:
        found: list[tuple[int, int, Seen]] = []
        damage: Damaged | None = None
        try:
            for time, seen in self._timed():
                found.append((time, len(found), seen))
                if len(found) > MAX_EVENTS:
                    raise TraceError(
                        f"{self.path}: more than {MAX_EVENTS} events of processes, threads and images",
                        hint="record for a shorter time",
                    )
        except Damaged as error:
            damage = error
        found.sort(key=lambda row: row[:2])
        for _, _, seen in found:
            yield seen
        if damage is not None:
            raise damage

    def _timed(self) -> Iterator[tuple[int, Seen]]:
        try:
            from dissect.etl.etl import ETL, Buffer
            from dissect.etl.headers.event import EventHeader
        except ImportError:
            raise missing_extra(self.path, "an event trace log (ETL)", "dissect.etl") from None
        with self.path.open("rb") as file:
            self._check_buffer(file, 0)
            try:
                log = ETL(file)
                clock = _Clock(log.logfile_header)
                lost = int(log.logfile_header.header.EventsLost)
            except Exception as error:  # noqa: BLE001  # the library raises whatever a header runs into
                raise TraceError(f"{self.path}: not a whole event trace log: {_words(error)}") from None
            if lost:
                self.leave_out("events that the session lost", lost)
            offset = 0
            for number in range(log.logfile_header.buffers_written):
                size = self._check_buffer(file, offset)
                where = f"{self.path}: buffer {number}"
                try:
                    for record in Buffer(log, offset):
                        header = record.header
                        if (
                            not isinstance(header, EventHeader)
                            or bytes(header.header.ProviderId) != _PROVIDER
                        ):
                            self.leave_out("events of other providers")
                            continue
                        seen = _event(header)
                        if seen is None:
                            self.leave_out(f"event {header.header.Id}")
                            continue
                        time = clock.time_of(header.header.TimeDelta)
                        seen.fields["time"] = time
                        yield time, seen
                except Exception as error:  # noqa: BLE001  # the same
                    raise Damaged(f"{where}: damaged: {_words(error)}") from None
                offset += size

    def _check_buffer(self, file: BinaryIO, offset: int) -> int:
        """The size of the buffer there: the library takes it as it is."""
        file.seek(offset)
        head = file.read(_BUFFER_HEADER)
        if len(head) < _BUFFER_HEADER:
            raise Damaged(f"{self.path}: cut off: no buffer at byte {offset}")
        size, filled, flags = _BUFFER.unpack_from(head)
        if not _BUFFER_HEADER <= filled <= size <= MAX_BUFFER:
            raise Damaged(f"{self.path}: a buffer of {size} bytes, {filled} of them filled, at byte {offset}")
        if flags & _COMPRESSED:
            raise Damaged(
                f"{self.path}: compressed buffers (at byte {offset})", hint="record without compression"
            )
        if file.seek(0, 2) < offset + filled:
            raise Damaged(f"{self.path}: cut off in the middle of the buffer at byte {offset}")
        return int(size)


class _Clock:
    """The session's clock as system time, in 100 ns since 1601, in whole numbers."""

    def __init__(self, logfile: Any) -> None:
        header = logfile.header
        self._kind = int(header.ReservedFlags)
        self._rate = {
            _PERFORMANCE_COUNTER: (10_000_000, int(header.PerfFreq)),
            _SYSTEM_TIME: (1, 1),
            _CPU_CYCLES: (10, int(header.CpuSpeedInMHz)),
        }[self._kind]
        if self._rate[1] < 1:
            raise ValueError("a clock that stands still")
        self._base = int(header.StartTime) - self._scaled(int(logfile.system_header.time_delta))

    def _scaled(self, ticks: int) -> int:
        units, per = self._rate
        return ticks * units // per

    def time_of(self, ticks: int) -> int:
        return self._base + self._scaled(int(ticks))


def _event(header: Any) -> Seen | None:
    payload = _payload(header)
    pointer = 8 if header.is_64bit else 4
    context = {"pid": int(header.process_id), "tid": int(header.thread_id)}
    match header.header.Id:
        case 1:
            pid, parent, image = _process_start(int(header.version), payload)
            creator = {"creating_pid": context["pid"], "creating_tid": context["tid"]}
            return Seen(ProcessCreate, {"pid": pid, "parent_pid": parent, "image": image, **creator})
        case 2:
            (pid,) = struct.unpack_from("<I", payload)
            return Seen(ProcessExit, {"pid": pid, **_context(context)})
        case 3:
            pid, tid = struct.unpack_from("<II", payload)
            creator = {"creating_pid": context["pid"], "creating_tid": context["tid"]}
            return Seen(ThreadCreate, {"pid": pid, "tid": tid, **creator})
        case 4:
            pid, tid = struct.unpack_from("<II", payload)
            return Seen(ThreadExit, {"pid": pid, "tid": tid, **_context(context)})
        case 5:
            base, size, pid = struct.unpack_from("<QQI" if pointer == 8 else "<III", payload)
            fields = {"pid": pid, "base": base, "size": size, **_context(context)}
            return Seen(ImageLoad, {**fields, "image": _text(payload, 3 * pointer + 12)})
        case _:
            return None


def _context(context: dict[str, int]) -> dict[str, int]:
    return {"context_pid": context["pid"], "context_tid": context["tid"]}


def _payload(header: Any) -> bytes:
    """Without the items that may stand before it."""
    payload = bytes(header.payload)
    if not header.header.Flags & _EXTENDED:
        return payload
    place, follows = 0, True
    while follows:
        size, _, linkage = struct.unpack_from("<HHH", payload, place)
        if size < 8:
            raise ValueError(f"an item of {size} bytes before the payload")
        place, follows = place + size, bool(linkage & 1)
    return payload[place:]


def _process_start(version: int, payload: bytes) -> tuple[int, int, str]:
    """PID, parent's PID and image."""
    if version < 3:
        pid, parent = struct.unpack_from("<I8xI", payload)
        return pid, parent, _text(payload, 20 if version == 0 else 24)
    pid, parent = struct.unpack_from("<I16xI", payload)
    label = 52  # a SID: revision, number of its parts, authority, the parts
    parts = payload[label + 1]
    return pid, parent, _text(payload, label + 8 + 4 * parts)


def _text(payload: bytes, place: int) -> str:
    """A text in UTF-16 that ends with a NUL."""
    text = payload[place:].decode("utf-16-le", "replace")
    end = text.find("\0")
    if end < 0:
        raise ValueError("a text without an end")
    return text[:end]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
