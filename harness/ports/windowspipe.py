"""A Windows named pipe as a byte port, either end. Windows only.

Reads and writes on one synchronous pipe handle exclude each other, so the handle is opened for overlapped
I/O. Who serves the pipe may learn who we are, and not act as us. A pipe that we serve has one instance, the
first of its name, so that nobody else can serve it beside us, and takes no client of another machine.

Source: Microsoft, CreateFileW, "Impersonation Levels"; CreateNamedPipeW, "dwOpenMode", "dwPipeMode".
"""

from __future__ import annotations

import errno
import re
import sys
from typing import Final

from harness.ports.byteport import PIECE, PORT_SECONDS, WRITE_SECONDS

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

    __all__ += ["NamedPipe", "NamedPipeServer", "connect_pipe"]

    _IDENTIFICATION: Final = 0x00100000 | 0x00010000
    """SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION."""
    _OF_BYTES: Final = 0x8
    """PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS."""

    class NamedPipe:
        """One end of a pipe, whose handle it owns. See :class:`.byteport.BytePort`."""

        def __init__(self, handle: int) -> None:
            self._handle = handle
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

    def connect_pipe(path: str) -> NamedPipe:
        """A client of the pipe ``path``; OSError when nobody serves it."""
        check_pipe_name(path)
        return NamedPipe(
            _winapi.CreateFile(
                path,
                _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
                0,
                _winapi.NULL,
                _winapi.OPEN_EXISTING,
                _winapi.FILE_FLAG_OVERLAPPED | _IDENTIFICATION,
                _winapi.NULL,
            )
        )

    class NamedPipeServer:
        """Serves the pipe ``path``, to one client after the other; OSError when somebody else does."""

        def __init__(self, path: str) -> None:
            check_pipe_name(path)
            if not path.startswith("\\\\.\\"):
                raise OSError(errno.ENXIO, r"only a pipe of this machine can be served, \\.\pipe\NAME", path)
            self._path = path
            self._handle = 0
            self._connecting: _winapi.Overlapped | None = None
            self._begin()

        def _begin(self) -> _winapi.Overlapped:
            if self._connecting is None:
                self._handle = _winapi.CreateNamedPipe(
                    self._path,
                    _winapi.PIPE_ACCESS_DUPLEX
                    | _winapi.FILE_FLAG_OVERLAPPED
                    | _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE,
                    _OF_BYTES,
                    1,
                    PIECE,
                    PIECE,
                    0,
                    _winapi.NULL,
                )
                try:
                    self._connecting = _winapi.ConnectNamedPipe(self._handle, overlapped=True)
                except OSError:  # one came, and is gone already
                    _winapi.CloseHandle(self._handle)
                    raise
            return self._connecting

        def is_connected(self, seconds: float) -> bool:
            """Whether a client is there within ``seconds``; OSError while the one before is not gone yet."""
            return _is_done(self._begin(), seconds)

        def take(self) -> NamedPipe:
            """The end of the client that is there."""
            connecting, self._connecting = self._begin(), None
            try:
                connecting.GetOverlappedResult(True)
            except OSError:
                _winapi.CloseHandle(self._handle)
                raise
            return NamedPipe(self._handle)

        def close(self) -> None:
            """Serve it no longer. Idempotent."""
            if self._connecting is not None:
                self._connecting.cancel()
                self._connecting = None
                _winapi.CloseHandle(self._handle)

    def _is_done(overlapped: _winapi.Overlapped, seconds: float) -> bool:
        waited = _winapi.WaitForSingleObject(overlapped.event, int(seconds * 1000))
        return waited != _winapi.WAIT_TIMEOUT
