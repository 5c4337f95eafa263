"""What becomes of driver code that stops: a stop in the debugger, a bugcheck, a hang.

An exception is dispatched as KiDispatchException does it (ReactOS, ntoskrnl/ke/amd64/except.c): the debugger
has a first chance, then the handlers of the thread's frames (:mod:`harness.virtual.kernel.exceptions`), then
the debugger a second one, and what nobody handled is a bugcheck.
That the debugger sees first chances of faults at all is what Windows does with the global flag *Stop on
exception* (gflags, soe); what a debugger continues with DBG_CONTINUE executes the faulting instruction again.
"""

from __future__ import annotations

import struct
from typing import Final, NoReturn

from harness.errors import DriverBugcheck, DriverFault, DriverHang, MissingImport
from harness.virtual.cpu.stops import Exhausted, Faulted, Interrupted, Stop, Trapped
from harness.virtual.cpu.traps import BugcheckRaised, Hung, MemoryFault, ServedAgain, StatusRaised, TrapError
from harness.virtual.kernel import memoryrules
from harness.virtual.kernel.bugcheck import (
    UNEXPECTED_KERNEL_MODE_TRAP,
    Culprit,
    RaisedException,
    Scene,
    access_fault,
    exception_record,
    processor_fault,
    unhandled,
)
from harness.virtual.kernel.dbgprint import BUFFER_SIZE
from harness.virtual.kernel.exceptions.callstack import call_stack
from harness.virtual.kernel.exceptions.records import context_record
from harness.virtual.kernel.exceptions.stackwalk import leave_leaf
from harness.virtual.kernel.execution import DPC, SYSTEM_THREAD, Execution
from harness.virtual.kernel.imports import way_out
from harness.virtual.kernel.system import SYSTEM_CONTEXT, System
from harness.virtual.windows.irql import DISPATCH_LEVEL
from harness.virtual.windows.status import (
    STATUS_ASSERTION_FAILURE,
    STATUS_STACK_BUFFER_OVERRUN,
    STATUS_WAKE_SYSTEM_DEBUGGER,
)

__all__ = ["INSTRUCTION", "INSTRUCTION_BUDGET", "Faults"]

INSTRUCTION_BUDGET: Final = 20_000_000
"""Instructions one callback may execute; as many take a quarter of a second here."""
INSTRUCTION: Final = ", instruction at"
"""Between "hangs" and a place: an instruction begins there."""
_ROUTINE: Final = ", routine at"
_ASSERTION_LENGTH: Final = 2
"""Bytes of ``int 2Ch``; a debugger that continues goes on behind it."""
_NONCONTINUABLE: Final = 0x1
"""EXCEPTION_NONCONTINUABLE of ExceptionFlags."""
_WARNING: Final = 0x8000_0000
"""The least NTSTATUS with the severity of a warning: first chances of lesser ones pass the debugger by."""
_IRQL_GT_ZERO_AT_SYSTEM_SERVICE: Final = 0x4A
_WORKER_THREAD_RETURNED_AT_BAD_IRQL: Final = 0xE1
_IRQL_UNEXPECTED_VALUE: Final = 0xC8
_APC_INDEX_MISMATCH: Final = 0x01
_INVALID_PROCESS_ATTACH_ATTEMPT: Final = 0x05
_ATTACHED_INDEX: Final = 1
"""KTHREAD.ApcStateIndex of a thread that has attached to a process."""
_KERNEL_APC_PENDING_DURING_EXIT: Final = 0x20
_TIMER_OR_DPC_INVALID: Final = 0xC7
_REGIONS_LEFT_BY_DPC: Final = 4
_GUARD_PAGE: Final = 0x1000
_VERIFIER: Final = "Driver Verifier"
_RETURN_ADDRESS: Final = 8
"""Bytes that a call pushes."""


