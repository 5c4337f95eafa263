"""Who handles an exception: the search through the frames, and the unwind to the one that does.

What RtlDispatchException and RtlUnwindEx do, as programs: the handlers are the driver's code (or
``__C_specific_handler``, which calls filters and ``__finally`` blocks in it), run below the code that stands
in the middle and may wait, raise and unwind themselves. Sources: Microsoft, *x64 exception handling* (the
language handler and its dispositions), *RtlUnwindEx*, *try-except statement*.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from harness.virtual.cpu.traps import BugcheckRaised, StatusRaised, Unwound
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.exceptions.records import (
    CONTEXT_SIZE,
    DISPATCHER_CONTEXT,
    EXCEPTION_FLAGS,
    code_registers,
    context_record,
    registers_of,
)
from harness.virtual.kernel.exceptions.scopes import read_scopes
from harness.virtual.kernel.exceptions.stackwalk import FunctionFrame, Registers, frame_at
from harness.virtual.kernel.exceptions.unwindinfo import BadUnwindInfo
from harness.virtual.kernel.execution import Execution, NestedCall

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["MAX_FRAMES", "ExceptionHandlers", "ExportCaller", "NestedCaller"]

MAX_FRAMES: Final = 512
"""Frames that are searched; the kernel's stack of 24 KB has no room for more that are any use."""
STACK_NEEDED: Final = 0x400
"""Bytes of stack that a handler must find; with less left the processor would fault twice."""

_CONTINUE_EXECUTION: Final = 0
_CONTINUE_SEARCH: Final = 1
_EXECUTE_HANDLER: Final = 1
_NONCONTINUABLE: Final = 0x1
_UNWINDING: Final = 0x2
_EXIT_UNWIND: Final = 0x4
_TARGET_UNWIND: Final = 0x20
_RECORD_SIZE: Final = 0xA0
_RETURN_ADDRESS: Final = 8
"""Bytes below the stack of who called an export, which is still to return."""
_POINTERS_SIZE: Final = 0x10
_UNEXPECTED_KERNEL_MODE_TRAP: Final = 0x7F
_DOUBLE_FAULT: Final = 8
_STATUS_UNWIND: Final = 0xC000_0027
_STATUS_INVALID_UNWIND_TARGET: Final = 0xC000_0029


class NestedCaller(Protocol):
    """Calls driver code below what an execution has on its stack."""

    def __call__(
        self, execution: Execution, routine: int, arguments: tuple[int, ...], nested: NestedCall
    ) -> Program[int]: ...


class ExportCaller(NamedTuple):
    """Who called an export, for what the export calls in turn."""

    execution: Execution
    nested: NestedCall


class _Place(NamedTuple):
    """A frame on the way out, and where it was come from."""

    registers: Registers
    """Of the function itself."""
    frame: FunctionFrame
    scope: int
    """Where its scopes are to be looked at from: an unwind that was itself left has done those before."""


class _Records(NamedTuple):
    """Addresses of what handlers are given, below the stack of the code that raised."""

    exception: int
    context: int
    dispatcher: int
    top: int
    """Where their own stack begins."""


