"""CreateFile, DeviceIoControl, ReadFile, WriteFile and CloseHandle for drivers' devices.

As :mod:`harness.virtual.nt.win32` each is a program for the calling thread. What a process leaves open is
closed in its last thread, after its exit was reported: the handle table is run down behind the notify
routines (inferred from the order of PspExitThread's work).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.virtual.dispatcher.program import Program, ended
from harness.virtual.interfaces import DeviceRequests, IoStatus, ThreadContext, UserBuffer
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.nt.system import NtSystem
from harness.virtual.nt.win32 import SYSTEM_CALL
from harness.virtual.windows.status import STATUS_INVALID_HANDLE

__all__ = ["DeviceCall", "Devices"]

NO_BUFFER: Final = UserBuffer()
_FIRST_HANDLE: Final = 0x80
_HANDLE_STEP: Final = 4
_WIN32_DEVICES: Final = "\\\\.\\"
_DOS_DEVICES: Final = "\\??\\"


@dataclass(frozen=True)
class DeviceCall:
    """What a call came to."""

    status: int
    """NTSTATUS."""
    handle: int = 0
    information: int = 0
    output: bytes = b""
    request: int = 0
    """Of one that was left pending: for :meth:`Devices.finish`."""


class Devices:
    """The handles to devices of all processes.

    :param requests: the kernel's I/O manager.
    """

    def __init__(self, system: NtSystem, requests: DeviceRequests) -> None:
        self._system = system
        self._requests = requests
        self._files: dict[Process, dict[int, int]] = {}
        system.close_handles = self._close_all
        system.run_down_io = lambda process, thread: ended(
            requests.run_down(process.pid, None if thread is None else thread.tid, _passive(system))
        )

    def create_file(self, thread: Thread, path: str) -> Program[DeviceCall]:
        """Open a device by its Win32 path, ``\\\\.\\Name``, or by its NT path."""
        yield self._pause()
        if path.startswith(_WIN32_DEVICES):
            path = _DOS_DEVICES + path.removeprefix(_WIN32_DEVICES)
        with _InKernel(thread):
            opened = yield from ended(self._requests.open(path, self._system.dispatcher.context))
        if not opened.file:
            return DeviceCall(opened.status)
        files = self._files.setdefault(thread.process, {})
        handle = max(files, default=_FIRST_HANDLE) + _HANDLE_STEP
        files[handle] = opened.file
        return DeviceCall(opened.status, handle)

    def device_io_control(
        self,
        thread: Thread,
        handle: int,
        code: int,
        given: UserBuffer = NO_BUFFER,
        into: UserBuffer = NO_BUFFER,
        *,
        wait: bool = True,
    ) -> Program[DeviceCall]:
        """Send an I/O control code.

        :param wait: until it is completed; otherwise one that is left pending ends with STATUS_PENDING.
        """
        yield self._pause()
        if (file := self._file(thread, handle)) is None:
            return DeviceCall(STATUS_INVALID_HANDLE)
        context = self._system.dispatcher.context
        with _InKernel(thread):
            return _answer(
                (yield from ended(self._requests.control(file, code, given, into, context, wait=wait)))
            )

    def read_file(
        self, thread: Thread, handle: int, size: int, offset: int = 0, *, wait: bool = True
    ) -> Program[DeviceCall]:
        """Read ``size`` bytes at most."""
        yield self._pause()
        if (file := self._file(thread, handle)) is None:
            return DeviceCall(STATUS_INVALID_HANDLE)
        context = self._system.dispatcher.context
        with _InKernel(thread):
            return _answer(
                (
                    yield from ended(
                        self._requests.read(file, UserBuffer(size=size), offset, context, wait=wait)
                    )
                )
            )

    def write_file(
        self, thread: Thread, handle: int, given: UserBuffer, offset: int = 0, *, wait: bool = True
    ) -> Program[DeviceCall]:
        """Write a buffer."""
        yield self._pause()
        if (file := self._file(thread, handle)) is None:
            return DeviceCall(STATUS_INVALID_HANDLE)
        context = self._system.dispatcher.context
        with _InKernel(thread):
            return _answer((yield from ended(self._requests.write(file, given, offset, context, wait=wait))))

    def finish(self, thread: Thread, request: int) -> Program[DeviceCall]:
        """GetOverlappedResult of a request that was left pending."""
        with _InKernel(thread):
            return _answer((yield from ended(self._requests.finish(request))))

    def cancel_io(self, thread: Thread, request: int) -> Program[None]:
        """CancelIo, of one request that was left pending."""
        yield self._pause()
        with _InKernel(thread):
            yield from ended(self._requests.cancel(request, self._system.dispatcher.context))

    def close_handle(self, thread: Thread, handle: int) -> Program[DeviceCall]:
        """Close it; the driver hears of that."""
        yield self._pause()
        file = self._files.get(thread.process, {}).pop(handle, None)
        if file is None:
            return DeviceCall(STATUS_INVALID_HANDLE)
        with _InKernel(thread):
            yield from ended(self._requests.close(file, self._system.dispatcher.context))
        return DeviceCall(0)

    def _close_all(self, process: Process) -> Program[None]:
        for file in self._files.pop(process, {}).values():
            yield from ended(self._requests.close(file, self._system.dispatcher.context))

    def _file(self, thread: Thread, handle: int) -> int | None:
        return self._files.get(thread.process, {}).get(handle)

    def _pause(self) -> int:
        return self._system.rng.randrange(*SYSTEM_CALL)


class _InKernel:
    """The thread cannot be ended meanwhile: it is inside a system call."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    def __enter__(self) -> None:
        self._thread.in_kernel = True

    def __exit__(self, *_: object) -> None:
        self._thread.in_kernel = False


def _passive(system: NtSystem) -> ThreadContext:
    return system.dispatcher.context._replace(irql=0)


def _answer(result: IoStatus) -> DeviceCall:
    return DeviceCall(result.status, 0, result.information, result.output, result.request)
