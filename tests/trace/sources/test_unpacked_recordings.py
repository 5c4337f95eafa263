"""Unpacking as it is read: parts, padding, limits."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from harness.errors import TraceError
from harness.trace.sources import open_trace, unpacked
from harness.trace.sources.imported import Damaged
from harness.trace.sources.unpacked import open_unpacked


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_several_parts_and_padding_are_one_stream(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]
    parts = [b"a" * 300_000, b"", bytes(range(256)) * 999]
    path = tmp_path / "x"
    path.write_bytes(b"".join(map(compress, parts)) + bytes(200_000))
    with open_unpacked(path) as file:
        assert file.read() == b"".join(parts)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_what_unpacks_beyond_the_limit_is_refused(
    tmp_path: Path,
    compress,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setattr(unpacked, "MAX_UNPACKED", 1 << 20)
    path = tmp_path / "x"
    path.write_bytes(compress(bytes(1 << 20)))
    with open_unpacked(path) as file:
        assert len(file.read()) == 1 << 20
    path.write_bytes(compress(bytes((1 << 20) + 1)))
    with open_unpacked(path) as file, pytest.raises(Damaged, match="unpacks to more than"):
        file.read()


def test_a_dictionary_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 28}]
    data = lzma.LZMACompressor(filters=filters)
    head = bytearray(data.compress(b"x") + data.flush())
    path.write_bytes(head)
    with open_unpacked(path) as file, pytest.raises(Damaged, match="cannot be unpacked: Memory usage limit"):
        file.read()


def test_a_compressed_trace_and_anything_else_that_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(b'{"kind":"header"}\n'))
    with pytest.raises(TraceError, match=r"a trace that is compressed \(gzip\); unpack it"):
        open_trace(path)
    path.write_bytes(gzip.compress(b"hello\n"))
    with pytest.raises(TraceError, match=r"what is compressed in it \(gzip\) is not a trace"):
        open_trace(path)
