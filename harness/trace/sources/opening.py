"""Opening a recording, whoever made it: what a file is, is found out from its first bytes."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from harness.errors import TraceError, UsageError
from harness.events import Event
from harness.grammars import builtin_grammar
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.trace.columns import ColumnTrace
from harness.trace.format import Footer, Header
from harness.trace.reader import TraceReader
from harness.trace.sources.capture import KdnetCapture, claims_capture
from harness.trace.sources.etl import KernelProcessEtl, claims_etl
from harness.trace.sources.imported import Damaged
from harness.trace.sources.logforms import DEBUGVIEW, form_of
from harness.trace.sources.procmon import ProcmonCsv, ProcmonLog, claims_csv
from harness.trace.sources.sysmon import SysmonEvtx, SysmonJson, SysmonXml, claims_json, claims_xml
from harness.trace.sources.textlog import TextLog, text_encoding
from harness.trace.sources.unpacked import compression_of, open_unpacked

__all__ = ["SNIFFED_BYTES", "TraceSource", "open_trace"]

SNIFFED_BYTES = 64 << 10
"""How far into a file, unpacked where it is compressed, it is looked for what the file is."""


class TraceSource(Protocol):
    """A recording: iterate it, as often as wanted, for its events in the order that its header names."""

    @property
    def path(self) -> Path: ...

    @property
    def header(self) -> Header: ...

    @property
    def footer(self) -> Footer | None:
        """After an iteration to the end: what the recorder knew then; None: the end is not known. Before one
        it may be there already, and need not be the truth."""

    @property
    def damage(self) -> str:
        """After an iteration: where the recording of another tool is damaged, so that it holds no events from
        there on; empty: nowhere."""

    def __iter__(self) -> Iterator[Event]: ...


_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"PAGEDU64", "a crash dump"),
    (b"PAGEDUMP", "a crash dump"),
    (b"MDMP", "a minidump"),
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "an ELF program"),
)
"""What files that are often at hand begin with, and what they are."""


def open_trace(path: Path, grammar: Grammar | None = None, key: Key | None = None) -> TraceSource:
    """The recording in a file: a trace of ours, a text log of the lines that a driver printed, or the
    recording of another tool (docs/recordings.md).

    :param grammar: of the lines of a text log or a network capture; None: the built-in one. With one given,
        any text is a log.
    :param key: of the KDNET session in a network capture.
    :raises TraceError: the file cannot be read, or is something else, which the message names.
    :raises UsageError: it is a network capture, and there is no key.
    """
    head, compression = _head(path)
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise TraceError(f"{path}: not a trace but {what}")
    if head.startswith(b"PAR1") and compression is None:
        return ColumnTrace(path)
    if head.startswith(b"PML_"):
        _refuse_packed(path, "a Process Monitor log (PML)", compression)
        return ProcmonLog(path)
    if claims_etl(head):
        _refuse_packed(path, "an event trace log (ETL)", compression)
        return KernelProcessEtl(path)
    if claims_capture(head):
        if key is None:
            raise UsageError(
                f"{path}: a network capture, whose KDNET datagrams only their key opens",
                hint="--key w.x.y.z takes it",
            )
        return KdnetCapture(path, key, grammar or builtin_grammar())
    if head.startswith(b"ElfFile\x00"):
        _refuse_packed(path, "an event log (EVTX)", compression)
        return SysmonEvtx(path)
    if claims_json(head):
        return SysmonJson(path)
    if head.lstrip().startswith(b"{"):
        _refuse_packed(path, "a trace", compression)
        return TraceReader(path)
    encoding = text_encoding(head)
    if encoding is not None:
        text = head.decode(encoding, "replace")
        if claims_csv(text):
            return ProcmonCsv(path)
        if claims_xml(text):
            return SysmonXml(path)
        lines = [line.rstrip("\r") for line in text.lstrip("\ufeff").split("\n")]
        form, builtin = form_of(lines), builtin_grammar()
        printed = (form.text_of(line, builtin) for line in lines)
        if grammar is not None or form is DEBUGVIEW or any(said and builtin.claims(said) for said in printed):
            return TextLog(path, encoding, grammar or builtin, form)
    if compression is not None:
        raise TraceError(f"{path}: what is compressed in it ({compression}) is not a trace")
    return TraceReader(path)  # says what is wrong with it


def _refuse_packed(path: Path, what: str, compression: str | None) -> None:
    """Of what is not read from its beginning to its end."""
    if compression is not None:
        raise TraceError(f"{path}: {what} that is compressed ({compression})", hint="unpack it")


def _head(path: Path) -> tuple[bytes, str | None]:
    """The first bytes of a file, unpacked, and how it is compressed."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise TraceError(
                f"{path}: cannot be read: not a regular file, and a trace is read more than once",
                hint="write it to a file first",
            )
        with path.open("rb") as packed:
            compression = compression_of(packed.read(8))
        with open_unpacked(path) as file:
            return _first_of(file), compression
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None


def _first_of(file: BufferedReader) -> bytes:
    """The first bytes, up to where they are damaged; that is said where they are read as what they are."""
    head = b""
    try:
        while len(head) < SNIFFED_BYTES and (piece := file.read1(SNIFFED_BYTES - len(head))):
            head += piece
    except Damaged:
        if not head:
            raise
    return head
