"""The target as a debugger sees it while it stands still: registers, memory, lists, clocks.

Implements :class:`harness.virtual.stub.requests.HaltedTarget`. Lists and clocks are written into the target's
memory when the debugger first looks at memory in a stop; most stops (a driver load that nobody inspects)
never pay for that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from harness.kd.contexts import MACHINE_AMD64
from harness.kd.manipulate import GetVersion64
from harness.virtual.interfaces import KernelView
from harness.virtual.stub.breakpoints import BreakpointTable
from harness.virtual.stub.lists import ModuleList, ObjectLists, ProcessFacts
from harness.virtual.stub.paging import PhysicalMemory
from harness.virtual.stub.processorstate import (
    CODE_BYTES,
    ProcessorState,
    context_of,
    control_report,
    registers_of,
    special_registers_of,
)
from harness.virtual.stub.structs import DIRECTORY_TABLE_BASE, KernelData
from harness.virtual.windows.symbols18362 import BUILD_NUMBER, KPCR

__all__ = ["DebuggerView", "SystemFacts", "Times"]

_MODULE_POOL: Final = 0xFFFFA20000000000
"""Where KLDR_DATA_TABLE_ENTRY structures lie (paged pool on Windows)."""
_TRAP_FLAG: Final = 0x100
_FREEZE_SYMBOL: Final = "DbgBreakPointWithStatus"
"""The other processors wait behind its first instruction."""
_FRAME: Final = 0x200
"""Bytes of stack above a frozen processor's RSP, so that a debugger can read there."""
_GENERAL: Final = ("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))
_FREE_BUILD: Final = 0x000F
_PROTOCOL: Final = 6
_SECONDARY: Final = 2
_MAX_PACKET_TYPE, _MAX_STATE_CHANGE, _MAX_MANIPULATE = 12, 3, 0x31
"""What Windows 8.1 and 10 say of their packet, state change and manipulate numbers."""

_EFER, _STAR, _LSTAR, _CSTAR, _SFMASK = 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084
_FS_BASE, _GS_BASE, _KERNEL_GS_BASE, _PAT = 0xC0000100, 0xC0000101, 0xC0000102, 0x277
_EFER_OF_WINDOWS: Final = 0xD01
"""SCE, LME, LMA, NXE."""
_STAR_OF_WINDOWS: Final = 0x0023001000000000


class Times(NamedTuple):
    """What the clocks show, in 100 ns units."""

    interrupt_time: int
    """Since boot."""
    system_time: int
    """FILETIME."""


class SystemFacts(Protocol):
    """The NT model, as far as the debugger's structures show it."""

    def processes(self) -> Sequence[ProcessFacts]:
        """Every process, oldest first."""

    def shown_times(self) -> Times:
        """What a debugger is to see in KUSER_SHARED_DATA."""

    def true_times(self) -> Times:
        """What the driver is to see there."""


class DebuggerView:
    """One boot's view; :meth:`capture` at each stop, :meth:`release` before the target goes on."""

    def __init__(self, kernel: KernelView, facts: SystemFacts) -> None:
        self._kernel = kernel
        self._facts = facts
        self.memory = kernel.memory
        self.data = KernelData(kernel)
        self.breakpoints = BreakpointTable(kernel.memory)
        self.physical = PhysicalMemory(
            kernel.memory, kernel.memory.ranges, directory_table_base=DIRECTORY_TABLE_BASE
        )
        self.states: list[ProcessorState] = []
        self.processor = 0
        self._running = 0
        self.msrs: dict[int, int] = {}
        self._modules = ModuleList(kernel.memory, self.data.ps_loaded_module_list, _MODULE_POOL)
        self._objects = ObjectLists(
            kernel.memory, self.data.ps_active_process_head, directory_table_base=DIRECTORY_TABLE_BASE
        )
        self._fresh = False

    def capture(self, cpu: int) -> None:
        """The target stops, running on ``cpu``: take every processor's state."""
        registers = self._kernel.registers()
        self.processor = cpu
        self._running = cpu
        self.states = []
        for number in range(self._kernel.processors):
            own = registers if number == cpu else self._frozen(registers, number)
            self.states.append(
                ProcessorState(
                    context=context_of(own),
                    special=special_registers_of(own),
                    thread=self._current_thread(number),
                )
            )
        self.msrs = {
            _EFER: _EFER_OF_WINDOWS,
            _STAR: _STAR_OF_WINDOWS,
            _LSTAR: self.data.kernel_base,
            _CSTAR: self.data.kernel_base,
            _SFMASK: 0x4700,
            _FS_BASE: 0,
            _GS_BASE: self.kpcr(cpu),
            _KERNEL_GS_BASE: 0,
            _PAT: 0x0007010600070106,
        }
        self._fresh = False

    def enter_break_point(self, status: int) -> None:
        """Show the reporting processor at nt!DbgBreakPointWithStatus(``status``), called from where it is.

        Only for a processor that never runs again: the state shown is not handed back.
        """
        state = self.states[self.processor]
        context = state.context
        frame = context.rsp - 8
        self.memory.write(frame, context.rip.to_bytes(8, "little"))
        state.context = dataclasses.replace(
            context, rip=self.data.breakpoint_with_status, rcx=status, rsp=frame
        )

    def refresh(self) -> None:
        """Write lists, clocks and processor state into memory, once in a stop."""
        if self._fresh:
            return
        self._fresh = True
        self._modules.refresh(self._kernel.modules)
        self._objects.refresh(self._facts.processes())
        self._write_times(self._facts.shown_times())
        for number, state in enumerate(self.states):
            self.data.write_processor(
                number,
                special_registers=state.special.encode(),
                context=state.context.encode(),
            )
        self.physical.refresh()

    def release(self, *, trace: bool) -> None:
        """The target goes on: hand changed registers back, and show the driver its own clock again.

        :param trace: stop after one instruction.
        """
        state = self.states[self._running]
        if state.changed or trace:
            changes = registers_of(state.context, state.special)
            if trace:
                changes["eflags"] |= _TRAP_FLAG
            self._kernel.set_registers(changes)
        if self._fresh:
            self._write_times(self._facts.true_times())
            self._fresh = False

    def code(self) -> bytes:
        """The bytes at the program counter of the processor that reports, at most 16."""
        return self.memory.read(self.states[self.processor].context.rip, CODE_BYTES)

    def report(self) -> dict[str, Any]:
        """The fields that every state change has."""
        state = self.states[self.processor]
        self.breakpoints.remove_range(state.context.rip, CODE_BYTES)
        return {
            "processor_level": 6,
            "processor": self.processor,
            "number_processors": self._kernel.processors,
            "thread": state.thread,
            "program_counter": state.context.rip,
            "control_report": control_report(state, self.code()),
        }

    # What the requests ask (HaltedTarget).

    def version(self) -> GetVersion64:
        """DBGKD_GET_VERSION64 of the profile."""
        flags = GetVersion64.FLAG_DATA_LIST | GetVersion64.FLAG_PTR64
        if self._kernel.processors > 1:
            flags |= GetVersion64.FLAG_MP
        return GetVersion64(
            major_version=_FREE_BUILD,
            minor_version=BUILD_NUMBER,
            protocol_version=_PROTOCOL,
            secondary_version=_SECONDARY,
            flags=flags,
            machine_type=MACHINE_AMD64,
            max_packet_type=_MAX_PACKET_TYPE,
            max_state_change=_MAX_STATE_CHANGE,
            max_manipulate=_MAX_MANIPULATE,
            kernel_base=self.data.kernel_base,
            ps_loaded_module_list=self.data.ps_loaded_module_list,
            debugger_data_list=self.data.debugger_data_list,
        )

    def kpcr(self, processor: int) -> int:
        """Address of that processor's KPCR."""
        return self.data.processor_blocks[processor]

    def kprcb(self, processor: int) -> int:
        """Address of that processor's KPRCB."""
        return self.data.kprcb(processor)

    def _current_thread(self, cpu: int) -> int:
        at = self.kpcr(cpu) + KPCR.offset("Prcb.CurrentThread")
        return int.from_bytes(self.memory.read(at, 8), "little")

    def _frozen(self, registers: dict[str, int], cpu: int) -> dict[str, int]:
        """Registers of a processor that does not report: it stands still in the kernel, on its own stack."""
        return {
            **registers,
            **dict.fromkeys(_GENERAL, 0),
            "rip": self._kernel.symbol(_FREEZE_SYMBOL) + 1,
            "rsp": self._kernel.stack(cpu)[1] - _FRAME,
            "gs_base": self.kpcr(cpu),
        }

    def _write_times(self, times: Times) -> None:
        self.data.write_times(interrupt_time=times.interrupt_time, system_time=times.system_time)
