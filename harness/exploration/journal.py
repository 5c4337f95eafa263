"""The journal of an exploration: what was found as it comes, so that one that was interrupted goes on.

JSON Lines: a header that says of what it is, then one run a line. A last line that was cut off is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from harness.errors import UsageError
from harness.exploration.enumerating import Choices
from harness.exploration.trials import TrialRecord
from harness.files import cannot_write, read_file

__all__ = ["FORMAT", "MAX_FILE", "Journal"]

FORMAT: Final = 1
"""Version of the file."""
MAX_FILE: Final = 1 << 30
"""Bytes that a journal may have."""


class JournalHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of what it is."""

    journal: int = FORMAT
    of: dict[str, str]
    """What decides which runs there are and what comes of each."""


class Journal:
    """A journal file; a context manager.

    :param path: made where it is not there; else what was found is taken from it.
    :param of: what decides which runs there are and what comes of each, in words.
    :raises UsageError: it is no journal, or that of another exploration; what differs.
    :raises ProcnotifyError: it cannot be written.
    """

    def __init__(self, path: Path, of: Mapping[str, str]) -> None:
        self.path = path
        self.known: dict[tuple[int, Choices | None], TrialRecord] = {}
        """What was found before, by seed and choices."""
        whole = self._read(dict(of)) if path.exists() else 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if whole else "wb")
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._write(JournalHeader(of=dict(of)))
        except OSError as error:
            raise cannot_write(path, error, hint="choose another --resume") from None

    def note(self, record: TrialRecord) -> None:
        """Write down what came of a run.

        :raises ProcnotifyError: it cannot be written.
        """
        if record.choices is None:  # nobody goes on from there
            record = msgspec.structs.replace(record, decisions=(), threads=())
        try:
            self._write(record)
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def _read(self, of: dict[str, str]) -> int:
        """Take what was found; where the last whole line ends."""
        try:
            data = read_file(self.path, limit=MAX_FILE)
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror or error}") from None
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        if not lines:
            return 0
        try:
            header = msgspec.json.decode(lines[0], type=JournalHeader)
            if header.journal != FORMAT:
                raise UsageError(f"{self.path} is a journal of version {header.journal}, not {FORMAT}")
            records = [msgspec.json.decode(line, type=TrialRecord) for line in lines[1:]]
            if any(record.fault and record.schedule is None for record in records):
                raise ValueError("a run that failed has no schedule")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{self.path} is no journal of an exploration: {error}", hint="choose another --resume"
            ) from None
        for key in sorted({*header.of, *of}):
            before, now = header.of.get(key, "none"), of.get(key, "none")
            if before != now:
                raise UsageError(
                    f"{self.path} is the journal of another exploration: {key} was {before}, now {now}",
                    hint="choose another --resume, or delete the file",
                )
        self.known = {(record.seed, record.choices): record for record in records}
        return whole

    def _write(self, line: JournalHeader | TrialRecord) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
