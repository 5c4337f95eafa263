"""Process Monitor's own log file (PML), its rows read by the library ``procmon-parser``."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from harness.errors import TraceError
from harness.trace.sources.extra import missing_extra
from harness.trace.sources.imported import Damaged
from harness.trace.sources.procmon.events import ProcmonTrace
from harness.trace.sources.procmon.rows import ProcmonRow

__all__ = ["ProcmonLog"]

_EVENTS: Final = struct.Struct("<I")
_EVENTS_AT: Final = 0x234
"""Where the header says how many events there are."""
_OFFSET_SIZE: Final = 5
"""Bytes that an event has at least in the table of their places."""
_CLASS_AT: Final = 8
_CLASSES: Final = {2: "registry", 3: "file system", 4: "profiling", 5: "network", 6: "IPC"}
_PROCESS: Final = 1


class ProcmonLog(ProcmonTrace):
    """A PML file. Its tables stand at its end, so one that is cut off cannot be read at all."""

    tool = "Process Monitor, PML"
    ends = True

    def _rows(self) -> Iterator[ProcmonRow]:
        try:
            from procmon_parser import PMLStreamReader
        except ImportError:
            raise missing_extra(self.path, "a Process Monitor log (PML)", "procmon-parser") from None
        with self.path.open("rb") as file:
            self._check_count(file)
            file.seek(0)
            try:
                reader = PMLStreamReader(file, should_get_stacktrace=False)
            except Exception as error:  # noqa: BLE001  # the library raises whatever its tables run into
                raise TraceError(
                    f"{self.path}: not a whole Process Monitor log: {type(error).__name__}: {error}",
                    hint="Process Monitor completes it when it is closed; or export CSV from it",
                ) from None
            for number, offset in enumerate(reader.events_offsets):
                where = f"{self.path}: event {number}"
                kind = self._class_of(file, where, offset)
                if kind != _PROCESS:
                    self.leave_out(f"{_CLASSES.get(kind, 'other')} events")
                    continue
                try:
                    yield _row(where, reader.get_event_at_offset(offset))
                except Exception as error:  # noqa: BLE001  # the same
                    raise Damaged(f"{where}: damaged: {type(error).__name__}: {error}") from None

    def _check_count(self, file: BinaryIO) -> None:
        """The library makes room for so many events as the header says."""
        file.seek(_EVENTS_AT)
        said = file.read(_EVENTS.size)
        size = file.seek(0, 2)
        if len(said) < _EVENTS.size or _EVENTS.unpack(said)[0] * _OFFSET_SIZE > size:
            raise TraceError(
                f"{self.path}: not a whole Process Monitor log: {size} bytes", hint="was it cut off?"
            )

    def _class_of(self, file: BinaryIO, where: str, offset: int) -> int:
        file.seek(offset + _CLASS_AT)
        data = file.read(4)
        if len(data) < 4:
            raise Damaged(f"{where}: it stands behind the end of the file")
        return int.from_bytes(data, "little")


def _row(where: str, event: Any) -> ProcmonRow:
    details = event.details
    operation = event.operation.name.replace("_", " ")
    match operation:
        case "Process Start":
            detail = f"Parent PID: {details['Parent PID']}"
        case "Thread Create" | "Thread Exit":
            detail = f"Thread ID: {details['Thread ID']}"
        case "Load Image":
            detail = f"Image Base: 0x{details['Image Base']:x}, Image Size: 0x{details['Image Size']:x}"
        case _:
            detail = ""
    process = event.process
    return ProcmonRow(
        where,
        event.date_filetime,
        process.pid,
        operation,
        event.path,
        detail,
        process.process_name,
        event.tid,
        process.parent_pid,
        process.image_path,
    )
