"""I/O requests: from a process's call to the driver's dispatch routine, and back when it is completed.

A dispatch routine is an execution of its own in the thread that called. Where it returns STATUS_PENDING that
thread stands in the kernel until somebody completes the request: a DPC, a work item, another thread. Files
are opened for synchronous I/O. A request and its buffer lie on pages of their own, as Driver Verifier has it:
who touches them after IoCompleteRequest faults.

Buffered requests alone are made: METHOD_BUFFERED, and reads and writes of devices with DO_BUFFERED_IO, for
there is no memory of a user mode that another process could not see. Nothing is cancelled.

Sources: Microsoft, *IofCompleteRequest*, *IRP_MJ_CREATE* and its like (wdm.h), *Buffer Descriptions for I/O
Control Codes*; *Bug Check 0x44: MULTIPLE_IRP_COMPLETE_REQUESTS*; *Bug Check 0xC9:
DRIVER_VERIFIER_IOMANAGER_VIOLATION*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Protocol, TypeVar

from harness.errors import GuestError
from harness.virtual.clock import SECOND
from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.dispatcher.program import Program, Signal, ThreadWait
from harness.virtual.interfaces import IoStatus, OpenedFile, ThreadContext
from harness.virtual.kernel.objectnames import object_name
from harness.virtual.kernel.structures.irp import (
    FILE_OBJECT,
    IO_STACK_LOCATION,
    IO_TYPE_FILE,
    IO_TYPE_IRP,
    IRP,
    MajorFunction,
)
from harness.virtual.kernel.waits import PATIENCE
from harness.virtual.windows.layout import Value, unicode_string
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_DEVICE_BUSY,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NO_SUCH_DEVICE,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_PENDING,
    STATUS_SUCCESS,
    failed,
)

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["MAX_TRANSFER", "DeviceFlag", "DeviceObject", "IoManager"]

MAX_TRANSFER: Final = 16 << 20
"""Bytes that one request takes or gives at most; a larger one fails as if memory had run out."""
CLOSE_PATIENCE: Final = 30 * SECOND
"""How long an unload waits for the handles to the driver's devices, in target time."""
_USER_MODE: Final = 1
_BUFFERED: Final = 0x10 | 0x20
"""IRP_BUFFERED_IO, IRP_DEALLOCATE_BUFFER."""
_INPUT_OPERATION: Final = 0x40
"""IRP_INPUT_OPERATION: the buffer is copied back to the caller."""
_SYNCHRONOUS: Final = 0x02
"""FO_SYNCHRONOUS_IO."""
_METHOD: Final = 3
_METHOD_BUFFERED: Final = 0
_ERROR: Final = 0xC000_0000
"""The least NTSTATUS with the severity of an error: nothing is copied back."""
_TAG: Final = b"Io  "
_MAJOR_FUNCTIONS: Final = 0x70
_MULTIPLE_IRP_COMPLETE_REQUESTS: Final = 0x44
_DRIVER_VERIFIER_IOMANAGER_VIOLATION: Final = 0xC9
_COMPLETED_AS_PENDING: Final = 0x06
_COMPLETED_CANCELABLE: Final = 0x07
_MINUS_ONE: Final = 0xFFFF_FFFF
_T = TypeVar("_T")


class Run(Protocol):
    """See :class:`harness.virtual.kernel.kernel.Kernel`: ends at once, or hands back the rest."""

    def __call__(self, program: Program[_T]) -> _T | Program[_T]: ...


class DeviceObject:
    """Offsets in DEVICE_OBJECT and DRIVER_OBJECT that the I/O manager reads."""

    REFERENCES: Final = 0x04
    DRIVER: Final = 0x08
    NEXT: Final = 0x10
    FLAGS: Final = 0x30
    STACK_SIZE: Final = 0x4C
    OF_DRIVER: Final = 0x08
    """DRIVER_OBJECT.DeviceObject: the first of its devices."""


class DeviceFlag:
    """Bits of DEVICE_OBJECT.Flags."""

    BUFFERED_IO: Final = 0x04
    EXCLUSIVE: Final = 0x08
    INITIALIZING: Final = 0x80


class _Transfer(NamedTuple):
    """The buffer of a request."""

    content: bytes = b""
    """What it holds at first."""
    room: int = 0
    """Its size, if that is more."""
    back: int = 0
    """Bytes at most that are copied back to the caller."""


