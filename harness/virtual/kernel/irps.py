"""IRPs: made for a device's request, with the buffers that its kind of transfer wants, and taken apart again.

How a buffer reaches the driver: buffered, its bytes are copied into a system buffer; direct, its memory is
locked and described by an MDL; neither, the driver is given the address as the process gave it, unchecked. A
request, its system buffer and a mapping lie on pages of their own, as Driver Verifier has it: who writes
behind them, or touches them after IoCompleteRequest, faults.

Sources: Microsoft, *Buffer Descriptions for I/O Control Codes*, *Methods for Accessing Data Buffers*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.memory import is_kernel_address
from harness.virtual.dispatcher.program import Signal
from harness.virtual.interfaces import IoStatus, ThreadContext, UserBuffer
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.kernel.pool import REQUEST_TAG
from harness.virtual.kernel.structures.irp import (
    DEVICE_STACK_SIZE,
    IO_STACK_LOCATION,
    IO_TYPE_IRP,
    IRP,
    MajorFunction,
)
from harness.virtual.windows.layout import Value
from harness.virtual.windows.status import (
    STATUS_ACCESS_VIOLATION,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_SUCCESS,
)

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["ERROR", "MAX_TRANSFER", "BufferTransfer", "IoRequest", "Irps", "Method"]

MAX_TRANSFER: Final = 16 << 20
"""Bytes that one request takes or gives at most; a larger one fails as if memory had run out."""
_USER_MODE: Final = 1
_BUFFERED: Final = 0x10 | 0x20
"""IRP_BUFFERED_IO, IRP_DEALLOCATE_BUFFER."""
_INPUT_OPERATION: Final = 0x40
"""IRP_INPUT_OPERATION: the buffer is copied back to the caller."""
ERROR: Final = 0xC000_0000
"""The least NTSTATUS with the severity of an error: nothing is copied back."""
_PENDING_RETURNED: Final = 0x01
"""SL_PENDING_RETURNED of IO_STACK_LOCATION.Control: IoMarkIrpPending."""
_NO_BUFFER: Final = UserBuffer()


class Method(Enum):
    """How the buffer that a driver reads from, or that it answers in, reaches it."""

    BUFFERED = "buffered"
    READ_DIRECT = "direct, to be read"
    WRITE_DIRECT = "direct, to be written"
    NEITHER = "neither"


@dataclass(frozen=True)
class BufferTransfer:
    """The buffers of a request."""

    given: UserBuffer = _NO_BUFFER
    """What is buffered for the driver to read, or handed over as it is."""
    into: UserBuffer = _NO_BUFFER
    """The other one: the output buffer of a control code, what is read into, or written from directly."""
    method: Method = Method.BUFFERED
    answers: bool = True
    """What ``into`` holds afterwards is the answer."""


@dataclass(eq=False)
class IoRequest:
    """An IRP that was sent and is not completed."""

    major: MajorFunction
    routine: int
    context: ThreadContext
    """The thread that sent it."""
    transfer: BufferTransfer
    file: int
    irp: int = 0
    given: int = 0
    """Address of the buffer in the process; 0: it has none."""
    into: int = 0
    system_buffer: int = 0
    mdl: int = 0
    marked: bool = False
    """It was marked pending when it was completed."""
    result: IoStatus | None = None
    completed: Signal = field(default_factory=Signal)


class Irps:
    """Makes requests and takes them apart."""

    def __init__(self, system: System) -> None:
        self._system = system

    def make(self, device: int, request: IoRequest) -> int:
        """Allocate the IRP and the buffers; STATUS_SUCCESS, or why the request is not sent."""
        memory, pool = self._system.memory, self._system.pool
        transfer = request.transfer
        if max(transfer.given.size, transfer.into.size) > MAX_TRANSFER:
            return STATUS_INSUFFICIENT_RESOURCES
        locations = max(memory.load(device + DEVICE_STACK_SIZE, 1)[0], 1)
        size = IRP.size + locations * IO_STACK_LOCATION.size
        request.irp = pool.allocate(size, REQUEST_TAG, paged=False, site=None)
        if not request.irp:
            return STATUS_INSUFFICIENT_RESOURCES
        head: dict[str, Value] = {"Type": IO_TYPE_IRP, "Size": size, "RequestorMode": _USER_MODE}
        memory.store(request.irp, IRP.pack({**head, "StackCount": locations, "CurrentLocation": locations}))
        request.given, request.into = (
            self._place(request, transfer.given),
            self._place(request, transfer.into),
        )
        status = self._hand_over(request)
        if status != STATUS_SUCCESS:
            self.take_apart(request)
        return status

    def location(self, request: IoRequest) -> int:
        """Address of the only stack location that is used, the last one."""
        locations = self._system.memory.load(request.irp + IRP.offset("StackCount"), 1)[0]
        return request.irp + IRP.size + (locations - 1) * IO_STACK_LOCATION.size

    def is_marked(self, request: IoRequest) -> bool:
        """IoMarkIrpPending was called for it."""
        control = self.location(request) + IO_STACK_LOCATION.offset("Control")
        return bool(self._system.memory.load(control, 1)[0] & _PENDING_RETURNED)

    def take_apart(
        self,
        request: IoRequest,
        status: int = STATUS_SUCCESS,
        information: int = 0,
        site: CallSite | None = None,
    ) -> bytes:
        """Copy back what the request brought and free all that was made for it; what the caller received.

        :param site: the call that completed it.
        """
        system, into = self._system, request.transfer.into
        space, pid = system.user_space, request.context.pid
        if request.mdl and system.mdls.knows(request.mdl):
            system.mdls.unlock(request.mdl)
            system.mdls.free(request.mdl)
        size = min(information, into.size) if status < ERROR and request.transfer.answers else 0
        if request.system_buffer:
            if size and request.transfer.method is Method.BUFFERED:
                space.write(pid, request.into, system.memory.load(request.system_buffer, size))
            system.pool.free(request.system_buffer, site=site)
        system.pool.free(request.irp, site=site)
        own = size and into.address is None
        output = (space.read(pid, request.into, size) or b"") if own else b""
        for buffer, address in ((request.transfer.given, request.given), (into, request.into)):
            if address and buffer.address is None:
                space.free(pid, address)
        return output

    def _place(self, request: IoRequest, buffer: UserBuffer) -> int:
        if buffer.address is not None:
            return buffer.address
        if not buffer.size:
            return 0
        return self._system.user_space.allocate(request.context.pid, buffer.content, buffer.size)

    def _hand_over(self, request: IoRequest) -> int:
        """Make what the method wants of the buffers."""
        system, transfer = self._system, request.transfer
        irp, memory, given, into = request.irp, system.memory, transfer.given, transfer.into
        memory.put_u64(irp + IRP.offset("UserBuffer"), request.into)
        if transfer.method is Method.NEITHER:
            return STATUS_SUCCESS
        buffered = given.size
        if transfer.method is Method.BUFFERED:
            buffered = max(given.size, into.size)
            pid = request.context.pid
            if into.size and not system.user_space.is_writable(pid, request.into, into.size):
                return STATUS_ACCESS_VIOLATION
        elif into.size:
            if is_kernel_address(request.into):
                return STATUS_ACCESS_VIOLATION
            request.mdl = system.mdls.allocate(request.into, into.size, site=None)
            if not request.mdl:
                return STATUS_INSUFFICIENT_RESOURCES
            memory.put_u64(irp + IRP.offset("MdlAddress"), request.mdl)
            write = transfer.method is Method.WRITE_DIRECT
            if not system.mdls.lock(request.mdl, write=write, pid=request.context.pid):
                system.mdls.free(request.mdl)
                request.mdl = 0
                return STATUS_ACCESS_VIOLATION
        if buffered:
            content = system.user_space.read(request.context.pid, request.given, given.size)
            if content is None:
                return STATUS_ACCESS_VIOLATION
            request.system_buffer = system.pool.allocate(buffered, REQUEST_TAG, paged=False, site=None)
            if not request.system_buffer:
                return STATUS_INSUFFICIENT_RESOURCES
            memory.store(request.system_buffer, content)
            memory.put_u64(irp + IRP.offset("SystemBuffer"), request.system_buffer)
            back = _INPUT_OPERATION if into.size and transfer.method is Method.BUFFERED else 0
            memory.put_u32(irp + IRP.offset("Flags"), _BUFFERED | back)
        return STATUS_SUCCESS
