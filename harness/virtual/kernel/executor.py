"""Enters driver code, and lets it stand in the middle and go on later.

Every entry into driver code goes through :meth:`Executor.enter`: thread context, IRQL, clocks and the current
KTHREAD are set first; afterwards the IRQL must be what it was. Where the code waits, its processor context is
put aside and the program that entered it waits; others are entered meanwhile.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.clock import MICROSECOND
from harness.virtual.cpu.stops import Exhausted, IrqlLowered, Trapped
from harness.virtual.cpu.traps import Continued, ThreadEnded, TrapError
from harness.virtual.cpu.watchedmemory import Accessed
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.execution import CallbackKey, Execution, HeldUp
from harness.virtual.kernel.faults import INSTRUCTION_BUDGET, Faults
from harness.virtual.kernel.system import System
from harness.virtual.kernel.waits import stand

__all__ = ["Executor"]

_CONTROL_C: Final = 1
"""DBG_STATUS_CONTROL_C."""
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
        holds_up: HeldUp | None = None,
        awaited: bool = True,
    ) -> Program[int]:
        """Call ``routine`` in that thread at that IRQL; its RAX, or what PsTerminateSystemThread was given.

        :param what: ``DriverEntry``, ``a DPC`` ...
        :param holds_up: what cannot go on before it returns.
        :param awaited: somebody waits for its end: it may not wait for ever.
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
            holds_up=holds_up,
            awaited=awaited,
            began=system.clock.now,
        )
        cpu.irql = irql
        self._arrive(execution, context)
        system.executions.append(execution)
        try:
            stop = cpu.call(routine, arguments, stack=execution.stack, budget=_SLICE_BUDGET)
            slices = 1
            while stop is not None:
                if isinstance(stop, Trapped) and isinstance(stop.reason, ThreadEnded):
                    result = stop.reason.status
                    break
                if isinstance(stop, Exhausted) and slices < _SLICES:
                    slices += 1
                    yield from self._aside(execution, stand(system, execution, _SLICE_TIME))
                elif isinstance(stop, Accessed):
                    aside = system.shared_memory.let_others(execution)
                    behind_read = yield from self._aside(execution, aside)
                    stop = cpu.step_past(stop, stale=bool(behind_read))
                    if stop is not None:
                        continue
                elif isinstance(stop, IrqlLowered):
                    yield from self._aside(execution, system.dpcs.drain())
                elif isinstance(stop, Trapped) and isinstance(stop.reason, Continued):
                    execution.place = stop.caller
                    slices, execution.pauses = 1, 0
                    cpu.return_from_export((yield from self._aside(execution, stop.reason.program)))
                else:
                    faults.resolve(cpu.look_again(stop) if isinstance(stop, Exhausted) else stop)
                if system.apcs.due(cpu.irql):
                    apcs = system.apcs.deliver(execution, execution.context, cpu.irql)
                    yield from self._aside(execution, apcs)
                stop = cpu.resume(budget=_SLICE_BUDGET)
            else:
                result = cpu.result
        finally:
            execution.ended = True
            system.executions.remove(execution)
            cpu.stacks.give_back(execution.stack)
        system.user_images.hide()
        if cpu.irql != irql:
            faults.die(faults.left_irql(routine, irql), pc=routine)
        if execution.critical_regions or execution.guarded_regions:
            faults.die(faults.left_regions(execution), pc=routine)
        system.current = interrupted
        system.waits.signalled(execution)
        system.apcs.left(context)
        return result

    def break_in(self, routine: int) -> None:
        """Stop in nt!DbgBreakPointWithStatus(1) at ``routine`` between two executions. Nothing changes that a
        driver could see."""
        system, cpu = self._system, self._system.cpu
        system.shared_data.refresh()
        stack = cpu.stacks.take(system.context.cpu)
        stop = cpu.call(routine, (_CONTROL_C,), stack=stack, budget=_SLICE_BUDGET)
        while stop is not None:
            self._faults.resolve(stop)
            stop = cpu.resume(budget=_SLICE_BUDGET)
        cpu.stacks.give_back(stack)

    def _aside(self, execution: Execution, program: Program[int] | Program[None]) -> Program[int]:
        """Run ``program`` while the execution stands still; what it ended with, 0 for nothing."""
        system, cpu = self._system, self._system.cpu
        saved = cpu.save()
        trap: TrapError | None = None
        result: int | None = None
        try:
            result = yield from program
        except TrapError as reason:
            trap = reason
        running = system.dispatcher.running
        self._arrive(execution, execution.context if running is None else running)
        cpu.restore(saved)
        if trap is not None:
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
