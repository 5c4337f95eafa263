"""Requests to drivers' devices: sent to the dispatch routine, waited for, cancelled, completed.

A dispatch routine is an execution of its own in the thread that called. Where it returns STATUS_PENDING that
thread stands in the kernel until somebody completes the request: a DPC, a work item, another thread; or goes
on, where it said that it does not wait. What the buffers are made of is :mod:`harness.virtual.kernel.irps`.

A request can be cancelled, and is where its thread ends before it is completed; the thread waits for its
completion all the same.

Sources: Microsoft, *IofCompleteRequest* (wdm.h), *Canceling IRPs*; *Bug Check 0x44:
MULTIPLE_IRP_COMPLETE_REQUESTS*; *Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from harness.virtual.clock import MICROSECOND, SECOND
from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.dispatcher.program import Program, ThreadWait
from harness.virtual.interfaces import IoStatus, ThreadContext
from harness.virtual.kernel.irprules import tell_answer, tell_information
from harness.virtual.kernel.irps import ERROR, BufferTransfer, IoRequest, Irps, Method
from harness.virtual.kernel.structures.irp import (
    DEVICE_DRIVER,
    FILE_OBJECT,
    IO_STACK_LOCATION,
    IRP,
    MajorFunction,
)
from harness.virtual.kernel.waits import PATIENCE
from harness.virtual.windows.irql import DISPATCH_LEVEL
from harness.virtual.windows.layout import Value
from harness.virtual.windows.status import STATUS_PENDING

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["IoRequests"]

CANCEL_PATIENCE: Final = 300 * SECOND
"""How long a thread that ends waits for a request that was cancelled (Canceling IRPs: 5 minutes)."""
_SPIN: Final = 10 * MICROSECOND
"""How often a lock that somebody holds is looked at."""
_NO_TRANSFER: Final = BufferTransfer()
_MAJOR_FUNCTIONS: Final = 0x70
_MULTIPLE_IRP_COMPLETE_REQUESTS: Final = 0x44
_DRIVER_VERIFIER_IOMANAGER_VIOLATION: Final = 0xC9
_COMPLETED_AS_PENDING: Final = 0x06
_COMPLETED_CANCELABLE: Final = 0x07
_MINUS_ONE: Final = 0xFFFF_FFFF


class IoRequests:
    """All that were sent and are not completed.

    :param hang: ends the machine: ``(reason, address of the driver's code)``.
    :param unused: called with a file whose last request was completed.
    """

    def __init__(
        self, system: System, hang: Callable[[str, int], NoReturn], unused: Callable[[int], None]
    ) -> None:
        self._system = system
        self._hang = hang
        self._unused = unused
        self._irps = Irps(system)
        self._requests: dict[int, IoRequest] = {}
        """By the address of the IRP."""
        self._left: dict[int, IoRequest] = {}
        """Those that their callers left pending, by a number."""
        self._numbers = 0
        system.complete_request, system.cancel_request = self._complete, self._cancel_from_driver

    def outstanding(self, file: int) -> bool:
        """A request of that file is not completed."""
        return any(request.file == file for request in self._requests.values())

    def finish(self, number: int) -> Program[IoStatus]:
        """Wait until a request that was left pending is completed."""
        return self._finish(self._left[number])

    def cancel(self, number: int, context: ThreadContext) -> Program[None]:
        """Cancel a request that was left pending."""
        return self._cancel_all([self._left[number]], context)

    def send(
        self,
        file: int,
        major: MajorFunction,
        words: tuple[int, int, int],
        context: ThreadContext,
        transfer: BufferTransfer = _NO_TRANSFER,
        *,
        wait: bool = True,
    ) -> Program[IoStatus]:
        """Make a request, enter the dispatch routine, and wait where that left the request pending.

        :param words: the control code; or of a read or a write its length, a key, and the offset.
        """
        system, memory = self._system, self._system.memory
        device = memory.u64(file + FILE_OBJECT.offset("DeviceObject"))
        routine = memory.u64(memory.u64(device + DEVICE_DRIVER) + _MAJOR_FUNCTIONS + 8 * major)
        request = IoRequest(major, routine, context, transfer, file)
        if refused := self._irps.make(device, request):
            return IoStatus(refused)
        irp, location = request.irp, self._irps.location(request)
        thread = system.objects.thread(context.pid, context.tid).address
        for name, value in (
            ("Thread", thread),
            ("OriginalFileObject", file),
            ("CurrentStackLocation", location),
        ):
            memory.put_u64(irp + IRP.offset(name), value)
        parameters = (*words, 0)
        if major is MajorFunction.IRP_MJ_DEVICE_CONTROL:
            type3 = request.given if transfer.method is Method.NEITHER else 0
            parameters = (transfer.into.size, transfer.given.size, words[0], type3)
        whereto: dict[str, Value] = {"DeviceObject": device, "FileObject": file, "Parameters": parameters}
        memory.store(location, IO_STACK_LOCATION.pack({"MajorFunction": major, **whereto}))
        self._requests[irp] = request
        what = f"the {major.name} routine"
        returned = yield from system.enter(routine, (device, irp), context, context.irql, what=what)
        status = returned & 0xFFFF_FFFF
        marked = self._irps.is_marked(request) if request.result is None else request.marked
        tell_answer(system, request, status, marked=marked)
        if status == STATUS_PENDING and not wait:
            if request.result is not None:
                return request.result
            self._numbers += 1
            self._left[self._numbers] = request
            return IoStatus(STATUS_PENDING, request=self._numbers)
        if status == STATUS_PENDING:
            return (yield from self._finish(request))
        # The caller goes on with what was returned; a request that nobody completed stays behind.
        return request.result._replace(status=status) if request.result is not None else IoStatus(status)

    def _finish(self, request: IoRequest) -> Program[IoStatus]:
        """Wait until it is completed."""
        yield from self._await(request, "pending, which nobody completes")
        for handle in [handle for handle, left in self._left.items() if left is request]:
            del self._left[handle]
        assert request.result is not None
        return request.result

    def _await(self, request: IoRequest, how: str, patience: int = PATIENCE) -> Program[None]:
        if request.result is None:
            reason = f"left an {request.major.name} request {how}"
            entry = self._system.call_later(patience, lambda: self._hang(reason, request.routine))
            yield ThreadWait(request.completed)
            self._system.dispatcher.cancel(entry)

    def _cancel_all(self, requests: Sequence[IoRequest], context: ThreadContext) -> Program[None]:
        for request in requests:
            if request.result is None:
                yield from self._cancel(request.irp, context)

    def _cancel(self, irp: int, context: ThreadContext) -> Program[int]:
        """IoCancelIrp, called at PASSIVE_LEVEL."""
        system, memory = self._system, self._system.memory
        while memory.u64(system.cancel_lock):
            yield ThreadWait(_SPIN)
        if irp not in self._requests:
            return 0
        memory.put_u8(irp + IRP.offset("Cancel"), 1)
        routine = memory.u64(irp + IRP.offset("CancelRoutine"))
        if not routine:
            return 0
        memory.put_u64(irp + IRP.offset("CancelRoutine"), 0)
        memory.put_u8(irp + IRP.offset("CancelIrql"), context.irql)
        memory.put_u64(system.cancel_lock, 1)
        device = memory.u64(
            self._irps.location(self._requests[irp]) + IO_STACK_LOCATION.offset("DeviceObject")
        )
        yield from system.enter(
            *(routine, (device, irp), context, DISPATCH_LEVEL),
            what="the cancel routine",
            leaves_irql=context.irql,
        )
        return 1

    def _cancel_from_driver(self, irp: int) -> Program[int]:
        return (yield from self._cancel(irp, self._system.context))

    def run_down(self, pid: int, tid: int | None, context: ThreadContext) -> Program[None]:
        """Cancel the requests of a thread, or of a process, and wait for their completion."""

        def ends(request: IoRequest) -> bool:
            return request.context.pid == pid and tid in (None, request.context.tid)

        requests = [request for request in self._requests.values() if ends(request)]
        yield from self._cancel_all(requests, context)
        how = "pending, which was cancelled when its thread ended; nobody completes it"
        for request in requests:
            yield from self._await(request, how, CANCEL_PATIENCE)
        for handle in [handle for handle, request in self._left.items() if ends(request)]:
            del self._left[handle]

    def _complete(self, irp: int) -> None:
        """IoCompleteRequest: the request and its buffer are gone afterwards.

        :raises BugcheckRaised: it cannot be completed, or not now.
        """
        request = self._requests.get(irp)
        if request is None:
            raise BugcheckRaised(_MULTIPLE_IRP_COMPLETE_REQUESTS, irp, 0, 0, 0)
        image = self._system.memory.load(irp, IRP.size)
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
        request.marked = self._irps.is_marked(request)
        if status < ERROR:
            tell_information(self._system, request, information)
        output = self._irps.take_apart(request, status, information, self._system.call_site())
        del self._requests[irp]
        request.result = IoStatus(status, information, output)
        request.completed.set()
        if not self.outstanding(request.file):
            self._unused(request.file)
