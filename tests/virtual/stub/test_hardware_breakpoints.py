"""Hardware breakpoints, set as DbgEng sets them: in each processor's special registers, then in Continue2."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Final

from kd_debugger import Dialog, MemoryDebugger, go, read_u64

from harness.kd.contexts import Amd64Context, Amd64ControlReport, Amd64SpecialRegisters
from harness.kd.manipulate import (
    Continue2,
    GetContext,
    Manipulate,
    ReadControlSpace,
    SetContext,
    WriteControlSpace,
)
from harness.kd.statechange import Exception64, LoadSymbols, StateChange
from harness.kd.status import STATUS_SINGLE_STEP

SPECIAL_REGISTERS: Final = 2
DRIVER_UNLOAD: Final = 0x68
"""Offset of DRIVER_OBJECT.DriverUnload, which DriverEntry writes."""
RESUME_FLAG: Final = 0x1_0000
EXECUTE, WRITE_8, READ_WRITE_8, WRITE_1 = 0x0401, 0x0009_0401, 0x000B_0401, 0x0001_0401
"""DR7 with the first breakpoint enabled."""


def set_first(address: int, *processors: int) -> Dialog:
    """The address of the first breakpoint; it is enabled on all processors when the target goes on."""
    for number in processors or (0, 1):
        reply = yield ReadControlSpace(processor=number, address=SPECIAL_REGISTERS, count=0xE0)
        special = dataclasses.replace(Amd64SpecialRegisters.decode(reply.data), kernel_dr0=address)
        data = special.encode()
        yield WriteControlSpace(processor=number, address=SPECIAL_REGISTERS, count=len(data), data=data)


def context_of(state: StateChange) -> Generator[Manipulate, Manipulate, Amd64Context]:
    return Amd64Context.decode((yield GetContext(processor=state.processor)).data)


def go_past(state: StateChange, dr7: int) -> Dialog:
    """Let the target execute the instruction that it stands at, breakpoint or not."""
    context = yield from context_of(state)
    changed = dataclasses.replace(context, eflags=context.eflags | RESUME_FLAG)
    yield SetContext(processor=state.processor, data=changed.encode())
    yield Continue2(dr7=dr7)


def dr6_of(state: StateChange) -> int:
    return Amd64ControlReport.decode(state.control_report).dr6 & 0xF00F


def driver_unload(context: Amd64Context) -> int:
    return context.rcx + DRIVER_UNLOAD


class Watcher(MemoryDebugger):
    """Stops at DriverEntry, and then at an access to what DriverEntry sets.

    :param dr7: for that access; 0 for none.
    :param where: to what, by the registers at DriverEntry; by default to DRIVER_OBJECT.DriverUnload.
    """

    def __init__(self, dr7: int, where: Callable[[Amd64Context], int] = driver_unload) -> None:
        super().__init__(self.script)
        self.dr7 = dr7
        self.where = where
        self.entry = self.unload = self.watched = 0
        self.hits: list[tuple[int, int]] = []
        """Program counter, and what lies at the address then."""

    def script(self, state: StateChange) -> Dialog:
        if isinstance(state, LoadSymbols) and not state.unload:
            modules = self.target._kernel.modules
            self.entry = next(module.entry_point for module in modules if module.base == state.base)
            yield from set_first(self.entry)
            yield Continue2(dr7=EXECUTE)
        elif isinstance(state, Exception64) and state.exception_code == STATUS_SINGLE_STEP:
            assert dr6_of(state) == 1
            value = yield from read_u64(self.watched)
            self.hits.append((state.program_counter, value))
            if not self.watched:
                self.watched = self.where((yield from context_of(state)))
                yield from set_first(self.watched)
                yield from go_past(state, self.dr7 | 0x400)
            else:
                yield Continue2(dr7=self.dr7)
        else:
            yield from go(state)

    def load(self, driver: bytes) -> None:
        self.target = self.attached()
        assert self.target.load_driver("procnotify", self.target.put("procnotify.sys", driver)) == 0
        self.unload = int.from_bytes(self.target._kernel.memory.read(self.watched, 8), "little")


def test_code_stops_before_the_instruction_and_goes_on_with_the_resume_flag(procnotify: bytes) -> None:
    debugger = Watcher(0)
    debugger.load(procnotify)
    assert [pc for pc, _ in debugger.hits] == [debugger.entry]


def test_without_the_resume_flag_it_stops_there_again(procnotify: bytes) -> None:
    hits: list[int] = []

    def script(state: StateChange) -> Dialog:
        if isinstance(state, LoadSymbols) and not state.unload:
            modules = target._kernel.modules
            yield from set_first(next(module.entry_point for module in modules if module.base == state.base))
            yield Continue2(dr7=EXECUTE)
        elif isinstance(state, Exception64) and state.exception_code == STATUS_SINGLE_STEP and len(hits) < 3:
            hits.append(state.program_counter)
            yield Continue2(dr7=EXECUTE)
        else:
            yield from go(state)  # a debugger that continues says what DR7 is to be: nothing is enabled

    debugger = MemoryDebugger(script)
    target = debugger.attached()
    assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
    assert len(hits) == 3 and len(set(hits)) == 1


def test_code_stops_behind_the_instruction_that_has_written(procnotify: bytes) -> None:
    debugger = Watcher(WRITE_8)
    debugger.load(procnotify)
    entry, written = debugger.hits
    assert entry == (debugger.entry, 0)
    assert written[1] == debugger.unload != 0
    assert debugger.entry < written[0]


def test_a_byte_in_the_middle_of_what_is_written_is_enough(procnotify: bytes) -> None:
    whole, byte = Watcher(WRITE_8), Watcher(WRITE_1, lambda context: driver_unload(context) + 3)
    whole.load(procnotify)
    byte.load(procnotify)
    assert [pc for pc, _ in whole.hits] == [pc for pc, _ in byte.hits]


def test_a_read_stops_where_reads_are_watched(procnotify: bytes) -> None:
    writes, both = (Watcher(dr7, lambda context: context.rsp) for dr7 in (WRITE_8, READ_WRITE_8))
    for debugger in (writes, both):
        debugger.load(procnotify)
    assert len(writes.hits) == 1
    pc, return_address = both.hits[1]
    assert pc == return_address  # behind the instruction that read it: the return


def test_a_step_is_told_from_a_breakpoint() -> None:
    def script(state: StateChange) -> Dialog:
        yield from go(state, trace=len(debugger.stops) == 1)

    debugger = MemoryDebugger(script)
    debugger.attached()
    break_in, step = debugger.stops[:2]
    assert isinstance(step, Exception64)
    assert (dr6_of(break_in), step.exception_code, dr6_of(step)) == (0, STATUS_SINGLE_STEP, 1 << 14)


def test_registers_of_one_processor_stop_that_one_alone(procnotify: bytes) -> None:
    stopped: list[int] = []

    def script(state: StateChange) -> Dialog:
        if isinstance(state, LoadSymbols) and not state.unload:
            modules = target._kernel.modules
            entry = next(module.entry_point for module in modules if module.base == state.base)
            yield from set_first(entry, 1 - state.processor)
            yield Continue2(dr7=EXECUTE)
        else:
            if isinstance(state, Exception64) and state.exception_code == STATUS_SINGLE_STEP:
                stopped.append(state.processor)
            yield from go(state)

    debugger = MemoryDebugger(script)
    target = debugger.attached()
    assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
    assert stopped == []


def test_a_target_that_is_watched_prints_what_it_prints_unwatched(procnotify: bytes) -> None:
    watched, unwatched = Watcher(WRITE_8), MemoryDebugger()
    watched.load(procnotify)
    target = unwatched.attached()
    assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
    assert len(watched.hits) == 2
    assert watched.prints == unwatched.prints != []
