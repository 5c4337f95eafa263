"""A Windows named pipe as a byte port. Windows only.

Reads and writes on one synchronous pipe handle exclude each other, so the handle is opened for overlapped
I/O. Who serves the pipe may learn who we are, and not act as us.

Source: Microsoft, CreateFileW, "Impersonation Levels".
"""

from __future__ import annotations

import errno
import re
import sys
from typing import Final

from harness.debuggers.native.byteport import PIECE, PORT_SECONDS, WRITE_SECONDS

__all__ = ["check_pipe_name"]

_PIPE_NAME: Final = re.compile(r"\\\\[^\\]+\\pipe\\[^\\]+", re.IGNORECASE)


def check_pipe_name(path: str) -> None:
    """Raise OSError for what is no name of a pipe: CreateFileW would open a file of that name."""
    if _PIPE_NAME.fullmatch(path) is None:
        raise OSError(
            errno.ENXIO, r"that is no name of a pipe, which is \\.\pipe\NAME or \\MACHINE\pipe\NAME", path
        )


if sys.platform == "win32":
    import _winapi  # the module under multiprocessing's own named pipes

    __all__ += ["NamedPipe"]

    _IDENTIFICATION: Final = 0x00100000 | 0x00010000
    """SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION."""

    class NamedPipe:
        """A client of the pipe ``path``; OSError when nobody serves it. See :class:`.byteport.BytePort`."""

        def __init__(self, path: str) -> None:
            check_pipe_name(path)
            self._handle = _winapi.CreateFile(
                path,
                _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
                0,
                _winapi.NULL,
                _winapi.OPEN_EXISTING,
                _winapi.FILE_FLAG_OVERLAPPED | _IDENTIFICATION,
                _winapi.NULL,
            )
            self._reading: _winapi.Overlapped | None = None

        def read(self) -> bytes:
            reading = self._reading
            if reading is None:
                reading, _ = _winapi.ReadFile(self._handle, PIECE, overlapped=True)
                self._reading = reading
            if not _is_done(reading, PORT_SECONDS):
                return b""
            self._reading = None
            count, _ = reading.GetOverlappedResult(True)
            data = reading.getbuffer()
            return b"" if data is None else bytes(data[:count])

        def write(self, data: bytes) -> None:
            writing, _ = _winapi.WriteFile(self._handle, data, overlapped=True)
            if not _is_done(writing, WRITE_SECONDS):
                writing.cancel()
                raise TimeoutError("the pipe takes no bytes")
            writing.GetOverlappedResult(True)

        def close(self) -> None:
            if self._reading is not None:
                self._reading.cancel()
            _winapi.CloseHandle(self._handle)

    def _is_done(overlapped: _winapi.Overlapped, seconds: float) -> bool:
        waited = _winapi.WaitForSingleObject(overlapped.event, int(seconds * 1000))
        return waited != _winapi.WAIT_TIMEOUT
