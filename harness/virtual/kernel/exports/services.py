"""From the number an export's stub passes to the call of its handler."""

from __future__ import annotations

import struct

from harness.virtual.cpu.traps import Continued
from harness.virtual.dispatcher.policy import Point
from harness.virtual.dispatcher.program import Program
from harness.virtual.kernel.callrules import (
    IRQL_LIMITS,
    NOT_IN_CALLBACKS,
    report_in_callback,
    report_irql,
)
from harness.virtual.kernel.execution import Execution
from harness.virtual.kernel.exports.registry import EXPORTS
from harness.virtual.kernel.failures import FAILURES
from harness.virtual.kernel.memoryrules import tell_gone
from harness.virtual.kernel.system import System
from harness.virtual.kernel.varargs import VarArgs
from harness.virtual.kernel.waits import stand

__all__ = ["ServiceTable"]

_RETURN_ADDRESS = 8
_REGISTER_ARGUMENTS = 4
_STACK_ARGUMENTS = _RETURN_ADDRESS + 8 * _REGISTER_ARGUMENTS
"""Offset from RSP at entry: the return address and the home space of four registers lie before them."""


class ServiceTable:
    """Serves the exports of one kernel image."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._memory = system.memory
        self._services = [
            (
                export.handler,
                export.arguments,
                export.variadic,
                IRQL_LIMITS.get(export.name),
                NOT_IN_CALLBACKS.get(export.name),
                FAILURES.get(export.name),
            )
            for export in (EXPORTS[name] for name in system.image.functions)
        ]

    def serve(self, number: int, rsp: int, rcx: int, rdx: int, r8: int, r9: int) -> int:
        """Call handler ``number``; its result, 0 for none."""
        system = self._system
        system.service, system.service_rsp = number, rsp
        handler, count, variadic, limit, forbidden, failure = self._services[number]
        if limit is not None and system.cpu.irql > limit.highest:
            report_irql(system, limit)
        if forbidden is not None and system.current is not None:
            callback = system.current.callback
            if callback is not None and callback.group in forbidden.groups:
                report_in_callback(system, forbidden.rule, callback.group)
        if rcx in system.objects.gone:
            tell_gone(system, rcx)
        registers = (rcx, rdx, r8, r9)
        if failure is not None and system.call_failures is not None:
            answer = system.call_failures.answer(system, failure, registers)
            if answer is not None:
                return answer
        if variadic:
            # No export has more than four named arguments before its variable ones.
            rest = VarArgs(self._memory, registers[count:], rsp + _STACK_ARGUMENTS)
            result = handler(system, *registers[:count], rest)
        elif count <= _REGISTER_ARGUMENTS:
            result = handler(system, *registers[:count])
        else:
            more = count - _REGISTER_ARGUMENTS
            raw = self._memory.load(rsp + _STACK_ARGUMENTS, 8 * more)
            result = handler(system, *registers, *struct.unpack(f"<{more}Q", raw))
        result = 0 if result is None else result
        if system.preemptive and system.current is not None:
            pause = system.dispatcher.stand_aside(Point.KERNEL_CALL)
            if pause:
                raise Continued(_after_pause(system, system.current, pause, result))
        return result


def _after_pause(system: System, execution: Execution, pause: int, result: int) -> Program[int]:
    yield from stand(system, execution, pause)
    return result
