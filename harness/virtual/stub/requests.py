"""What a halted target answers: one function an api of STATE_MANIPULATE.

Each takes the typed request and gives the reply (the request edited in place, as Windows does) or says how
the target goes on. An api without a function here is refused with STATUS_UNSUCCESSFUL, as Windows refuses it.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar

from harness.kd import manipulate as kd
from harness.kd import manipulate_rare as rare
from harness.kd.contexts import Amd64Context, Amd64SpecialRegisters
from harness.kd.manipulate import Manipulate
from harness.kd.status import (
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_FOUND,
    STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL,
)
from harness.virtual.interfaces import KernelMemory
from harness.virtual.stub.breakpoints import MAX_BREAKPOINTS
from harness.virtual.stub.halted import (
    CrashTarget,
    HaltedTarget,
    RebootTarget,
    RequestResult,
    Resume,
    SwitchTo,
)
from harness.virtual.stub.processorstate import ProcessorState

__all__ = ["HANDLERS", "MAX_TRANSFER", "answer"]

MAX_TRANSFER: Final = 0x448
"""Bytes of memory in one reply of a KDNET target; debuggers ask again for the rest."""
MAX_SEARCH: Final = 64 * 1024 * 1024
"""Bytes that one SearchMemory may cover; what asks for more is refused."""
MAX_FILL: Final = 1024 * 1024
"""Bytes that one FillMemory writes at most; the reply says how many it were."""

_R = TypeVar("_R", bound=Manipulate)

_SEARCH_STEP: Final = 0x10000
_PAGE: Final = 0x1000
_SYSTEM_HALF: Final = 1 << 63
_POINTER: Final = struct.Struct("<Q")
_BREAKPOINT: Final = struct.Struct("<QII")
_HANDLE: Final = struct.Struct("<I")
_NO_DEVICE: Final = 0xFFFFFFFF
"""What an x86 port without a device reads as."""
_QUERY_ALL: Final = 7
"""Readable, writable, executable."""
_QUERY_PROCESS, _QUERY_KERNEL = 0, 2
_FILL_VIRTUAL, _FILL_PHYSICAL = 1, 2
_KPCR, _KPRCB, _SPECIAL_REGISTERS, _KTHREAD = range(4)


def answer(target: HaltedTarget, request: Manipulate) -> RequestResult:
    """What ``request`` does to ``target``."""
    handler = HANDLERS.get(type(request))
    return _refused(request) if handler is None else handler(target, request)


def _done(request: _R, **changes: Any) -> _R:
    return dataclasses.replace(request, **{"status": STATUS_SUCCESS, "data": b"", **changes})


def _refused(request: _R, status: int = STATUS_UNSUCCESSFUL, **changes: Any) -> _R:
    return dataclasses.replace(request, **{"status": status, "data": b"", **changes})


def _transferred(request: kd.MemoryTransfer, data: bytes) -> RequestResult:
    if not data and request.count:
        return _refused(request, actual=0)
    return _done(request, actual=len(data), data=data)


def _state(target: HaltedTarget, request: Manipulate) -> ProcessorState | None:
    """The processor that the request names; None for one that does not exist."""
    return target.states[request.processor] if request.processor < len(target.states) else None


def _get_version(target: HaltedTarget, request: kd.GetVersion64) -> RequestResult:
    version = target.version()
    return dataclasses.replace(
        version, processor_level=request.processor_level, processor=request.processor, status=STATUS_SUCCESS
    )


def _read_virtual(target: HaltedTarget, request: kd.ReadVirtualMemory) -> RequestResult:
    return _transferred(request, target.memory.read(request.address, min(request.count, MAX_TRANSFER)))


def _write_virtual(target: HaltedTarget, request: kd.WriteVirtualMemory) -> RequestResult:
    data = request.data[: request.count]
    if not target.memory.write(request.address, data):
        return _refused(request, actual=0)
    return _done(request, actual=len(data))


def _read_physical(target: HaltedTarget, request: kd.ReadPhysicalMemory) -> RequestResult:
    return _transferred(request, target.physical.read(request.address, min(request.count, MAX_TRANSFER)))


def _write_physical(target: HaltedTarget, request: kd.WritePhysicalMemory) -> RequestResult:
    written = target.physical.write(request.address, request.data[: request.count])
    if not written and request.count:
        return _refused(request, actual=0)
    return _done(request, actual=written)


def _get_context(target: HaltedTarget, request: kd.GetContext) -> RequestResult:
    state = _state(target, request)
    return _refused(request) if state is None else _done(request, data=state.context.encode())


def _set_context(target: HaltedTarget, request: kd.SetContext) -> RequestResult:
    state = _state(target, request)
    if state is None or len(request.data) < Amd64Context.SIZE:
        return _refused(request)
    state.context = Amd64Context.decode(request.data[: Amd64Context.SIZE])
    state.changed = True
    return _done(request)


def _get_context_ex(target: HaltedTarget, request: rare.GetContextEx) -> RequestResult:
    state = _state(target, request)
    if state is None or request.offset > Amd64Context.SIZE:
        return _refused(request, copied=0)
    count = min(request.count, MAX_TRANSFER)
    part = state.context.encode()[request.offset : request.offset + count]
    return _done(request, copied=len(part), data=part)


def _set_context_ex(target: HaltedTarget, request: rare.SetContextEx) -> RequestResult:
    # Windows gathers the parts and commits with the last one. Nothing can run in between, so a part that is
    # written at once cannot be told from one that waits for the rest.
    state = _state(target, request)
    end = request.offset + request.count
    part = request.data[: request.count]
    if state is None or end > Amd64Context.SIZE or len(part) < request.count:
        return _refused(request, copied=0)
    image = bytearray(state.context.encode())
    image[request.offset : end] = part
    state.context = Amd64Context.decode(bytes(image))
    state.changed = True
    return _done(request, copied=len(part))


def _write_breakpoint(target: HaltedTarget, request: kd.WriteBreakPoint) -> RequestResult:
    handle = target.breakpoints.insert(request.address)
    return _done(request, handle=handle) if handle else _refused(request, handle=0)


def _restore_breakpoint(target: HaltedTarget, request: kd.RestoreBreakPoint) -> RequestResult:
    return _done(request) if target.breakpoints.remove(request.handle) else _refused(request)


def _write_breakpoints(target: HaltedTarget, request: rare.WriteBreakPointEx) -> RequestResult:
    if request.count > MAX_BREAKPOINTS or len(request.data) < request.count * _BREAKPOINT.size:
        return _refused(request, STATUS_INVALID_PARAMETER)
    handles = [
        (address, target.breakpoints.insert(address), 0)
        for address, _, _ in _BREAKPOINT.iter_unpack(request.data[: request.count * _BREAKPOINT.size])
    ]
    data = b"".join(_BREAKPOINT.pack(*entry) for entry in handles)
    return (
        _done(request, data=data) if all(handle for _, handle, _ in handles) else _refused(request, data=data)
    )


def _restore_breakpoints(target: HaltedTarget, request: rare.RestoreBreakPointEx) -> RequestResult:
    if request.count > MAX_BREAKPOINTS or len(request.data) < request.count * _HANDLE.size:
        return _refused(request, STATUS_INVALID_PARAMETER)
    handles = _HANDLE.iter_unpack(request.data[: request.count * _HANDLE.size])
    removed = [target.breakpoints.remove(handle) for (handle,) in handles]
    statuses = b"".join(_HANDLE.pack(STATUS_SUCCESS if done else STATUS_UNSUCCESSFUL) for done in removed)
    return _done(request, data=statuses) if all(removed) else _refused(request, data=statuses)


def _read_control_space(target: HaltedTarget, request: kd.ReadControlSpace) -> RequestResult:
    state = _state(target, request)
    if state is None:
        return _refused(request, actual=0)
    if request.address == _SPECIAL_REGISTERS:
        data = state.special.encode()
    elif request.address in (_KPCR, _KPRCB, _KTHREAD):
        pointer = {
            _KPCR: target.kpcr(request.processor),
            _KPRCB: target.kprcb(request.processor),
            _KTHREAD: state.thread,
        }
        data = _POINTER.pack(pointer[request.address])
    else:
        return _refused(request, actual=0)
    return _transferred(request, data[: request.count])


def _write_control_space(target: HaltedTarget, request: kd.WriteControlSpace) -> RequestResult:
    state = _state(target, request)
    data = request.data[: min(request.count, Amd64SpecialRegisters.SIZE)]
    if state is None or request.address != _SPECIAL_REGISTERS or not data:
        return _refused(request, actual=0)
    image = bytearray(state.special.encode())
    image[: len(data)] = data
    state.special = Amd64SpecialRegisters.decode(bytes(image))
    state.changed = True
    return _done(request, actual=len(data))


def _read_msr(target: HaltedTarget, request: rare.ReadMsr) -> RequestResult:
    value = target.msrs.get(request.msr)
    if value is None:
        return _refused(request, low=0, high=0)
    return _done(request, low=value & 0xFFFFFFFF, high=value >> 32)


def _write_msr(target: HaltedTarget, request: rare.WriteMsr) -> RequestResult:
    if request.msr not in target.msrs:
        return _refused(request)
    target.msrs[request.msr] = request.high << 32 | request.low
    return _done(request)


def _read_port(target: HaltedTarget, request: rare.ReadIoSpace) -> RequestResult:
    if request.size not in (1, 2, 4):
        return _refused(request, STATUS_INVALID_PARAMETER)
    return _done(request, value=_NO_DEVICE >> 8 * (4 - request.size))


def _write_port(target: HaltedTarget, request: rare.WriteIoSpace) -> RequestResult:
    return _done(request) if request.size in (1, 2, 4) else _refused(request, STATUS_INVALID_PARAMETER)


def _search(target: HaltedTarget, request: rare.SearchMemory) -> RequestResult:
    pattern = request.data[: request.pattern_length]
    if not pattern or len(pattern) < request.pattern_length or request.length > MAX_SEARCH:
        return _refused(request, STATUS_INVALID_PARAMETER)
    at, end = request.address, request.address + request.length
    while at + len(pattern) <= end:
        window = target.memory.read(at, min(_SEARCH_STEP + len(pattern) - 1, end - at))
        found = window.find(pattern)
        if found >= 0:
            return _done(request, address=at + found)
        whole = len(window) >= min(_SEARCH_STEP, end - at)
        at = at + _SEARCH_STEP if whole else (at + len(window) | _PAGE - 1) + 1
    return _refused(request, STATUS_NOT_FOUND)


def _fill(target: HaltedTarget, request: rare.FillMemory) -> RequestResult:
    pattern = request.data[: request.pattern_length]
    if not pattern or len(pattern) < request.pattern_length:
        return _refused(request, STATUS_INVALID_PARAMETER, length=0)
    length = min(request.length, MAX_FILL)
    data = (pattern * -(-length // len(pattern)))[:length]
    if request.flags == _FILL_PHYSICAL:
        filled = target.physical.write(request.address, data)
    elif request.flags == _FILL_VIRTUAL:
        filled = _fill_virtual(target.memory, request.address, data)
    else:
        return _refused(request, STATUS_INVALID_PARAMETER, length=0)
    return _done(request, length=filled) if filled or not length else _refused(request, length=0)


def _fill_virtual(memory: KernelMemory, address: int, data: bytes) -> int:
    filled = 0
    while filled < len(data):
        at = address + filled
        piece = data[filled : filled + _PAGE - at % _PAGE]
        if not memory.write(at, piece):
            break
        filled += len(piece)
    return filled


def _query_memory(target: HaltedTarget, request: rare.QueryMemory) -> RequestResult:
    # Windows reports what a debugger may do, not the page's protection: everything (ReactOS, KdpQueryMemory).
    # "Fixed" memory would make DbgEng refuse a breakpoint.
    if target.memory.protection(request.address) is None:
        return _refused(request)
    space = _QUERY_KERNEL if request.address >= _SYSTEM_HALF else _QUERY_PROCESS
    return _done(request, address_space=space, flags=_QUERY_ALL)


def _bus_data(target: HaltedTarget, request: rare.GetBusData) -> RequestResult:
    return _refused(request, length=0)  # the target has no buses


def _switch_processor(target: HaltedTarget, request: kd.SwitchProcessor) -> RequestResult:
    return (
        SwitchTo(request.processor) if request.processor < len(target.states) else SwitchTo(target.processor)
    )


def _clear_internal_breakpoints(target: HaltedTarget, request: Manipulate) -> RequestResult:
    return None  # there are none: internal breakpoints (counted by the kernel) were never set


def _continue(target: HaltedTarget, request: kd.Continue) -> RequestResult:
    return Resume(request.continue_status, trace=False, dr7=None)


def _continue2(target: HaltedTarget, request: kd.Continue2) -> RequestResult:
    resume = Resume(request.continue_status, trace=bool(request.trace_flag), dr7=request.dr7)
    # The control set is for a status of success (ReactOS, KdpGetStateChange).
    return resume if resume.handled else resume._replace(trace=False, dr7=None)


def _reboot(target: HaltedTarget, request: Manipulate) -> RequestResult:
    return RebootTarget()


def _crash(target: HaltedTarget, request: kd.CauseBugCheck) -> RequestResult:
    return CrashTarget(request.bug_check_code)


HANDLERS: Final[dict[type[Manipulate], Callable[[HaltedTarget, Any], RequestResult]]] = {
    kd.ReadVirtualMemory: _read_virtual,
    kd.WriteVirtualMemory: _write_virtual,
    kd.GetContext: _get_context,
    kd.SetContext: _set_context,
    kd.WriteBreakPoint: _write_breakpoint,
    kd.RestoreBreakPoint: _restore_breakpoint,
    kd.Continue: _continue,
    kd.ReadControlSpace: _read_control_space,
    kd.WriteControlSpace: _write_control_space,
    kd.RebootRequest: _reboot,
    kd.Continue2: _continue2,
    kd.ReadPhysicalMemory: _read_physical,
    kd.WritePhysicalMemory: _write_physical,
    kd.GetVersion64: _get_version,
    kd.CauseBugCheck: _crash,
    kd.SwitchProcessor: _switch_processor,
    kd.ClearAllInternalBreakpoints: _clear_internal_breakpoints,
    rare.ReadIoSpace: _read_port,
    rare.WriteIoSpace: _write_port,
    rare.ReadIoSpaceExtended: _read_port,
    rare.WriteIoSpaceExtended: _write_port,
    rare.WriteBreakPointEx: _write_breakpoints,
    rare.RestoreBreakPointEx: _restore_breakpoints,
    rare.ReadMsr: _read_msr,
    rare.WriteMsr: _write_msr,
    rare.SearchMemory: _search,
    rare.GetBusData: _bus_data,
    rare.SetBusData: _bus_data,
    rare.FillMemory: _fill,
    rare.QueryMemory: _query_memory,
    rare.GetContextEx: _get_context_ex,
    rare.SetContextEx: _set_context_ex,
}
"""What each api does; keys are the record types of :mod:`harness.kd`."""
