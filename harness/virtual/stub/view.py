"""The target as a debugger sees it while it stands still: registers, memory, clocks.

Implements :class:`harness.virtual.stub.halted.HaltedTarget`. Structures are the kernel's; laid over them are
only the debugger's clocks and what a frozen processor leaves in its KPRCB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from harness.kd.contexts import MACHINE_AMD64
from harness.kd.manipulate import GetVersion64
from harness.virtual.clock import TSC_PER_UNIT
from harness.virtual.cpu.registers import SYSTEM_REGISTERS
from harness.virtual.interfaces import KernelView
from harness.virtual.kernel.structures.shareddata import KI_USER_SHARED_DATA, clock_fields
from harness.virtual.stub.breakpoints import BreakpointTable
from harness.virtual.stub.paging import PhysicalMemory
from harness.virtual.stub.processorstate import (
    CODE_BYTES,
    ProcessorState,
    context_of,
    control_report,
    debug_registers_of,
    registers_of,
    special_registers_of,
)
from harness.virtual.stub.shown import Patch, ShownMemory
from harness.virtual.windows.symbols18362 import BUILD_NUMBER, KPCR, KPRCB_OFFSET

__all__ = ["DebuggerView", "Times"]

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

_TSC, _APIC_BASE = 0x10, 0x1B
_APIC_ENABLED, _BOOT_PROCESSOR = 0xFEE0_0800, 0x100
_EFER, _STAR, _LSTAR, _CSTAR, _SFMASK = 0xC0000080, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084
_FS_BASE, _GS_BASE, _KERNEL_GS_BASE, _PAT = 0xC0000100, 0xC0000101, 0xC0000102, 0x277
_EFER_OF_WINDOWS: Final = 0xD01
"""SCE, LME, LMA, NXE."""
_STAR_OF_WINDOWS: Final = 0x0023001000000000


_SPECIAL_REGISTERS: Final = KPCR.offset("Prcb.ProcessorState.SpecialRegisters")
_CONTEXT_FRAME: Final = KPCR.offset("Prcb.ProcessorState.ContextFrame")


class Times(NamedTuple):
    """What the clocks show, in 100 ns units."""

    interrupt_time: int
    """Since boot."""
    system_time: int
    """FILETIME."""


class DebuggerView:
    """One boot's view; :meth:`capture` at each stop, :meth:`release` before the target goes on.

    :param shown_times: what a debugger is to see in KUSER_SHARED_DATA; asked once in a stop.
    """

    def __init__(self, kernel: KernelView, shown_times: Callable[[], Times]) -> None:
        self._kernel = kernel
        self._shown_times = shown_times
        self.memory = ShownMemory(kernel.memory, self._patches)
        self.breakpoints = BreakpointTable(kernel.memory)
        self.physical = PhysicalMemory(
            self.memory, kernel.memory.ranges, directory_table_base=SYSTEM_REGISTERS["cr3"]
        )
        self.breakpoint_with_status = kernel.symbol("DbgBreakPointWithStatus")
        self.states: list[ProcessorState] = []
        self.processor = 0
        self._running = 0
        self._msrs: list[dict[int, int]] = []

    def capture(self, cpu: int) -> None:
        """The target stops, running on ``cpu``: take every processor's state."""
        registers = self._kernel.registers()
        self.processor = cpu
        self._running = cpu
        self.states = []
        for number in range(self._kernel.processors):
            own = registers if number == cpu else self._frozen(registers, number)
            own = {**own, **self._kernel.debug_registers(number)}
            self.states.append(
                ProcessorState(
                    context=context_of(own),
                    special=special_registers_of(own),
                    thread=self._current_thread(number),
                )
            )
        self._msrs = [self._model_specific(number) for number in range(self._kernel.processors)]
        self.memory.renew()

    def enter_break_point(self, status: int) -> None:
        """Show the reporting processor at nt!DbgBreakPointWithStatus(``status``), called from where it is.

        Only for a processor that never runs again: the state shown is not handed back.
        """
        state = self.states[self.processor]
        context = state.context
        frame = context.rsp - 8
        self.memory.write(frame, context.rip.to_bytes(8, "little"))
        state.context = dataclasses.replace(context, rip=self.breakpoint_with_status, rcx=status, rsp=frame)

    def release(self, *, trace: bool, dr7: int | None) -> None:
        """The target goes on: hand changed registers back.

        :param trace: stop after one instruction.
        :param dr7: set on every processor, where DR6 is cleared then; None: as the registers are.
        """
        for number, state in enumerate(self.states):
            if dr7 is not None:
                state.special = dataclasses.replace(state.special, kernel_dr6=0, kernel_dr7=dr7)
            if state.changed or dr7 is not None:
                self._kernel.set_debug_registers(number, debug_registers_of(state.special))
        state = self.states[self._running]
        if state.changed or trace:
            changes = registers_of(state.context, state.special)
            if trace:
                changes["eflags"] |= _TRAP_FLAG
            self._kernel.set_registers(changes)

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

    @property
    def msrs(self) -> dict[int, int]:
        """Model specific registers of the processor that reports, by number."""
        return self._msrs[self.processor]

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
            kernel_base=self._kernel.kernel_base,
            ps_loaded_module_list=self._kernel.symbol("PsLoadedModuleList"),
            debugger_data_list=self._kernel.symbol("KdpDebuggerDataListHead"),
        )

    def kpcr(self, processor: int) -> int:
        """Address of that processor's KPCR."""
        return self._kernel.processor_block(processor)

    def kprcb(self, processor: int) -> int:
        """Address of that processor's KPRCB."""
        return self._kernel.processor_block(processor) + KPRCB_OFFSET

    def _model_specific(self, cpu: int) -> dict[int, int]:
        return {
            _TSC: self._shown_times().interrupt_time * TSC_PER_UNIT,
            _APIC_BASE: _APIC_ENABLED | (0 if cpu else _BOOT_PROCESSOR),
            _EFER: _EFER_OF_WINDOWS,
            _STAR: _STAR_OF_WINDOWS,
            _LSTAR: self._kernel.kernel_base,
            _CSTAR: self._kernel.kernel_base,
            _SFMASK: 0x4700,
            _FS_BASE: 0,
            _GS_BASE: self.kpcr(cpu),
            _KERNEL_GS_BASE: 0,
            _PAT: 0x0007010600070106,
        }

    def _current_thread(self, cpu: int) -> int:
        at = self.kpcr(cpu) + KPCR.offset("Prcb.CurrentThread")
        return int.from_bytes(self._kernel.memory.read(at, 8), "little")

    def _patches(self) -> Iterator[Patch]:
        for offset, value in clock_fields(*self._shown_times()):
            yield Patch(KI_USER_SHARED_DATA + offset, value)
        for number, state in enumerate(self.states):
            block = self.kpcr(number)
            yield Patch(block + _SPECIAL_REGISTERS, state.special.encode())
            yield Patch(block + _CONTEXT_FRAME, state.context.encode())

    def _frozen(self, registers: dict[str, int], cpu: int) -> dict[str, int]:
        """Registers of a processor that does not report: it stands still in the kernel, on its own stack."""
        return {
            **registers,
            **dict.fromkeys(_GENERAL, 0),
            "rip": self._kernel.symbol(_FREEZE_SYMBOL) + 1,
            "rsp": self._kernel.stack(cpu)[1] - _FRAME,
            "gs_base": self.kpcr(cpu),
        }
