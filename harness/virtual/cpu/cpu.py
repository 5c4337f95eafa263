"""Executes the driver's code: calls a function and says how the call ended.

One Unicorn engine stands for all processors, because one of them executes at a time: switching processors
means another KPCR behind GS, and what stands in the middle is put aside as a context of its registers. The
CPU knows no kernel and no debugger. A call ends in
one of the :data:`Stop` values; the caller may change registers or memory and go on.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import unicorn
from unicorn import x86_const

from harness.virtual.cpu.debugregisters import (
    RESUME_FLAG,
    SINGLE_STEPPED,
    BreakpointHit,
    HardwareBreakpoints,
)
from harness.virtual.cpu.engine import CodeEngine, EngineError
from harness.virtual.cpu.instructions import ServedInstructions
from harness.virtual.cpu.kernel_image import KernelImage
from harness.virtual.cpu.machine_code import TRANSFER_SIZE, Transfer
from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.cpu.registers import TRAP_FLAG, RegisterFile
from harness.virtual.cpu.stacks import STACK_BASE, KernelStacks, Stack
from harness.virtual.cpu.stops import Exhausted, Faulted, Interrupted, IrqlLowered, Stop, Trapped
from harness.virtual.cpu.traps import Access, TrapError
from harness.virtual.cpu.watchedmemory import Accessed, WatchedMemory
from harness.virtual.windows.symbols18362 import KPCR

__all__ = ["MAX_ARGUMENTS", "Cpu", "ProcessorContext"]

MAX_ARGUMENTS: Final = 12
"""Arguments a call may pass."""

_STACK_ROOM: Final = 0x100
"""Left above the first frame: shadow space and stack arguments."""

_RING0_CODE: Final = 0x10
_RING0_DATA: Final = 0x18
_USER_DATA: Final = 0x2B
_GDT_LIMIT: Final = 0x57
_IDT_LIMIT: Final = 0xFFF
_IRETQ: Final = b"\x48\xcf"
_INTERRUPTS_ENABLED: Final = 0x202
_MXCSR: Final = 0x1F80

_RETURNED: Final = bytes(8)
"""The transfer block's TARGET after the call gate was left through its end."""
_ENTERED: Final = b"\1" + bytes(7)
"""What it may be while a call has not returned."""
_ARGUMENT_WORDS: Final = struct.Struct("<6Q")
_ACCESS: Final[dict[int, tuple[Access, bool]]] = {
    unicorn.UC_MEM_READ_UNMAPPED: ("read", False),
    unicorn.UC_MEM_WRITE_UNMAPPED: ("write", False),
    unicorn.UC_MEM_FETCH_UNMAPPED: ("execute", False),
    unicorn.UC_MEM_READ_PROT: ("read", True),
    unicorn.UC_MEM_WRITE_PROT: ("write", True),
    unicorn.UC_MEM_FETCH_PROT: ("execute", True),
}
_SOFTWARE_INTERRUPT: Final = {3: 1, 0x29: 2, 0x2C: 2, 0x2D: 2}
"""Vector → length of the instruction; for these the engine's RIP is already behind it."""
_DEBUG_EXCEPTION: Final = 1
_INVALID_OPCODE: Final = 6
_CONTRIBUTORY: Final = frozenset({0, 10, 11, 12, 13})
"""Vectors of which a second one is a double fault while the first is undelivered (Intel SDM vol. 3, 6.15)."""


class ProcessorContext(NamedTuple):
    """Everything that a processor holds of what stands in the middle."""

    engine: Any
    cr2: int
    irql: int
    undelivered: bool


