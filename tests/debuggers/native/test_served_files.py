"""KD file requests against the native debugger's map; every field of a request is the target's to make up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.debuggers.native.servedfiles import MAX_KDCOM_READ, MAX_KDNET_READ, ServedFiles
from harness.kd.fileio import CloseFile, CreateFile, FileIo, ReadFile, WriteFile, decode_file_io

DATA = bytes(range(256)) * 16
NOT_MAPPED = 0xC000000F


def served(**files: bytes) -> ServedFiles:
    found = ServedFiles(MAX_KDNET_READ)
    for name, data in files.items():
        found.add(f"{name}.sys", data)
    return found


def asked(path: str) -> CreateFile:
    # Handle and length of a request are whatever was on the target's stack.
    return CreateFile(handle=0xDEAD, length=0xBEEF, data=path.encode("utf-16-le") + b"\0\0")


def opened(files: ServedFiles, path: str) -> CreateFile:
    answer = files.answer(asked(path))
    assert isinstance(answer, CreateFile)
    return answer


@pytest.mark.parametrize(
    ("mapped", "path", "found"),
    [
        ("x.sys", "C:\\procnotify\\x.sys", True),
        ("x.sys", "\\??\\C:\\procnotify\\X.SYS", True),
        ("X.Sys", "x.sys", True),
        ("x.sys", "C:\\procnotify\\ax.sys", False),
        ("x.sys", "C:\\x.sys\\procnotify", False),
        ("x.sys", "", False),
        ("\\??\\C:\\procnotify\\x.sys", "C:/procnotify/x.sys", True),
        ("procnotify\\x.sys", "\\SystemRoot\\procnotify\\x.sys", True),
        ("procnotify\\x.sys", "C:\\other\\x.sys", False),
        ("\\SystemRoot\\system32\\drivers\\x.sys", "drivers\\x.sys", False),
    ],
)
def test_a_path_is_compared_from_its_end(mapped: str, path: str, found: bool) -> None:
    files = ServedFiles(MAX_KDNET_READ)
    files.add(mapped, DATA)
    answer = opened(files, path)
    assert (answer.status == 0) is found
    assert files.was_opened(mapped) is found
    if found:
        assert answer.length == len(DATA)
    else:
        assert answer.status == NOT_MAPPED
    assert answer.data == b""


def test_nothing_is_mapped_at_first() -> None:
    files = ServedFiles(MAX_KDNET_READ)
    assert opened(files, "C:\\x.sys").status == NOT_MAPPED
    assert files.answer(ReadFile(handle=1, length=1)).status != 0


def test_what_was_mapped_last_counts_and_what_is_open_stays() -> None:
    files = served(x=b"first")
    first = opened(files, "x.sys")
    files.add("x.sys", b"second")
    second = opened(files, "x.sys")
    for handle, data in ((first.handle, b"first"), (second.handle, b"second")):
        part = files.answer(ReadFile(handle=handle, length=100))
        assert isinstance(part, ReadFile)
        assert (part.data, part.length) == (data, len(data))


@pytest.mark.parametrize("most", [MAX_KDNET_READ, MAX_KDCOM_READ])
def test_a_read_fits_into_one_packet(most: int) -> None:
    files = ServedFiles(most)
    files.add("x.sys", DATA)
    handle = opened(files, "x.sys").handle
    whole = files.answer(ReadFile(handle=handle, length=most))
    assert (whole.status, whole.data) == (0, DATA[:most])
    longer = files.answer(ReadFile(handle=handle, length=most + 1))
    assert (longer.status, longer.data) == (0xC000000D, b"")


@given(
    handle=st.one_of(st.integers(0, 3), st.integers(0, (1 << 64) - 1)),
    offset=st.one_of(st.integers(0, 2 * len(DATA)), st.integers(0, (1 << 64) - 1)),
    length=st.one_of(st.integers(0, 2 * MAX_KDNET_READ), st.integers(0, (1 << 32) - 1)),
)
def test_no_handle_and_no_range_gives_more_than_the_file(handle: int, offset: int, length: int) -> None:
    answer = served(x=DATA).answer(ReadFile(handle=handle, offset=offset, length=length))
    assert isinstance(answer, ReadFile)
    assert decode_file_io(answer.encode()) == answer
    if answer.status == 0:
        assert handle == 1
        assert answer.data == DATA[offset : offset + length]
        assert answer.length == len(answer.data)
    else:
        assert answer.data == b""
        assert handle != 1 or offset > len(DATA) or length > MAX_KDNET_READ


def test_a_target_that_never_closes_costs_nothing() -> None:
    files = served(x=DATA)
    handles = {opened(files, "x.sys").handle for _ in range(1000)}
    assert len(handles) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (CloseFile(handle=1), 0),
        (CloseFile(handle=2), 0xC0000001),
        (CloseFile(handle=0), 0xC0000001),
        (WriteFile(handle=1, length=1, data=b"x"), 0xC0000001),
    ],
)
def test_other_requests(request_: FileIo, status: int) -> None:
    files = served(x=DATA)
    answer = files.answer(request_)
    assert (answer.status, answer.data) == (status, b"")
    assert files.answer(ReadFile(handle=1, length=4)).data == DATA[:4], "it is what it was"
