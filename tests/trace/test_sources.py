"""What a file is: a trace of ours, a text log, or something that is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from this_system import FIFOS

from harness.errors import TraceError
from harness.events import ImageLoad, Print, ProcessExit
from harness.lines import MAX_LINE
from harness.trace import Header, TraceReader, TraceWriter
from harness.trace.sources import TextLog, open_trace

LINES = "hello\r\n[procnotify] F PID(8) was terminated\r\n\r\nbye"


def test_a_trace_of_ours(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    with TraceWriter(trace, Header(scenario="one")) as writer:
        writer.finish()
    assert isinstance(open_trace(trace), TraceReader)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_log(tmp_path: Path, encoding: str) -> None:
    log = tmp_path / "kd.log"
    log.write_bytes(LINES.encode(encoding))
    source = open_trace(log)
    assert isinstance(source, TextLog)
    for _ in range(2):  # as often as wanted
        assert [(type(event), event.index, event.line) for event in source] == [
            (Print, 0, "hello"),
            (ProcessExit, 1, "[procnotify] F PID(8) was terminated"),
            (Print, 2, "bye"),
        ]
    assert source.footer is None


def test_a_text_log_with_what_is_no_character_and_a_line_without_end(tmp_path: Path) -> None:
    log = tmp_path / "kd.log"
    image = b"[procnotify] F PID(8) loaded a/an \\a\xff.dll at 0x10\n"
    log.write_bytes(image + b"x" * (3 * MAX_LINE) + b"\n" + image)
    first, flood, last = open_trace(log)
    assert isinstance(first, ImageLoad) and isinstance(last, ImageLoad)
    assert first.image == "\\a\ufffd.dll"
    assert flood.line == "x" * MAX_LINE + f" ... ({2 * MAX_LINE} more characters)"


OTHERS = [
    (b"PAGEDU64", "a crash dump"),
    (b"PK\x03\x04", "a ZIP archive"),
]


@pytest.mark.parametrize(("head", "what"), OTHERS)
def test_another_makers_file_is_named(tmp_path: Path, head: bytes, what: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(head + b"more")
    with pytest.raises(TraceError) as caught:
        open_trace(path)
    assert str(caught.value).startswith(f"{path}: not a trace but {what}")


@pytest.mark.parametrize("text", ["", "hello\n", "scenario: one\n", "\x00\x01"])
def test_what_nobody_knows_is_not_a_trace(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TraceError, match=r"not a trace|the file is empty"):
        open_trace(path)


@FIFOS
def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path(os.devnull)):
        with pytest.raises(
            TraceError, match="not a regular file, and a trace is read more than once; write it"
        ):
            open_trace(path)


def test_a_folder_and_what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(TraceError, match="cannot be read: "):
            open_trace(path)