class Cpu:
    """Processors and their kernel stacks.

    :param image: the kernel whose gates the calls go through; mapped already.
    :param processor_blocks: address of each processor's KPCR; GDT and IDT are there already.
    """

    def __init__(
        self,
        engine: CodeEngine,
        memory: Memory,
        image: KernelImage,
        *,
        processor_blocks: Sequence[int],
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._image = image
        self._service: Callable[[int, int, int, int, int, int], int] | None = None
        self._transfer = memory.view(image.transfer, TRANSFER_SIZE)
        self._stop: Stop | None = None
        self._running = False
        self._wanted: int | None = None
        """An address of a page that is to be brought in before the code goes on."""
        self.registers = RegisterFile(engine)
        self.breakpoints = HardwareBreakpoints(
            engine, memory, self._stop_at_breakpoint, processors=len(processor_blocks)
        )
        self._blocks = processor_blocks
        self.stacks = KernelStacks(memory, len(processor_blocks))
        self.watch_irql: Callable[[int], bool] = lambda _level: False
        """Asked when code lowers the IRQL itself: whether to stop there."""
        self.watched = WatchedMemory(engine, memory, self._stop_for)
        self.instructions = ServedInstructions(engine, memory, self.registers, self._on_irql_lowered)
        self.instructions.processor = lambda: self.processor
        self._enter_ring0()
        self._blank = engine.context_save()
        self._undelivered = False
        engine.hook_add(
            unicorn.UC_HOOK_CODE, self._on_service, begin=image.service_trap, end=image.service_trap
        )
        engine.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid_memory)

    def connect(self, service: Callable[[int, int, int, int, int, int], int]) -> None:
        """Serve exports: ``service`` gets an export's number, its RSP and its four register arguments;
        its result goes to RAX. A :class:`~harness.virtual.cpu.traps.TrapError` ends the call."""
        self._service = service

    @property
    def irql(self) -> int:
        """CR8, which is the IRQL."""
        return self.registers.cr8

    @irql.setter
    def irql(self, value: int) -> None:
        self.registers.cr8 = value

    @property
    def processor(self) -> int:
        """The one that executes."""
        return self.breakpoints.processor

    def all_registers(self) -> dict[str, int]:
        """Every register of the processor that executes, the debug registers too."""
        return {**self.registers.all(), **self.breakpoints.registers.all()}

    def switch(self, processor: int) -> None:
        """Go on as ``processor``."""
        if processor != self.processor:
            self.registers["gs_base"] = self._blocks[processor]
            self.breakpoints.processor = processor

    def save(self) -> ProcessorContext:
        """What the processor holds, between :meth:`call` or :meth:`resume` and the next one."""
        return ProcessorContext(self._engine.context_save(), self.registers.cr2, self.irql, self._undelivered)

    def restore(self, saved: ProcessorContext) -> None:
        """Put back what :meth:`save` gave, on the current processor."""
        self._engine.context_restore(saved.engine)
        self.registers.cr2, self.irql, self._undelivered = saved.cr2, saved.irql, saved.undelivered
        self.registers["gs_base"] = self._blocks[self.processor]
        self._transfer[: len(_ENTERED)] = _ENTERED  # others may have returned meanwhile

    def return_from_export(self, result: int) -> None:
        """An export that trapped is done: its caller goes on with ``result``."""
        registers = self.registers
        rsp = registers["rsp"]
        registers["rip"] = int.from_bytes(self._memory.read(rsp, 8), "little")
        registers["rsp"] = rsp + 8
        registers["rax"] = result & 0xFFFF_FFFF_FFFF_FFFF

    def call(self, function: int, arguments: Sequence[int], *, stack: Stack, budget: int) -> Stop | None:
        """Call ``function`` on ``stack`` with up to :data:`MAX_ARGUMENTS` arguments.

        :param budget: instructions it may execute.
        :returns: None when it returned (:attr:`result` is RAX), else why it stopped: :meth:`resume` goes on.
        """
        self._memory.settle()
        self._memory.enter(function)
        top = stack.high - _STACK_ROOM
        padded = (*arguments, 0, 0, 0, 0)
        _ARGUMENT_WORDS.pack_into(self._transfer, Transfer.TARGET, function, top, *padded[:4])
        for index, argument in enumerate(arguments[4:MAX_ARGUMENTS]):
            self._memory.put_u64(top + 0x20 + 8 * index, argument)
        return self._run(self._image.call_gate, budget)

    def resume(self, *, budget: int) -> Stop | None:
        """Go on where the registers say, after :meth:`call` or :meth:`resume` stopped."""
        if self._undelivered:
            self._drop_undelivered_fault()
        pc, eflags = self.registers["rip"], self.registers["eflags"]
        self._memory.enter(pc)
        if eflags & RESUME_FLAG:
            self.registers["eflags"] = eflags & ~RESUME_FLAG
            self.breakpoints.passed = pc
        return self._run(pc, budget)

    def step_past(self, access: Accessed, *, stale: bool) -> Stop | None:
        """Execute the instruction before which the code stopped.

        :param stale: it had read what was there, and only goes on now.
        :returns: None when it was executed, else why it stopped.
        """
        self.breakpoints.passed = pc = self.registers["rip"]
        with self.watched.unasked(access if stale else None):
            stop = self._run(pc, 1)
        return None if isinstance(stop, Exhausted) else stop

    @property
    def result(self) -> int:
        """RAX of the call that returned last."""
        return int.from_bytes(self._transfer[Transfer.RESULT : Transfer.RESULT + 8], "little")

    @property
    def running(self) -> bool:
        """Inside a call: an export is being served."""
        return self._running

    def request_break_in(self) -> None:
        """The next export to return passes through DbgBreakPointWithStatus."""
        self._transfer[Transfer.BREAK_IN] = 1

    def _enter_ring0(self) -> None:
        """Load real selectors: the emulator starts with null ones, and only IRETQ loads CS and SS
        together."""
        block = self._blocks[0]
        registers = self.registers
        gdt, idt = (self._memory.u64(block + KPCR.offset(field)) for field in ("GdtBase", "IdtBase"))
        self._engine.reg_write(x86_const.UC_X86_REG_GDTR, (0, gdt, _GDT_LIMIT, 0))
        self._engine.reg_write(x86_const.UC_X86_REG_IDTR, (0, idt, _IDT_LIMIT, 0))
        start = STACK_BASE - 0x10 * PAGE
        self._memory.map(start, PAGE, "rx", content=_IRETQ)
        top = self.stacks.own[0].high - _STACK_ROOM
        frame = (self._image.call_gate, _RING0_CODE, _INTERRUPTS_ENABLED, top, _RING0_DATA)
        for index, word in enumerate(frame):
            self._memory.put_u64(top - 0x28 + 8 * index, word)
        registers["rsp"] = top - 0x28
        # Counted like all code: the emulator forgets what it translated where it is to count no more.
        self._engine.emu_start(start, self._image.behind_call, 0, 1)
        self._memory.unmap(start)
        registers["ds"] = registers["es"] = _USER_DATA
        registers["mxcsr"] = _MXCSR
        registers["gs_base"] = block

    def _run(self, pc: int, budget: int) -> Stop | None:
        self._stop = self._wanted = None
        self._running = True
        try:
            self._execute(pc, budget)
            while self._brought_in():
                self.breakpoints.passed = pc = self.registers["rip"]  # what was to stop before it has
                self._execute(pc, budget)
        finally:
            self._running = False
        if self._stopped():
            return self._settle()
        if self._transfer[:8] == _RETURNED:
            return None
        pc = self.registers["rip"]
        return Exhausted(pc, pc)

    def _brought_in(self) -> bool:
        """The code stopped for a page that was paged out, which is there now."""
        wanted, self._wanted = self._wanted, None
        return wanted is not None and self._memory.show(wanted, write=True)

    def _execute(self, pc: int, budget: int) -> None:
        try:
            self._engine.emu_start(pc, self._image.behind_call, 0, budget)
        except EngineError as error:
            if not self._stopped() and self._wanted is None:
                if error.errno != unicorn.UC_ERR_INSN_INVALID:
                    raise
                self._stop = Interrupted(_INVALID_OPCODE, 0)

    def _stopped(self) -> bool:
        return self._stop is not None

    def _settle(self) -> Stop | None:
        """Complete what a hook could not know: where the processor stands."""
        stop = self._stop
        if isinstance(stop, Interrupted):
            return self._settle_interrupt(stop)
        if isinstance(stop, Faulted):
            self.registers.cr2 = stop.address
            return stop._replace(pc=self.registers["rip"])
        if isinstance(stop, Accessed):
            self.watched.undo(stop)
        if isinstance(stop, BreakpointHit):
            return self._settle_breakpoint(stop)
        return stop

    def _settle_breakpoint(self, stop: BreakpointHit) -> Stop | None:
        """What an access is to stop has been stopped before it: execute the instruction."""
        breakpoints = self.breakpoints
        if stop.access is not None:
            self.watched.undo(stop.access)
            breakpoints.muted = True
            after = self.step_past(stop.access, stale=False)
            breakpoints.muted = False
            if after is not None:
                return after
        breakpoints.registers.note(stop.status)
        return Interrupted(_DEBUG_EXCEPTION, self.registers["rip"])

    def _settle_interrupt(self, stop: Interrupted) -> Interrupted:
        registers = self.registers
        pc = registers["rip"] - _SOFTWARE_INTERRUPT.get(stop.vector, 0)
        registers["rip"] = pc
        self._undelivered = stop.vector in _CONTRIBUTORY
        if stop.vector == _DEBUG_EXCEPTION:
            registers["eflags"] = registers["eflags"] & ~TRAP_FLAG
            self.breakpoints.registers.note(SINGLE_STEPPED)
        return Interrupted(stop.vector, pc)

    def _drop_undelivered_fault(self) -> None:
        """The emulator delivers nothing to a handler, and would take the next fault for a second one: put
        back what it knew before it executed anything, except the registers."""
        values = self.registers.all()
        self._engine.context_restore(self._blank)
        self.registers.update(values)
        self._undelivered = False

    def look_again(self, stop: Exhausted) -> Exhausted:
        """A second sample a little later, of code that is not to go on: a loop shows as two places."""
        with contextlib.suppress(EngineError):
            self._engine.emu_start(stop.pc, self._image.behind_call, 0, 997)
        return Exhausted(stop.pc, self.registers["rip"])

    def _on_service(self, _uc: object, _address: int, _size: int, _data: object) -> None:
        number, rsp, rcx, rdx, r8, r9 = _ARGUMENT_WORDS.unpack_from(self._transfer, Transfer.SERVICE)
        serve = self._service
        if serve is None:
            raise RuntimeError("an export was called before the exports were connected")
        try:
            result = serve(number, rsp, rcx, rdx, r8, r9)
        except TrapError as reason:
            caller = int.from_bytes(self._memory.read(rsp, 8), "little")
            self._stop_for(Trapped(reason, number, caller))
        else:
            struct.pack_into("<Q", self._transfer, Transfer.SERVICE_RESULT, result & 0xFFFF_FFFF_FFFF_FFFF)

    def _stop_for(self, stop: Stop) -> None:
        self._stop = stop
        self._engine.emu_stop()

    def _stop_at_breakpoint(self, hit: BreakpointHit) -> None:
        if self._stop is None:  # else others go first, and it is hit when the instruction is executed
            self._stop_for(hit)

    def _on_interrupt(self, _uc: object, vector: int, _data: object) -> None:
        self._stop_for(Interrupted(vector, 0))

    def _on_invalid_memory(
        self, _uc: object, kind: int, address: int, _size: int, _value: int, _data: object
    ) -> bool:
        access, forbidden = _ACCESS[kind]
        present = forbidden and self._memory.is_present(address)  # else it is a spare region
        if self._memory.is_paged_out(address):
            if self._memory.may_page_in():
                # Not from here: the engine does not take it that code changes which it is about to execute.
                if (
                    not self._stopped()
                ):  # else others go first, and it comes in when the instruction is executed
                    self._wanted = address
                    self._engine.emu_stop()
                return False
        elif access != "execute" and not present and self._memory.show_page(address, access == "write"):
            return True
        self._stop = Faulted(address & 0xFFFF_FFFF_FFFF_FFFF, access, present, 0)
        return False

    def _on_irql_lowered(self, level: int) -> None:
        if self.watch_irql(level):
            self._stop_for(IrqlLowered(level))
