"""Writing a trace file, so that whatever happens the part written so far can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from harness.events import Event, kind_of
from harness.trace.format import Footer, Header, encode
from harness.trace.loss import LossCounter, LossReport

__all__ = ["TraceWriter"]


class TraceWriter:
    """Writes header, events and footer.

    A context manager: left without :meth:`finish`, the file stays cut off.

    :param path: the file; what it held before is gone.
    :raises OSError: the file cannot be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self._counts: Counter[str] = Counter()
        self._loss = LossCounter()
        self._file = path.open("wb")
        self._file.write(encode(header))
        self._file.flush()

    def write(self, events: Iterable[Event]) -> None:
        """Append events and hand them to the operating system: an interrupt after this loses none of them."""
        for event in events:
            self._counts[kind_of(event)] += 1
            self._loss.add(event)
            self._file.write(encode(event))
        self._file.flush()

    def loss(self) -> LossReport:
        """What is missing so far."""
        return self._loss.report()

    def finish(
        self,
        *,
        outcome: str | None = None,
        bindings: Mapping[str, int] | None = None,
        ended: str | None = None,
    ) -> Footer:
        """Write the footer and close: the trace is whole."""
        footer = Footer(
            events=self._counts.total(),
            counts=dict(self._counts),
            loss=self.loss(),
            outcome=outcome,
            bindings=dict(bindings or {}),
            ended=ended,
        )
        self._file.write(encode(footer))
        self.close()
        return footer

    def close(self) -> None:
        """Close the file as it is. Idempotent."""
        self._file.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
