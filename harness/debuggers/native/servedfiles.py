"""KD file requests (``.kdfiles``): what the target may read of the host, and the answers to it.

A handle is the number of a mapping, and what is mapped stays in memory. So nothing is opened for the target:
one that opens a file a thousand times, or never closes it, costs nothing, and a handle or a range that it
makes up reaches no byte but those of the mapped files.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from harness.debuggers.base import path_parts
from harness.kd.fileio import CloseFile, CreateFile, FileIo, ReadFile, WriteFile
from harness.kd.packets import MAX_KDCOM_PAYLOAD, MAX_KDNET_PAYLOAD
from harness.kd.status import (
    STATUS_END_OF_FILE,
    STATUS_INVALID_PARAMETER,
    STATUS_NO_SUCH_FILE,
    STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL,
)

__all__ = ["MAX_KDCOM_READ", "MAX_KDNET_READ", "ServedFiles"]

MAX_KDNET_READ: Final = MAX_KDNET_PAYLOAD - ReadFile.SIZE
"""Bytes that one read can give over KDNET; more is refused, as by DbgEng 10.0.15063."""
MAX_KDCOM_READ: Final = MAX_KDCOM_PAYLOAD - ReadFile.SIZE
"""The same over a serial line."""


class ServedFiles:
    """The :class:`~harness.debuggers.base.ReplacementMap`, and what is answered from it.

    :param max_read: bytes that fit into one answer.
    """

    def __init__(self, max_read: int) -> None:
        self._max_read = max_read
        self._mapped: list[tuple[tuple[str, ...], bytes]] = []
        self._opened: set[tuple[str, ...]] = set()

    def add(self, path: str, data: bytes) -> None:
        """See :meth:`harness.debuggers.base.ReplacementMap.add`."""
        self._mapped.append((path_parts(path), data))

    def was_opened(self, path: str) -> bool:
        """See :meth:`harness.debuggers.base.ReplacementMap.was_opened`."""
        return path_parts(path) in self._opened

    def answer(self, request: FileIo) -> FileIo:
        """What to send the target for a request, every field of which is the target's to make up."""
        match request:
            case CreateFile():
                return self._create(request)
            case ReadFile():
                return self._read(request)
            case CloseFile():
                known = self._contents(request.handle) is not None
                return replace(request, status=STATUS_SUCCESS if known else STATUS_UNSUCCESSFUL, data=b"")
            case WriteFile():
                return replace(request, status=STATUS_UNSUCCESSFUL, data=b"")

    def _create(self, request: CreateFile) -> CreateFile:
        asked = path_parts(request.path)
        for number in range(len(self._mapped), 0, -1):  # the last that was mapped for a path counts
            mapped, data = self._mapped[number - 1]
            if asked[-len(mapped) :] == mapped:
                self._opened.add(mapped)
                return replace(request, status=STATUS_SUCCESS, handle=number, length=len(data), data=b"")
        return replace(request, status=STATUS_NO_SUCH_FILE, data=b"")

    def _read(self, request: ReadFile) -> ReadFile:
        data = self._contents(request.handle)
        if data is None:
            return replace(request, status=STATUS_UNSUCCESSFUL, data=b"")
        if request.length > self._max_read:
            return replace(request, status=STATUS_INVALID_PARAMETER, data=b"")
        if request.offset > len(data):
            return replace(request, status=STATUS_END_OF_FILE, data=b"")
        part = data[request.offset : request.offset + request.length]
        return replace(request, status=STATUS_SUCCESS, length=len(part), data=part)

    def _contents(self, handle: int) -> bytes | None:
        return self._mapped[handle - 1][1] if 0 < handle <= len(self._mapped) else None