class Faults:
    """Judges stops on behalf of the kernel."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._dead: DriverFault | MissingImport | None = None
        self.last_driver: str | None = None
        """The driver that was entered last."""

    def refuse_when_dead(self) -> None:
        """A machine that stopped stays stopped: the same error again."""
        if self._dead is not None:
            raise self._dead

    def report_bugcheck(self, raised: BugcheckRaised, module: str | None) -> None:
        """KeBugCheckEx: record it, tell the debugger, end the machine.

        :raises DriverBugcheck: always.
        """
        system = self._system
        if system.before_bugcheck():
            self.stop_here()
        code, parameters = raised.code, raised.parameters
        if (code, parameters[0]) == memoryrules.LOCK_HIERARCHY and module is not None:
            message = f"{module} takes locks in more than one order: {raised.story}"
            system.broken_rules.add("DeadlockDetection", module, "", message)
        system.shared_data.refresh()
        self.write_bugcheck_data(code, parameters)
        if raised.story:
            text = f"{_VERIFIER}: {raised.story}\n".encode("ascii", "replace")
            system.port.print_string(text[:BUFFER_SIZE], system.context.cpu)
        if module is not None:
            name = system.heap.unicode_string(module)
            system.memory.put_u64(system.symbol("KiBugCheckDriver"), name)
        self._dead = DriverBugcheck(code, parameters, module=module)
        system.port.bugcheck(code, parameters, module=module, cpu=system.context.cpu)
        raise self._dead

    def write_bugcheck_data(self, code: int, parameters: tuple[int, int, int, int]) -> None:
        """KiBugCheckData: what a debugger reads when the target has stopped."""
        system = self._system
        system.memory.store(system.symbol("KiBugCheckData"), struct.pack("<5Q", code, *parameters))

    def resolve(self, stop: Stop) -> RaisedException | None:
        """None where the driver goes on, with the registers as they are then; an exception that the debugger
        left to the driver's handlers; everything else raises."""
        if isinstance(stop, Interrupted):
            rcx = self._system.cpu.registers["rcx"]
            raised = processor_fault(stop, rcx, self._scene(stop.pc))
            if isinstance(raised, BugcheckRaised):
                self._record(RaisedException(STATUS_STACK_BUFFER_OVERRUN, stop.pc, (rcx & 0xFFFF_FFFF,)))
                if (name := self._driver_name(stop.pc)) is not None:
                    where = f"instruction at {self.place(stop.pc)}"
                    memoryrules.tell_stop(self._system, raised, name, "raises what nothing handles", where)
            return self._judge(raised, stop.pc)
        if isinstance(stop, Faulted):
            return self._fault(stop)
        if isinstance(stop, Exhausted):
            later = self.place(stop.later_pc)
            reason = f"was still executing after {INSTRUCTION_BUDGET} instructions"
            self.hang(f"{reason}, then the instruction at {later}", stop.pc, where=INSTRUCTION)
        elif isinstance(stop, Trapped):
            return self.trapped(stop)
        raise TypeError(f"{stop} is no fault")

    def trapped(self, stop: Trapped) -> RaisedException | None:
        """What an export found."""
        reason, registers = stop.reason, self._system.cpu.registers
        if isinstance(reason, BugcheckRaised):
            if (site := self._system.call_site()) is not None:
                place = f"at {self.place(site.address)}"
                memoryrules.tell_stop(self._system, reason, site.driver, f"calls {site.routine}", place)
            self.die(reason, pc=stop.caller)
        elif isinstance(reason, Hung):
            self.hang(reason.reason, stop.caller)
        elif isinstance(reason, ServedAgain):
            # Its entry changes nothing but RAX, so that the export can be executed again from there.
            registers["rip"] = self._system.symbol(self._system.image.functions[stop.service])
            self.stop_here()
            return None
        elif isinstance(reason, StatusRaised):
            # ExRaiseStatus returns to its caller when the debugger continues.
            registers["rip"], registers["rsp"] = stop.caller, registers["rsp"] + _RETURN_ADDRESS
            return self.raised(reason.status, stop.caller)
        elif isinstance(reason, MemoryFault):
            # The export itself is where Windows would fault; its name says more than the gate's address.
            # It can be executed again from there, see above.
            registers["rip"] = pc = self._system.symbol(self._system.image.functions[stop.service])
            return self._fault(Faulted(reason.address, reason.access, reason.present, pc), caller=stop.caller)
        raise reason

    def stop_here(self) -> None:
        """Stop in the debugger where the code stands, for nothing that it did."""
        system = self._system
        pc = system.cpu.registers["rip"]
        system.shared_data.refresh()
        system.port.exception(
            STATUS_WAKE_SYSTEM_DEBUGGER, pc, information=(), first_chance=True, cpu=system.context.cpu
        )

    def raised(self, status: int, pc: int) -> RaisedException | None:
        """ExRaiseStatus, called at ``pc``."""
        return self._judge(RaisedException(status, pc, flags=_NONCONTINUABLE), pc)

    def kernel_trap(self, reason: TrapError, caller: int | None = None) -> None:
        """What the kernel itself trapped on, for driver code that called it at ``caller``, if any did."""
        if isinstance(reason, MemoryFault):
            if (name := self._system.missing_imports.at(reason.address)) is not None:
                self._end_at_missing_import(name, called=False)
            scene = self._scene(0)._replace(irql=max(self._system.cpu.irql, DISPATCH_LEVEL), in_kernel=True)
            fault = Faulted(reason.address, reason.access, reason.present, 0)
            name = self._driver_name(caller) if caller else None
            memoryrules.tell_pool(self._system, fault, name, f"at {self.place(caller or 0)}")
            raised = self._judge(access_fault(fault, scene), reason.address, caller=caller)
            if raised is not None:
                self.unhandled(raised)
        elif isinstance(reason, BugcheckRaised):
            if caller and (name := self._driver_name(caller)) is not None:
                memoryrules.tell_stop(
                    self._system, reason, name, "calls the kernel", f"at {self.place(caller)}"
                )
            self.die(reason, pc=caller or 0)
        elif isinstance(reason, Hung):
            self.hang(reason.reason, caller or 0)
        else:
            raise reason

    def _fault(self, fault: Faulted, caller: int | None = None) -> RaisedException | None:
        if fault.access == "execute" and caller is None:
            # The processor stands at the target already; who jumped there is on top of the stack.
            top = self._system.memory.read(self._system.cpu.registers["rsp"], 8)
            caller = int.from_bytes(top, "little")
        if (name := self._system.missing_imports.at(fault.address)) is not None:
            self._end_at_missing_import(name, called=fault.access == "execute")
        code, where = self._code(fault.pc, caller)
        driver = self._driver_name(code) or self.last_driver or ""
        memoryrules.tell_pool(self._system, fault, driver, where)
        memoryrules.tell_kept(self._system, fault.address, driver, where)
        raised = access_fault(fault, self._scene(fault.pc))
        if isinstance(raised, BugcheckRaised) and raised.code == UNEXPECTED_KERNEL_MODE_TRAP:
            memoryrules.tell_stop(self._system, raised, driver, "uses up the kernel stack", where)
        return self._judge(raised, fault.pc, address=fault.address, caller=caller)

    def _end_at_missing_import(self, name: str, *, called: bool) -> NoReturn:
        """The driver wants what this target does not have: from here on nothing could be said about it."""
        system = self._system
        registers = system.cpu.all_registers()
        if not system.module_at(registers["rip"]):  # in the import itself, or in an export that was given it
            registers = leave_leaf(system.memory.read, registers)
        places = call_stack(
            system.memory.read, system.exception_table, registers, lambda at: system.module_at(at) is not None
        )
        who = (self._driver_name(places[0]) if places else None) or self.last_driver or "the driver"
        does = "calls" if called else "uses the variable"
        stack = " <- ".join(self.place(place) for place in places)
        where = f"at {stack}" if stack else "in a tail call: no driver's code is on the stack"
        self._dead = MissingImport(
            f"{who} {does} {name}, which the virtual target lacks, {where}", name=name, hint=way_out(name)
        )
        raise self._dead

    def _judge(
        self,
        raised: BugcheckRaised | RaisedException,
        pc: int,
        *,
        address: int | None = None,
        caller: int | None = None,
    ) -> RaisedException | None:
        """End with what is no exception; one that the debugger does not take at its first chance is for the
        driver's handlers.

        :param address: what was accessed, :param caller: who called, for whose fault it is.
        """
        if isinstance(raised, BugcheckRaised):
            self.die(raised, pc=pc, address=address, caller=caller)
            return None
        self._record(raised)
        if raised.status >= _WARNING and self._debugger_handles(raised, first_chance=True):
            return None
        return raised._replace(fault=Culprit(address, caller))

    def unhandled(self, raised: RaisedException) -> None:
        """No handler took it: the debugger's second chance, and the bugcheck. The registers are those at the
        instruction that raised it."""
        self._record(raised)
        if not self._debugger_handles(raised, first_chance=False):
            bugcheck = unhandled(raised, self._scene(raised.pc))
            address, caller = raised.fault
            self.die(bugcheck, pc=raised.pc, address=address, caller=caller)

    def _debugger_handles(self, raised: RaisedException, *, first_chance: bool) -> bool:
        registers = self._system.cpu.registers
        handled = self._system.port.exception(
            raised.status,
            raised.pc,
            information=raised.information,
            first_chance=first_chance,
            cpu=self._system.context.cpu,
        )
        if handled and raised.status == STATUS_ASSERTION_FAILURE and registers["rip"] == raised.pc:
            registers["rip"] = raised.pc + _ASSERTION_LENGTH
        return handled

    def _record(self, raised: RaisedException) -> None:
        """Leave exception and context records where the bugcheck's parameters point."""
        system = self._system
        system.memory.write(system.symbol("ExceptionRecord"), exception_record(raised))
        registers = {**system.cpu.all_registers(), "rip": raised.pc}
        system.memory.write(system.symbol("ContextRecord"), context_record(registers))

    def _scene(self, pc: int) -> Scene:
        system = self._system
        bottom, rsp = system.stack.low, system.cpu.registers["rsp"]
        return Scene(
            irql=system.cpu.irql,
            system_thread=system.context.pid == SYSTEM_CONTEXT.pid,
            in_kernel=system.is_kernel_code(pc),
            verifier=system.verifier,
            unloaded=system.unloaded_at,
            pool_state=system.pool.state_of,
            exception_record=system.symbol("ExceptionRecord"),
            context_record=system.symbol("ContextRecord"),
            on_stack_guard=lambda address: rsp < bottom or bottom - _GUARD_PAGE <= address < bottom,
        )

    def _tell_left(self, rule: str, what: str, routine: int) -> None:
        name, place = self._driver_name(routine) or self.last_driver or "", self.place(routine)
        self._system.broken_rules.add(rule, name, place, f"{name} {what} by the routine at {place}")

    def left_irql(self, routine: int, irql: int) -> BugcheckRaised:
        self._tell_left("IrqlReturn", f"returns at IRQL {self._system.cpu.irql}, called at {irql},", routine)
        now, context = self._system.cpu.irql, self._system.context
        if irql:
            return BugcheckRaised(_IRQL_UNEXPECTED_VALUE, now << 16 | irql << 8, routine, 0, 0)
        if context.pid == SYSTEM_CONTEXT.pid:
            return BugcheckRaised(_WORKER_THREAD_RETURNED_AT_BAD_IRQL, routine, now, 0, 0)
        return BugcheckRaised(_IRQL_GT_ZERO_AT_SYSTEM_SERVICE, routine, now, 0, 0)

    def left_regions(self, execution: Execution) -> BugcheckRaised:
        """It returned with APCs disabled, or enabled once too often: a mutex counts as well."""
        counts = -execution.guarded_regions, -execution.critical_regions
        special, normal = (count & 0xFFFF for count in counts)
        rule = "GuardedRegions" if special else "CriticalRegions"
        self._tell_left(
            rule, "returns with a region entered that it does not leave, or the reverse,", execution.routine
        )
        if execution.what == DPC:
            return BugcheckRaised(_TIMER_OR_DPC_INVALID, _REGIONS_LEFT_BY_DPC, execution.routine, 0, normal)
        if execution.what == SYSTEM_THREAD:
            irql = self._system.cpu.irql
            return BugcheckRaised(_KERNEL_APC_PENDING_DURING_EXIT, 0, special << 16 | normal, irql)
        worker = int(execution.context.pid == SYSTEM_CONTEXT.pid)
        return BugcheckRaised(_APC_INDEX_MISMATCH, execution.routine, 0, special << 16 | normal, worker)

    def left_attached(self, execution: Execution) -> BugcheckRaised:
        """It returned, or its thread ended, in the address space of another process."""
        system = self._system
        self._tell_left("StopsWindows", "stays attached to another process", execution.routine)
        if execution.what == SYSTEM_THREAD:
            own = system.objects.process(execution.context.pid).address
            return BugcheckRaised(_INVALID_PROCESS_ATTACH_ATTEMPT, own, execution.attached_to, 1, 0)
        worker = int(execution.context.pid == SYSTEM_CONTEXT.pid)
        return BugcheckRaised(_APC_INDEX_MISMATCH, execution.routine, _ATTACHED_INDEX << 8, 0, worker)

    def die(
        self, raised: BugcheckRaised, *, pc: int, address: int | None = None, caller: int | None = None
    ) -> None:
        candidates = (address, pc) if raised.code == 0xCE else (pc, caller, address)
        names = (self._driver_name(place) for place in candidates if place is not None)
        module = next((name for name in names if name is not None), self.last_driver)
        if address is not None and module is not None:
            code, where = self._code(pc, caller)
            memoryrules.tell_null(self._system, address, module, where)
            if code != pc and not memoryrules.explains(self._system, module, where):
                what = f"hands the kernel the address 0x{address:016x}"
                memoryrules.tell_stop(self._system, raised, module, what, where)
        self.report_bugcheck(raised, module)

    def _code(self, pc: int, caller: int | None) -> tuple[int, str]:
        """Where a driver's code is, and in words: the instruction, or the call of the export that has it."""
        if self._system.module_at(pc) is not None:
            return pc, f"instruction at {self.place(pc)}"
        called, current = caller or pc, self._system.current
        if self._system.is_kernel_code(called) and current is not None:
            # A tail call: the export would return straight to the kernel, so only the routine is known.
            return current.routine, f"at the end of the routine at {self.place(current.routine)}"
        return called, f"at {self.place(called)}"

    def hang(self, reason: str, address: int, *, routine: int = 0, where: str = " at") -> NoReturn:
        """The driver's code at ``address`` never goes on.

        :param address: where the call returns to that does not.
        :param routine: where it was entered; that of the current execution if it is 0.
        :param where: :data:`INSTRUCTION` where one begins at ``address`` instead.
        """
        if self._system.is_kernel_code(address):
            # A tail call, as in _code.
            address = routine or (self._system.current.routine if self._system.current is not None else 0)
            where = _ROUTINE
        name = self._driver_name(address) or self.last_driver or "the driver"
        self._dead = DriverHang(
            f"{name} hangs{where} {self.place(address)}: it {reason}",
            address=address,
            hint="a callback has to return; look at the loop or the wait where it hangs",
        )
        raise self._dead

    def hang_in_routine(self, reason: str, routine: int) -> NoReturn:
        """The driver's routine never does what it has to."""
        self.hang(reason, routine, where=_ROUTINE)

    def _driver_name(self, address: int) -> str | None:
        driver = self._system.module_at(address)
        if driver is not None:
            return driver.module.name
        return self._system.unloaded_at(address) or self._system.pool.owner_of(address)

    def place(self, address: int) -> str:
        """``procnotify.sys+0x1234``, of a driver that was unloaded too."""
        driver = self._system.module_at(address)
        if driver is None:
            image = next(
                (i for i in reversed(self._system.unloaded) if i.base <= address < i.base + i.size), None
            )
            return f"0x{address:016x}" if image is None else f"{image.name}+0x{address - image.base:x}"
        return f"{driver.module.name}+0x{address - driver.module.base:x}"