class ExceptionHandlers:
    """Finds and runs them.

    :param call: calls a handler, a filter or a ``__finally`` block.
    """

    def __init__(self, system: System, call: NestedCaller) -> None:
        self._system = system
        self._memory = system.memory
        self._call = call

    def dispatch(
        self, execution: Execution, record: bytes, registers: Registers
    ) -> Program[Registers | None]:
        """Ask the frames from the innermost to the outermost; the registers with which the code goes on, or
        None where nobody handles the exception.

        :param record: the EXCEPTION_RECORD.
        :param registers: at the instruction that raised it.
        :raises Unwound: a handler has taken it.
        """
        records = self._make_room(execution, registers)
        self._memory.store(records.exception, record)
        self._memory.store(records.context, context_record(registers))
        for place in self._places(execution, registers):
            handler = place.frame.handler
            if handler is None or not handler.for_exceptions:
                continue
            nested = NestedCall(records.top, registers)
            disposition = yield from self._ask(execution, place, records, nested, target=0)
            if disposition == _CONTINUE_EXECUTION:
                return registers_of(self._memory.load(records.context, CONTEXT_SIZE))
        return None

    def unwind(
        self,
        execution: Execution,
        registers: Registers,
        *,
        frame: int,
        target: int,
        record: int,
        value: int,
    ) -> Program[int]:
        """RtlUnwindEx: leave every frame up to ``frame``, with its ``__finally`` blocks, and go on at
        ``target`` with ``value`` in RAX.

        :param registers: of who asks for it, behind the call.
        :param record: address of an EXCEPTION_RECORD; 0: one is made.
        :raises Unwound: always, but for a frame that is not there.
        """
        memory = self._memory
        records = self._make_room(execution, registers)
        memory.store(records.context, context_record(registers))
        if record:
            records = records._replace(exception=record)
        else:
            memory.store(records.exception, bytes(_RECORD_SIZE))
            memory.put_u32(records.exception, _STATUS_UNWIND)
            memory.put_u64(records.exception + 0x10, registers["rip"])
        flags = memory.u32(records.exception + EXCEPTION_FLAGS) | _UNWINDING | (0 if frame else _EXIT_UNWIND)
        for place in self._places(execution, registers):
            if place.frame.function is None:
                continue
            at_target = place.frame.establisher == frame
            if frame and place.frame.establisher > frame:
                break
            handler = place.frame.handler
            if handler is not None and handler.for_unwinds:
                now = flags | (_TARGET_UNWIND if at_target else 0)
                memory.put_u32(records.exception + EXCEPTION_FLAGS, now)
                memory.store(records.context, context_record(place.registers))
                nested = NestedCall(records.top, place.registers, records.dispatcher)
                yield from self._ask(execution, place, records, nested, target=target)
            if at_target:
                raise Unwound(frame, {**place.registers, "rip": target, "rax": value})
        raise StatusRaised(_STATUS_INVALID_UNWIND_TARGET)

    def c_specific_handler(self, record: int, frame: int, context: int, dispatcher: int) -> Program[int]:
        """``__C_specific_handler``: the disposition of a C function's frame."""
        memory, execution = self._memory, self._current()
        registers = self._behind_the_call()
        known = memory.load(dispatcher, DISPATCHER_CONTEXT.size)

        def field(name: str) -> int:
            return int(DISPATCHER_CONTEXT.read(known, name))

        base = field("ImageBase")
        pc, target = field("ControlPc") - base, field("TargetIp") - base
        try:
            scopes = read_scopes(memory.read, field("HandlerData"))
        except BadUnwindInfo:
            return _CONTINUE_SEARCH
        code, flags = memory.u32(record), memory.u32(record + EXCEPTION_FLAGS)
        top = (registers["rsp"] - _RETURN_ADDRESS - _POINTERS_SIZE) & ~0xF
        self._demand_stack(execution, top)
        first = field("ScopeIndex")
        for number, scope in list(enumerate(scopes))[first:]:
            if not scope.holds(pc):
                continue
            if flags & (_UNWINDING | _EXIT_UNWIND):
                if flags & _TARGET_UNWIND and (scope.holds(target) or scope.target == target):
                    break
                if scope.is_finally:
                    memory.put_u32(dispatcher + DISPATCHER_CONTEXT.offset("ScopeIndex"), number + 1)
                    yield from self._nested(execution, base + scope.handler, (1, frame), top, registers)
            elif not scope.is_finally:
                answer = _EXECUTE_HANDLER
                if not scope.always:
                    memory.store(top, record.to_bytes(8, "little") + context.to_bytes(8, "little"))
                    answer = yield from self._nested(
                        execution, base + scope.handler, (top, frame), top, registers
                    )
                answer = (answer & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
                if answer < 0:
                    return _CONTINUE_EXECUTION
                if answer > 0:
                    yield from self.unwind(
                        execution,
                        registers,
                        frame=frame,
                        target=base + scope.target,
                        record=record,
                        value=code,
                    )
        return _CONTINUE_SEARCH

    def unwind_from_export(self, *, frame: int, target: int, record: int, value: int) -> Program[int]:
        """The export RtlUnwindEx and its like: see :meth:`unwind`."""
        execution, registers = self._current(), self._behind_the_call()
        return (
            yield from self.unwind(
                execution, registers, frame=frame, target=target, record=record, value=value
            )
        )

    def caller(self) -> ExportCaller:
        """Who called the export that is being served; asked before anything else is run for it."""
        execution, registers = self._current(), self._behind_the_call()
        top = (registers["rsp"] - _RETURN_ADDRESS) & ~0xF
        self._demand_stack(execution, top)
        return ExportCaller(execution, NestedCall(top, registers))

    def call_back(self, caller: ExportCaller, routine: int, arguments: tuple[int, ...]) -> Program[int]:
        """Call code that the export was given, below its caller's stack; RAX. What that code raises and does
        not handle reaches the caller's handlers."""
        return (yield from self._call(caller.execution, routine, arguments, caller.nested))

    def _current(self) -> Execution:
        execution = self._system.current
        assert execution is not None, "exports are called by driver code"
        return execution

    def _nested(
        self, execution: Execution, routine: int, arguments: tuple[int, int], top: int, outer: Registers
    ) -> Program[int]:
        return (yield from self._call(execution, routine, arguments, NestedCall(top, outer)))

    def _behind_the_call(self) -> Registers:
        """The registers of who called the export that is being served, as if it had returned."""
        registers = code_registers(self._system.cpu.registers.all())
        rsp = registers["rsp"]
        return {**registers, "rip": self._memory.u64(rsp), "rsp": rsp + _RETURN_ADDRESS}

    def _ask(
        self, execution: Execution, place: _Place, records: _Records, nested: NestedCall, *, target: int
    ) -> Program[int]:
        """The disposition of a frame's language handler."""
        frame, handler = place.frame, place.frame.handler
        assert handler is not None and frame.function is not None
        self._memory.store(
            records.dispatcher,
            DISPATCHER_CONTEXT.pack(
                {
                    "ControlPc": frame.control_pc,
                    "ImageBase": frame.image_base,
                    "FunctionEntry": frame.function.address,
                    "EstablisherFrame": frame.establisher,
                    "TargetIp": target,
                    "ContextRecord": records.context,
                    "LanguageHandler": handler.address,
                    "HandlerData": handler.data,
                    "ScopeIndex": place.scope,
                }
            ),
        )
        arguments = (records.exception, frame.establisher, records.context, records.dispatcher)
        result = yield from self._call(execution, handler.address, arguments, nested)
        return result & 0xFFFF_FFFF

    def _make_room(self, execution: Execution, registers: Registers) -> _Records:
        size = _RETURN_ADDRESS + _RECORD_SIZE + CONTEXT_SIZE + DISPATCHER_CONTEXT.size
        below = (registers["rsp"] - size) & ~0xF
        self._demand_stack(execution, below)
        context = below + _RECORD_SIZE
        return _Records(below, context, context + CONTEXT_SIZE, below)

    def _demand_stack(self, execution: Execution, top: int) -> None:
        if not execution.stack.low + STACK_NEEDED <= top < execution.stack.high:
            raise BugcheckRaised(_UNEXPECTED_KERNEL_MODE_TRAP, _DOUBLE_FAULT, top, 0, 0)

    def _places(self, execution: Execution, registers: Registers) -> Iterator[_Place]:
        """The frames from the innermost to the outermost; across the calls of handlers to the code that these
        were called for. It ends where the stack cannot be walked."""
        image, memory, stack = self._system.image, self._memory, execution.stack
        depth, scope = len(execution.nested), 0
        for _ in range(MAX_FRAMES):
            if image.call_gate <= registers["rip"] < image.behind_call:
                if depth == 0:
                    return
                depth -= 1
                outer = execution.nested[depth]
                registers = outer.registers
                scope = self._scope_index(outer)
                continue
            try:
                frame = frame_at(memory.read, self._system.exception_table, registers)
            except BadUnwindInfo:
                return
            if frame.establisher % 8 or not stack.low <= frame.establisher < stack.high:
                return
            yield _Place(registers, frame, scope)
            registers, scope = frame.caller, 0

    def _scope_index(self, call: NestedCall) -> int:
        if not call.dispatcher:
            return 0
        return self._memory.u32(call.dispatcher + DISPATCHER_CONTEXT.offset("ScopeIndex"))
