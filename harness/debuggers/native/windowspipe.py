"""A Windows named pipe as a socket, so that one selector can wait for it. Windows only.

Reads and writes on one synchronous pipe handle exclude each other, so the handle is opened for overlapped
I/O; two threads copy between the pipe and a socket pair until either side closes.
"""

from __future__ import annotations

import socket
import sys
import threading

__all__: list[str] = []

if sys.platform == "win32":
    import _winapi  # the module under multiprocessing's own named pipes

    __all__ += ["open_named_pipe"]

    _PIECE = 4096

    def open_named_pipe(path: str) -> socket.socket:
        """Connect to the pipe ``path``; OSError when nobody serves it. Close the socket to close the pipe."""
        handle = _winapi.CreateFile(
            path,
            _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
            0,
            _winapi.NULL,
            _winapi.OPEN_EXISTING,
            _winapi.FILE_FLAG_OVERLAPPED,
            _winapi.NULL,
        )
        ours, theirs = socket.socketpair()
        for work in (_pipe_to_socket, _socket_to_pipe):
            threading.Thread(target=work, args=(handle, ours), name=f"pipe {path}", daemon=True).start()
        return theirs

    def _pipe_to_socket(handle: int, end: socket.socket) -> None:
        try:
            while True:
                overlapped, _ = _winapi.ReadFile(handle, _PIECE, overlapped=True)
                count, _ = overlapped.GetOverlappedResult(True)
                data = overlapped.getbuffer()
                if data is None or not count:
                    break
                end.sendall(bytes(data[:count]))
        except OSError:
            pass  # either side is gone; closing our end tells the reader
        end.close()

    def _socket_to_pipe(handle: int, end: socket.socket) -> None:
        try:
            while data := end.recv(_PIECE):
                overlapped, _ = _winapi.WriteFile(handle, data, overlapped=True)
                overlapped.GetOverlappedResult(True)
        except OSError:
            pass  # as above
        _winapi.CloseHandle(handle)
