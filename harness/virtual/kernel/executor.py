"""Enters driver code, and lets it stand in the middle and go on later.

Every entry into driver code goes through :meth:`Executor.enter`: thread context, IRQL, clocks and the current
KTHREAD are set first; afterwards the IRQL must be what it was. Where the code waits, its processor context is
put aside and the program that entered it waits; others are entered meanwhile.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.clock import MICROSECOND
from harness.virtual.cpu.cpu import ProcessorContext
from harness.virtual.cpu.machine_code import CALL_GATE_INSTRUCTIONS
from harness.virtual.cpu.stacks import Stack
from harness.virtual.cpu.stops import Exhausted, IrqlLowered, Stop, Trapped
from harness.virtual.cpu.traps import (
    BugcheckRaised,
    Continued,
    StatusRaised,
    ThreadEnded,
    TrapError,
    Unwound,
)
from harness.virtual.cpu.watchedmemory import Accessed
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.bugcheck import RaisedException, exception_record
from harness.virtual.kernel.callrules import report_held
from harness.virtual.kernel.exceptions.records import code_registers
from harness.virtual.kernel.execution import CallbackKey, Execution, HeldUp, NestedCall
from harness.virtual.kernel.faults import INSTRUCTION, INSTRUCTION_BUDGET, Faults
from harness.virtual.kernel.system import System
from harness.virtual.kernel.waits import stand
from harness.virtual.windows.status import STATUS_NONCONTINUABLE_EXCEPTION

__all__ = ["Executor"]

_CONTROL_C: Final = 1
"""DBG_STATUS_CONTROL_C."""
MAX_EXCEPTIONS: Final = 5_000
"""Exceptions that one execution may raise; a handler that repairs nothing would see the same one for ever."""
_SLICES: Final = 20
_SLICE_BUDGET: Final = INSTRUCTION_BUDGET // _SLICES
"""Instructions after which others get their turn."""
_SLICE_TIME: Final = 300 * MICROSECOND
"""Target time that so many take, at three a nanosecond."""


class Executor:
    """Enters driver code on behalf of the kernel.

    :param faults: judges why code stopped.
    """

    def __init__(self, system: System, faults: Faults) -> None:
        self._system = system
        self._faults = faults

    def enter(
        self,
        routine: int,
        arguments: tuple[int, ...],
        context: ThreadContext,
        irql: int,
        *,
        what: str,
        callback: CallbackKey | None = None,
        kind: str = "",
        holds_up: HeldUp | None = None,
        awaited: bool = True,
        leaves_irql: int | None = None,
    ) -> Program[int]:
        """Call ``routine`` in that thread at that IRQL; its RAX, or what PsTerminateSystemThread was given.

        :param what: ``DriverEntry``, ``a DPC`` ...
        :param kind: of a notify routine, which of :data:`harness.callbacks.CALLBACK_KINDS` it is called for.
        :param holds_up: what cannot go on before it returns.
        :param awaited: somebody waits for its end: it may not wait for ever.
        :param leaves_irql: at which it has to return; None: the one that it was called at.
        :raises DriverBugcheck: the target stopped; the debugger has seen it.
        :raises DriverHang: the routine did not return.
        """
        system, cpu, faults = self._system, self._system.cpu, self._faults
        driver = system.module_at(routine)
        if driver is not None:
            faults.last_driver = driver.module.name
        interrupted = system.current
        execution = Execution(
            what,
            routine,
            context,
            cpu.stacks.take(context.cpu),
            callback=callback,
            kind=kind,
            holds_up=holds_up,
            awaited=awaited,
            began=system.clock.now,
        )
        cpu.irql = irql
        self._arrive(execution, context)
        system.executions.append(execution)
        try:
            result = yield from self._execute(execution, routine, arguments, execution.stack)
        except ThreadEnded as end:
            result = end.status
        finally:
            execution.ended = True
            system.executions.remove(execution)
            cpu.stacks.give_back(execution.stack)
        system.user_space.hide()
        if cpu.irql != (irql if leaves_irql is None else leaves_irql):
            faults.die(faults.left_irql(routine, irql), pc=routine)
        if execution.critical_regions or execution.guarded_regions:
            faults.die(faults.left_regions(execution), pc=routine)
        if execution.attached_to:
            faults.die(faults.left_attached(execution), pc=routine)
        report_held(system, execution)
        system.current = interrupted
        system.waits.signalled(execution)
        system.apcs.left(context)
        return result

    def call_nested(
        self, execution: Execution, routine: int, arguments: tuple[int, ...], nested: NestedCall
    ) -> Program[int]:
        """Call driver code below what the execution has on its stack; see
        :class:`~harness.virtual.kernel.exceptions.handlers.NestedCaller`."""
        cpu = self._system.cpu
        saved = cpu.save()
        execution.nested.append(nested)
        try:
            stack = Stack(execution.stack.low, nested.top)
            result = yield from self._execute(execution, routine, arguments, stack)
        finally:
            execution.nested.pop()
        self._restore(saved)
        return result

    def _execute(
        self, execution: Execution, routine: int, arguments: tuple[int, ...], stack: Stack
    ) -> Program[int]:
        """Call ``routine`` on ``stack`` and let it run to its end; RAX."""
        cpu = self._system.cpu
        budget = _SLICE_BUDGET
        if stops_at_entry := self._system.stops_at_entry:
            self._system.stops_at_entry, budget = False, CALL_GATE_INSTRUCTIONS
        stop = cpu.call(routine, arguments, stack=stack, budget=budget)
        if stops_at_entry and isinstance(stop, Exhausted):
            self._faults.stop_here()
            stop = cpu.resume(budget=_SLICE_BUDGET)
        slices = 1
        while stop is not None:
            if isinstance(stop, Exhausted) and slices < _SLICES:
                slices += 1
            elif isinstance(stop, Trapped) and isinstance(stop.reason, Continued):
                slices, execution.pauses = 1, 0
            elif isinstance(stop, Exhausted):
                self._faults.resolve(cpu.look_again(stop))
            try:
                stop = yield from self._attend(execution, stop)
            except Unwound as unwound:
                if unwound.frame >= stack.high:
                    raise
                cpu.registers.update(unwound.registers)
                stop = cpu.resume(budget=_SLICE_BUDGET)
        return cpu.result

    def _attend(self, execution: Execution, stop: Stop) -> Program[Stop | None]:
        """Do what the stop is for and go on; the next one."""
        system, cpu = self._system, self._system.cpu
        if isinstance(stop, Trapped) and isinstance(stop.reason, ThreadEnded):
            raise stop.reason
        if isinstance(stop, Exhausted):
            yield from self._aside(execution, stand(system, execution, _SLICE_TIME))
        elif isinstance(stop, Accessed):
            aside = system.shared_memory.let_others(execution)
            behind_read = yield from self._aside(execution, aside)
            after = cpu.step_past(stop, stale=bool(behind_read))
            if after is not None:
                return after
        elif isinstance(stop, IrqlLowered):
            yield from self._aside(execution, system.dpcs.drain())
        elif isinstance(stop, Trapped) and isinstance(stop.reason, Continued):
            execution.place = stop.caller
            cpu.return_from_export((yield from self._aside(execution, stop.reason.program)))
        elif (raised := self._faults.resolve(stop)) is not None:
            yield from self._dispatch(execution, raised)
        if system.apcs.due(cpu.irql):
            apcs = system.apcs.deliver(execution, execution.context, cpu.irql)
            yield from self._aside(execution, apcs)
        return cpu.resume(budget=_SLICE_BUDGET)

    def _dispatch(self, execution: Execution, raised: RaisedException) -> Program[None]:
        """Let the driver's handlers have an exception; what they leave is the debugger's again."""
        system, registers = self._system, self._system.cpu.registers
        execution.exceptions += 1
        if execution.exceptions > MAX_EXCEPTIONS:
            self._faults.hang(f"raised {MAX_EXCEPTIONS} exceptions without end", raised.pc, where=INSTRUCTION)
        saved = system.cpu.save()
        found = system.exceptions.dispatch(
            execution, exception_record(raised), code_registers(registers.all())
        )
        try:
            changed = yield from found
        except Unwound:
            self._restore(saved)
            raise
        except BugcheckRaised as reason:
            self._faults.die(reason, pc=raised.pc)
            return
        self._restore(saved)
        if changed is None:
            self._faults.unhandled(raised)
        elif raised.flags:
            self._faults.unhandled(
                RaisedException(STATUS_NONCONTINUABLE_EXCEPTION, raised.pc, flags=raised.flags)
            )
        else:
            registers.update(changed)

    def _restore(self, saved: ProcessorContext) -> None:
        """The processor is again as it was, but for its IRQL."""
        cpu = self._system.cpu
        irql = cpu.irql
        cpu.restore(saved)
        cpu.irql = irql

    def break_in(self, routine: int) -> None:
        """Stop in nt!DbgBreakPointWithStatus(1) at ``routine`` between two executions. Nothing changes that a
        driver could see, nor in the processor."""
        system, cpu = self._system, self._system.cpu
        saved = cpu.save()
        system.shared_data.refresh()
        stack = cpu.stacks.take(system.context.cpu)
        stop = cpu.call(routine, (_CONTROL_C,), stack=stack, budget=_SLICE_BUDGET)
        while stop is not None:
            if (raised := self._faults.resolve(stop)) is not None:
                self._faults.unhandled(raised)
            stop = cpu.resume(budget=_SLICE_BUDGET)
        cpu.stacks.give_back(stack)
        cpu.restore(saved)

    def _aside(self, execution: Execution, program: Program[int] | Program[None]) -> Program[int]:
        """Run ``program`` while the execution stands still; what it ended with, 0 for nothing."""
        system, cpu = self._system, self._system.cpu
        saved = cpu.save()
        trap: TrapError | None = None
        result: int | None = None
        try:
            result = yield from program
        except Unwound:
            self._restore(saved)
            raise
        except TrapError as reason:
            trap = reason
        running = system.dispatcher.running
        self._arrive(execution, execution.context if running is None else running)
        cpu.restore(saved)
        if isinstance(trap, StatusRaised):
            raised = self._faults.raised(trap.status, execution.place)
            if raised is not None:
                self._faults.unhandled(raised)
        elif trap is not None:
            self._faults.kernel_trap(trap, execution.place)
        return result or 0

    def _arrive(self, execution: Execution, where: ThreadContext) -> None:
        """The execution is what its processor executes from now on."""
        system = self._system
        context = execution.context
        if where.cpu != context.cpu:
            context = execution.context = context._replace(cpu=where.cpu)
        system.current = execution
        system.context = context
        system.shared_data.refresh()
        system.objects.run(context)
        system.cpu.switch(context.cpu)
