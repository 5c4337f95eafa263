"""FILE_IO packets (type 11): the target asks the host for files (``.kdfiles``), and the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from harness.kd.errors import ProtocolError
from harness.kd.layout import Record, u32, u64

__all__ = ["CloseFile", "CreateFile", "FileIo", "ReadFile", "WriteFile", "decode_file_io"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFile(Record):
    """Open a file by path; in a request handle and length are whatever was on the target's stack."""

    SIZE: ClassVar[int] = 64
    API: ClassVar[int] = 0x3430

    api: int = u32(0, API)
    status: int = u32(4)
    desired_access: int = u32(8)
    file_attributes: int = u32(12)
    share_access: int = u32(16)
    create_disposition: int = u32(20)
    create_options: int = u32(24)
    handle: int = u64(32)
    length: int = u64(40)

    @property
    def path(self) -> str:
        """The path in a request: UTF-16 up to its NUL, unpaired surrogates replaced."""
        return self.data.decode("utf-16-le", "replace").split("\0", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile(Record):
    """Read ``length`` bytes at ``offset``; the reply's data has them."""

    SIZE: ClassVar[int] = 64
    API: ClassVar[int] = 0x3431

    api: int = u32(0, API)
    status: int = u32(4)
    handle: int = u64(8)
    offset: int = u64(16)
    length: int = u32(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile(Record):
    """Write the request's data at ``offset``."""

    SIZE: ClassVar[int] = 64
    API: ClassVar[int] = 0x3432

    api: int = u32(0, API)
    status: int = u32(4)
    handle: int = u64(8)
    offset: int = u64(16)
    length: int = u32(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFile(Record):
    """Close a handle."""

    SIZE: ClassVar[int] = 64
    API: ClassVar[int] = 0x3433

    api: int = u32(0, API)
    status: int = u32(4)
    handle: int = u64(8)


FileIo: TypeAlias = CreateFile | ReadFile | WriteFile | CloseFile

_BY_API: Final[dict[int, type[FileIo]]] = {
    CreateFile.API: CreateFile,
    ReadFile.API: ReadFile,
    WriteFile.API: WriteFile,
    CloseFile.API: CloseFile,
}


def decode_file_io(payload: bytes) -> FileIo:
    """Parse the payload of a type 11 packet; raises :class:`ProtocolError`."""
    api = int.from_bytes(payload[:4], "little")
    record = _BY_API.get(api)
    if record is None:
        raise ProtocolError(f"FILE_IO api 0x{api:x} in {len(payload)} bytes is unknown")
    return record.decode(payload)
