"""Writing a trace file, so that whatever happens the part written so far can be read."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from harness.errors import TraceError
from harness.events import Event, WitnessName, kind_of
from harness.trace.format import Footer, Header, Record, encode
from harness.trace.loss import LossCounter, LossReport

__all__ = ["JsonLines", "RecordStore", "TraceWriter"]


class RecordStore(Protocol):
    """How records stand in a file."""

    def write(self, records: Iterable[Header | Record]) -> None:
        """Take the header, then events, and the footer at the end.

        :raises OSError: they cannot be written.
        """

    def close(self) -> None:
        """Write what is left; the file is closed by whoever has opened it."""


class JsonLines:
    """A record a line, each handed to the operating system at once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, records: Iterable[Header | Record]) -> None:
        """See :class:`RecordStore`."""
        for record in records:
            self._file.write(encode(record))
        self._file.flush()

    def close(self) -> None:
        """See :class:`RecordStore`."""


class TraceWriter:
    """Writes header, events and footer.

    A context manager: left without :meth:`finish`, the file stays cut off.

    :param path: the file; what it held before is gone.
    :param store: how the records stand in it.
    :raises OSError: the file cannot be opened.
    :raises TraceError: it cannot be written.
    """

    def __init__(
        self, path: Path, header: Header, store: Callable[[BinaryIO], RecordStore] = JsonLines
    ) -> None:
        self.path = path
        self._counts: Counter[str] = Counter()
        self._loss = LossCounter()
        self._failed = False
        self._file = path.open("wb")
        self._store = store(self._file)
        self._write([header])

    def write(self, events: Iterable[Event]) -> None:
        """Append events and hand them to the operating system: an interrupt after this loses none of them.

        :raises TraceError: the file cannot be written, because the disk is full, for example. Said once: what
            comes after that is counted and not tried.
        """
        events = list(events)
        for event in events:
            self._counts[kind_of(event)] += 1
            self._loss.add(event)
        self._write(events)

    @property
    def counts(self) -> dict[str, int]:
        """Events of each kind so far."""
        return dict(self._counts)

    def loss(self) -> LossReport:
        """What is missing so far."""
        return self._loss.report()

    def finish(
        self,
        *,
        complete: bool | None = True,
        outcome: str | None = None,
        reason: str = "",
        bindings: Mapping[str, int] | None = None,
        witness: WitnessName = "print",
        left_out: Mapping[str, int] | None = None,
        hidden_prints: int = 0,
        ended: str | None = None,
    ) -> Footer:
        """Write the footer and close: the trace is whole.

        :param complete: False: something ended the capture early; ``outcome`` and ``reason`` say what. None:
            that is not known.
        :raises TraceError: the file cannot be written; after a :meth:`write` that failed nothing is tried.
        """
        footer = Footer(
            events=self._counts.total(),
            counts=dict(self._counts),
            loss=self.loss(),
            complete=complete,
            outcome=outcome,
            reason=reason,
            bindings=dict(bindings or {}),
            witness=witness,
            left_out=dict(left_out or {}),
            hidden_prints=hidden_prints,
            ended=ended,
        )
        self._write([footer])
        self.close()
        return footer

    def close(self) -> None:
        """Close the file as it is. Idempotent.

        :raises TraceError: what was written last did not reach the disk.
        """
        if self._file.closed:
            return
        try:
            with self._file:
                self._store.close()
        except OSError as error:
            raise self._cannot(error) from None

    def _write(self, records: Iterable[Header | Record]) -> None:
        if self._failed:
            return
        try:
            self._store.write(records)
        except OSError as error:
            self._failed = True
            with contextlib.suppress(OSError):  # what is still in the buffer finds no room either
                self._file.close()
            raise self._cannot(error) from None

    def _cannot(self, error: OSError) -> TraceError:
        return TraceError(f"cannot write the trace {self.path}: {error.strerror}")

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