@dataclass(eq=False)
class _Request:
    """An IRP that was sent and is not completed."""

    major: MajorFunction
    routine: int
    buffer: int
    """Address; 0: it has none."""
    back: int
    result: IoStatus | None = None
    completed: Signal = field(default_factory=Signal)


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
        self._hang = hang
        self._closed: list[Signal] = []
        self._requests: dict[int, _Request] = {}
        """By the address of the IRP."""
        system.complete_request = self._complete

    # What processes do (DeviceRequests).

    def open(self, path: str, context: ThreadContext) -> OpenedFile | Program[OpenedFile]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._open(path, context))

    def close(self, file: int, context: ThreadContext) -> Program[None] | None:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        return self._run(self._close(file, context))

    def control(
        self, file: int, code: int, data: bytes, room: int, context: ThreadContext
    ) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        if code & _METHOD != _METHOD_BUFFERED:
            raise GuestError(f"the virtual target sends no request 0x{code:08x}: it is not METHOD_BUFFERED")
        words = (room, len(data), code, 0)
        transfer = _Transfer(data, room, room)
        return self._run(self._send(file, MajorFunction.IRP_MJ_DEVICE_CONTROL, words, context, transfer))

    def read(self, file: int, size: int, offset: int, context: ThreadContext) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        self._demand_buffered(file)
        transfer = _Transfer(room=size, back=size)
        return self._run(self._send(file, MajorFunction.IRP_MJ_READ, (size, 0, offset, 0), context, transfer))

    def write(
        self, file: int, data: bytes, offset: int, context: ThreadContext
    ) -> IoStatus | Program[IoStatus]:
        """See :class:`~harness.virtual.interfaces.DeviceRequests`."""
        self._demand_buffered(file)
        words = (len(data), 0, offset, 0)
        return self._run(self._send(file, MajorFunction.IRP_MJ_WRITE, words, context, _Transfer(data)))

    # What the kernel asks for.

    def devices_ready(self, driver: int) -> None:
        """Its DriverEntry has returned: the devices that it made can be opened."""
        memory = self._system.memory
        for device in self._devices(driver):
            flags = memory.u32(device + DeviceObject.FLAGS)
            memory.put_u32(device + DeviceObject.FLAGS, flags & ~DeviceFlag.INITIALIZING)

    def run_down(self, driver: int) -> Program[int]:
        """Wait until no handle to one of its devices is open: a driver is not unloaded before.

        :returns: STATUS_DEVICE_BUSY where that took too long; on Windows the unload stays pending.
        """
        system = self._system
        limit = system.clock.now + CLOSE_PATIENCE
        while any(system.memory.u32(device + DeviceObject.REFERENCES) for device in self._devices(driver)):
            if system.clock.now >= limit:
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
        file = system.heap.allocate(FILE_OBJECT.size + 2 * len(rest) + 2)
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
        result = yield from self._send(file, MajorFunction.IRP_MJ_CREATE, (0, 0, 0, 0), context)
        if failed(result.status):
            self._forget(file)
            return OpenedFile(result.status)
        return OpenedFile(result.status, file)

    def _close(self, file: int, context: ThreadContext) -> Program[None]:
        for major in (MajorFunction.IRP_MJ_CLEANUP, MajorFunction.IRP_MJ_CLOSE):
            yield from self._send(file, major, (0, 0, 0, 0), context)
        self._forget(file)

    def _forget(self, file: int) -> None:
        system, memory = self._system, self._system.memory
        references = memory.u64(file + FILE_OBJECT.offset("DeviceObject")) + DeviceObject.REFERENCES
        memory.put_u32(references, memory.u32(references) - 1)
        system.other_objects.discard(file)
        system.heap.free(file)
        closed, self._closed = self._closed, []
        for signal in closed:
            signal.set()

    def _send(
        self,
        file: int,
        major: MajorFunction,
        words: tuple[int, int, int, int],
        context: ThreadContext,
        transfer: _Transfer = _Transfer(),  # noqa: B008 - a frozen value
    ) -> Program[IoStatus]:
        """Make a request, enter the dispatch routine, and wait where that left the request pending."""
        system, memory = self._system, self._system.memory
        device = memory.u64(file + FILE_OBJECT.offset("DeviceObject"))
        routine = memory.u64(memory.u64(device + DeviceObject.DRIVER) + _MAJOR_FUNCTIONS + 8 * major)
        irp, buffer = self._allocate(device, transfer)
        if not irp:
            return IoStatus(STATUS_INSUFFICIENT_RESOURCES)
        locations = memory.load(irp + IRP.offset("StackCount"), 1)[0]
        location = irp + IRP.size + (locations - 1) * IO_STACK_LOCATION.size
        thread = system.objects.thread(context.pid, context.tid).address
        for name, value in (
            ("SystemBuffer", buffer),
            ("Thread", thread),
            ("OriginalFileObject", file),
            ("CurrentStackLocation", location),
        ):
            memory.put_u64(irp + IRP.offset(name), value)
        flags = (_BUFFERED if buffer else 0) | (_INPUT_OPERATION if transfer.back else 0)
        memory.put_u32(irp + IRP.offset("Flags"), flags)
        whereto: dict[str, Value] = {"DeviceObject": device, "FileObject": file, "Parameters": words}
        memory.store(location, IO_STACK_LOCATION.pack({"MajorFunction": major, **whereto}))
        request = self._requests[irp] = _Request(major, routine, buffer, transfer.back)
        what = f"the {major.name} routine"
        returned = yield from system.enter(routine, (device, irp), context, context.irql, what=what)
        status = returned & 0xFFFF_FFFF
        if status == STATUS_PENDING:
            yield from self._await(request)
            assert request.result is not None
            return request.result
        # The caller goes on with what was returned; a request that nobody completed stays behind.
        return request.result._replace(status=status) if request.result is not None else IoStatus(status)

    def _allocate(self, device: int, transfer: _Transfer) -> tuple[int, int]:
        """Addresses of an IRP for the device, whose stack it knows, and of its buffer, 0 where it needs none;
        0 for both where memory has run out."""
        memory, pool = self._system.memory, self._system.pool
        locations = max(memory.load(device + DeviceObject.STACK_SIZE, 1)[0], 1)
        size = IRP.size + locations * IO_STACK_LOCATION.size
        room = max(len(transfer.content), transfer.room)
        if room > MAX_TRANSFER or not (irp := pool.allocate(size, _TAG, paged=False, owner=None)):
            return 0, 0
        buffer = pool.allocate(room, _TAG, paged=False, owner=None) if room else 0
        if room and not buffer:
            pool.free(irp)
            return 0, 0
        if buffer:
            memory.store(buffer, transfer.content)
        head: dict[str, Value] = {"Type": IO_TYPE_IRP, "Size": size, "RequestorMode": _USER_MODE}
        memory.store(irp, IRP.pack({**head, "StackCount": locations, "CurrentLocation": locations}))
        return irp, buffer

    def _await(self, request: _Request) -> Program[None]:
        if request.result is None:
            entry = self._system.call_later(PATIENCE, lambda: self._give_up(request))
            yield ThreadWait(request.completed)
            self._system.dispatcher.cancel(entry)

    def _give_up(self, request: _Request) -> None:
        self._hang(f"left an {request.major.name} request pending, which nobody completes", request.routine)

    def _complete(self, irp: int) -> None:
        """IoCompleteRequest: the request and its buffer are gone afterwards.

        :raises BugcheckRaised: it cannot be completed, or not now.
        """
        system, memory = self._system, self._system.memory
        request = self._requests.get(irp)
        if request is None:
            raise BugcheckRaised(_MULTIPLE_IRP_COMPLETE_REQUESTS, irp, 0, 0, 0)
        image = memory.load(irp, IRP.size)
        status, information = int(IRP.read(image, "Status")), int(IRP.read(image, "Information"))
        if status in (STATUS_PENDING, _MINUS_ONE):
            story = f"IoCompleteRequest with status 0x{status:x}"
            raise BugcheckRaised(
                *(_DRIVER_VERIFIER_IOMANAGER_VIOLATION, _COMPLETED_AS_PENDING, status, irp, 0), story=story
            )
        if cancel := int(IRP.read(image, "CancelRoutine")):
            story = "IoCompleteRequest of a request that has a cancel routine"
            raise BugcheckRaised(
                *(_DRIVER_VERIFIER_IOMANAGER_VIOLATION, _COMPLETED_CANCELABLE, cancel, irp, 0), story=story
            )
        output = b""
        if request.buffer:
            if request.back and status < _ERROR:
                output = memory.load(request.buffer, min(information, request.back))
            system.pool.free(request.buffer)
        system.pool.free(irp)
        del self._requests[irp]
        request.result = IoStatus(status, information, output)
        request.completed.set()

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

    def _demand_buffered(self, file: int) -> None:
        memory = self._system.memory
        device = memory.u64(file + FILE_OBJECT.offset("DeviceObject"))
        if not memory.u32(device + DeviceObject.FLAGS) & DeviceFlag.BUFFERED_IO:
            raise GuestError(
                "the virtual target reads and writes devices with DO_BUFFERED_IO alone",
                hint="set it in DEVICE_OBJECT.Flags, or use an I/O control request",
            )
