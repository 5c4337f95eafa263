"""The I/O manager as processes use it: devices are opened, asked and closed.

A file's IRP_MJ_CLEANUP comes when its handle is closed, its IRP_MJ_CLOSE when no request of it is left and no
driver holds a reference to it.
How a request travels is :mod:`harness.virtual.kernel.iorequests`.

Sources: Microsoft, *IRP_MJ_CREATE* and its like (wdm.h).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeVar

from harness.virtual.clock import SECOND
from harness.virtual.dispatcher.program import Program, Signal, ThreadWait
from harness.virtual.interfaces import IoStatus, OpenedFile, ThreadContext, UserBuffer
from harness.virtual.kernel.belongings import Belonging
from harness.virtual.kernel.deviceobjects import DeviceObject
from harness.virtual.kernel.iorequests import IoRequests
from harness.virtual.kernel.irps import BufferTransfer, Method
from harness.virtual.kernel.leftovers import report_kept_file
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.structures.irp import (
    FILE_OBJECT,
    IO_TYPE_FILE,
    MajorFunction,
)
from harness.virtual.windows.layout import unicode_string
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_DEVICE_BUSY,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NO_SUCH_DEVICE,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_SUCCESS,
    failed,
)

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["DeviceFlag", "IoManager"]

CLOSE_PATIENCE: Final = 30 * SECOND
"""How long an unload waits for the handles to the driver's devices, in target time."""
_SYNCHRONOUS: Final = 0x02
"""FO_SYNCHRONOUS_IO."""
_FILE_TAG: Final = b"File"
_METHOD_BITS: Final = 3
_METHODS: Final = (Method.BUFFERED, Method.READ_DIRECT, Method.WRITE_DIRECT, Method.NEITHER)
"""By the lowest bits of a control code."""
_T = TypeVar("_T")


class Run(Protocol):
    """See :class:`harness.virtual.kernel.kernel.Kernel`: ends at once, or hands back the rest."""

    def __call__(self, program: Program[_T]) -> _T | Program[_T]: ...


class DeviceFlag:
    """Bits of DEVICE_OBJECT.Flags."""

    BUFFERED_IO: Final = 0x04
    EXCLUSIVE: Final = 0x08
    DIRECT_IO: Final = 0x10
    INITIALIZING: Final = 0x80


class IoManager:
    """Opens devices, sends their drivers requests, and hears when those are completed.

    :param run: makes of a program what the kernel's other calls hand back.
    :param hang: ends the machine: ``(reason, address of the driver's code)``.
    """

    def __init__(
        self,
        system: System,
        run: Run,
        hang: Callable[[str, int], NoReturn],
    ) -> None:
        self._system = system
        self._run = run
        self._closed: list[Signal] = []
        self._closing: set[int] = set()
        """Files whose handle is closed and to which something refers."""
        self._requests = IoRequests(system, hang, self._unused)
        system.reference_gone = self._reference_gone

    # What processes do (DeviceRequests).

    def open(self, path: str, context: ThreadContext) -> OpenedFile | Program[OpenedFile]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._open(path, context))

    def close(self, file: int, context: ThreadContext) -> Program[None] | None:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._close(file, context))

    def control(
        self,
        file: int,
        code: int,
        given: UserBuffer,
        into: UserBuffer,
        context: ThreadContext,
        *,
        wait: bool = True,
    ) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        method = _METHODS[code & _METHOD_BITS]
        transfer = BufferTransfer(given, into, method)
        return self._run(
            self._requests.send(
                file, MajorFunction.IRP_MJ_DEVICE_CONTROL, (code, 0, 0), context, transfer, wait=wait
            )
        )

    def read(
        self, file: int, into: UserBuffer, offset: int, context: ThreadContext, *, wait: bool = True
    ) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        transfer = BufferTransfer(into=into, method=self._method(file, Method.WRITE_DIRECT))
        words = (into.size, 0, offset)
        return self._run(
            self._requests.send(file, MajorFunction.IRP_MJ_READ, words, context, transfer, wait=wait)
        )

    def write(
        self, file: int, given: UserBuffer, offset: int, context: ThreadContext, *, wait: bool = True
    ) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        method = self._method(file, Method.READ_DIRECT)
        transfer = (
            BufferTransfer(given) if method is Method.BUFFERED else BufferTransfer(into=given, method=method)
        )
        words = (given.size, 0, offset)
        return self._run(
            self._requests.send(
                file, MajorFunction.IRP_MJ_WRITE, words, context, replace(transfer, answers=False), wait=wait
            )
        )

    def finish(self, request: int) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._requests.finish(request))

    def cancel(self, request: int, context: ThreadContext) -> Program[None] | None:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._requests.cancel(request, context))

    def run_down(self, pid: int, tid: int | None, context: ThreadContext) -> Program[None] | None:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._run_down(pid, tid, context))

    # What the kernel asks for.

    def devices_ready(self, driver: int) -> None:
        """Its DriverEntry has returned: the devices that it made can be opened."""
        memory = self._system.memory
        for device in self._devices(driver):
            flags = memory.u32(device + DeviceObject.FLAGS)
            memory.put_u32(device + DeviceObject.FLAGS, flags & ~DeviceFlag.INITIALIZING)

    def await_closed(self, driver: int) -> Program[int]:
        """Wait until no handle to one of its devices is open: a driver is not unloaded before.

        :returns: STATUS_DEVICE_BUSY where that took too long; on Windows the unload stays pending.
        """
        system = self._system
        limit = system.clock.now + CLOSE_PATIENCE
        while any(system.memory.u32(device + DeviceObject.REFERENCES) for device in self._devices(driver)):
            if system.clock.now >= limit:
                for file in self._closing:
                    report_kept_file(system, file)
                return STATUS_DEVICE_BUSY
            signal = Signal()
            self._closed.append(signal)
            yield ThreadWait(limit - system.clock.now, sooner=signal)
        return STATUS_SUCCESS

    # Inside.

    def _open(self, path: str, context: ThreadContext) -> Program[OpenedFile]:
        system, memory = self._system, self._system.memory
        device, rest = self._device_at(path)
        if not device:
            return OpenedFile(STATUS_OBJECT_NAME_NOT_FOUND)
        flags, references = (memory.u32(device + at) for at in (DeviceObject.FLAGS, DeviceObject.REFERENCES))
        if flags & DeviceFlag.INITIALIZING:
            return OpenedFile(STATUS_NO_SUCH_DEVICE)
        if flags & DeviceFlag.EXCLUSIVE and references:
            return OpenedFile(STATUS_ACCESS_DENIED)
        size = FILE_OBJECT.size + 2 * len(rest) + 2
        file = system.pool.allocate(size, _FILE_TAG, paged=False, site=None)
        if not file:
            return OpenedFile(STATUS_INSUFFICIENT_RESOURCES)
        characters, name = unicode_string(rest, file + FILE_OBJECT.size)
        image = FILE_OBJECT.pack(
            {
                "Type": IO_TYPE_FILE,
                "Size": FILE_OBJECT.size,
                "DeviceObject": device,
                "Flags": _SYNCHRONOUS,
                "FileName": name,
            }
        )
        memory.store(file, image + characters)
        memory.put_u32(device + DeviceObject.REFERENCES, references + 1)
        system.other_objects.add(file)
        result = yield from self._requests.send(file, MajorFunction.IRP_MJ_CREATE, (0, 0, 0), context)
        if failed(result.status):
            self._forget(file)
            return OpenedFile(result.status)
        return OpenedFile(result.status, file)

    def _close(self, file: int, context: ThreadContext) -> Program[None]:
        yield from self._requests.send(file, MajorFunction.IRP_MJ_CLEANUP, (0, 0, 0), context)
        self._closing.add(file)
        yield from self._end(file, context)

    def _end(self, file: int, context: ThreadContext) -> Program[None]:
        """Close the file where nothing refers to it any more."""
        referenced = self._system.belongings.taken(Belonging.REFERENCE, file)
        if file in self._closing and not referenced and not self._requests.outstanding(file):
            self._closing.remove(file)
            yield from self._requests.send(file, MajorFunction.IRP_MJ_CLOSE, (0, 0, 0), context)
            self._forget(file)

    def _reference_gone(self, address: int) -> None:
        """A driver has given a reference to an object back."""
        self._system.devices.settle(address)
        self._unused(address)

    def _unused(self, file: int) -> None:
        if file in self._closing:
            system = self._system
            system.call_later(0, lambda: self._end(file, system.dispatcher.context))

    def _run_down(self, pid: int, tid: int | None, context: ThreadContext) -> Program[None]:
        yield from self._requests.run_down(pid, tid, context)
        for file in list(self._closing):
            yield from self._end(file, context)

    def _forget(self, file: int) -> None:
        system, memory = self._system, self._system.memory
        device = memory.u64(file + FILE_OBJECT.offset("DeviceObject"))
        references = memory.u32(device + DeviceObject.REFERENCES)
        memory.put_u32(device + DeviceObject.REFERENCES, references - 1)
        system.devices.settle(device)
        system.other_objects.discard(file)
        system.pool.free(file)
        closed, self._closed = self._closed, []
        for signal in closed:
            signal.set()

    def _device_at(self, path: str) -> tuple[int, str]:
        """The device that a path names, 0 for none, and what of it is the device's own to understand."""
        names = self._system.names
        parts = path.split("\\")
        for count in range(len(parts), 1, -1):
            found = names.get(object_name("\\".join(parts[:count])))
            if isinstance(found, str):
                found = names.get(object_name(found))
            if isinstance(found, int):
                return found, "".join(f"\\{part}" for part in parts[count:])
        return 0, ""

    def _devices(self, driver: int) -> list[int]:
        memory, found = self._system.memory, list[int]()
        device = memory.u64(driver + DeviceObject.OF_DRIVER)
        while device in self._system.other_objects and device not in found:
            found.append(device)
            device = memory.u64(device + DeviceObject.NEXT)
        return found

    def _method(self, file: int, direct: Method) -> Method:
        """How the device wants the buffers of its reads and writes."""
        memory = self._system.memory
        flags = memory.u32(memory.u64(file + FILE_OBJECT.offset("DeviceObject")) + DeviceObject.FLAGS)
        if flags & DeviceFlag.BUFFERED_IO:
            return Method.BUFFERED
        return direct if flags & DeviceFlag.DIRECT_IO else Method.NEITHER
