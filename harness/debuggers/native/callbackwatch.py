"""Callbacks at breakpoints: the exports that register them, then the routines that were registered.

:mod:`harness.breakpoints` decides; here a halted target is asked and told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from harness.breakpoints.callframe import CallFrame
from harness.breakpoints.clientid import loaded_field
from harness.breakpoints.debugregisters import ADDRESSES, DR7_OFF, RESUME_FLAG, place_of
from harness.breakpoints.exports import ExportTable
from harness.breakpoints.plan import BreakpointPlan, Meeting, StopAt
from harness.breakpoints.registrations import REGISTRATIONS, RegisteringExport, registered_routines
from harness.breakpoints.seen import NO_EVENT, NO_ROOM, CallbackSeen, ClientId, RoutineRegistered, called_with
from harness.breakpoints.targetreader import TargetReader, UnreadableMemory
from harness.debuggers.base import Module
from harness.debuggers.images import LoadedImages
from harness.debuggers.native.breakpoints import Breakpoints
from harness.debuggers.native.registers import Registers
from harness.debuggers.native.targetmemory import REQUEST_SECONDS, TargetMemory
from harness.errors import RigError, UsageError
from harness.kd.contexts import MACHINE_AMD64, MACHINE_I386, Amd64SpecialRegisters, Context
from harness.kd.manipulate import GetVersion64, Manipulate, ReadControlSpace, WriteControlSpace
from harness.kd.statechange import Exception64, LoadSymbols, StateChange

__all__ = ["CallbackWatch", "Seen"]

Seen = CallbackSeen | RoutineRegistered

_CR8_END: Final = 0xA8
"""Bytes of KSPECIAL_REGISTERS up to CR8, the IRQL."""
_SPECIAL_REGISTERS: Final = 2


class _Routine(NamedTuple):
    export: RegisteringExport
    driver: str
    offset: int
    base: int
    """Of the image that holds it; 0: none does."""


class CallbackWatch:
    """The watch on one boot of a target, which is halted whenever this is used.

    :param earlier: the images that were loaded before the watch began.
    """

    def __init__(
        self,
        ask: Callable[[Manipulate, float], Manipulate],
        version: GetVersion64,
        memory: TargetMemory,
        registers: Registers,
        earlier: LoadedImages,
    ) -> None:
        place = place_of(version.machine_type)
        if place is None:
            raise UsageError(
                f"callbacks cannot be seen at breakpoints on a target of machine type"
                f" 0x{version.machine_type:x}",
                hint="x64 and x86 targets are known; leave out --witness breakpoint",
            )
        self._place = place
        self._ask = ask
        self._machine = version.machine_type
        self._kernel_base = version.kernel_base
        self._memory = memory
        self._reader = TargetReader(memory.read, 4 if version.machine_type == MACHINE_I386 else 8)
        self._registers = registers
        self._earlier = earlier
        self._images: dict[int, Module] = {}
        """Those that were loaded since, by base."""
        self._planted = Breakpoints(ask, memory)
        self._plan = BreakpointPlan()
        self._exports: dict[int, RegisteringExport] = {}
        self._routines: dict[int, _Routine] = {}
        self._client_id: tuple[int, int] | None = None
        """Offsets of the PID and the TID in a thread object."""
        self._processors = 0
        """So many have the following in their debug registers."""
        self._addresses: tuple[int, ...] = (0,) * ADDRESSES
        self._dr7 = DR7_OFF
        self._context: Context | None = None
        """The registers at the last stop, where they were read."""
        self.over = False
        """It was cleared: images may come and go unseen."""
        self.armed = False
        """The exports are watched."""

    def arm(self) -> None:
        """Watch the exports that register callbacks.

        :raises RigError: the kernel's exports cannot be read, or none of them is there.
        """
        table = ExportTable(self._memory.read, self._kernel_base)
        for export in REGISTRATIONS:
            if (address := table.find(export.name)) is not None:
                address = self._memory.canonical(address)
                self._exports[address] = export
                self._plan.add(address, often=False)
        if not self._exports:
            raise RigError("the target's kernel exports nothing that registers callbacks")
        fields = []
        for name in ("PsGetThreadProcessId", "PsGetThreadId"):
            function = table.find(name)
            if function is not None:
                fields.append(loaded_field(self._memory.read, function, self._machine))
        match fields:
            case [int() as pid, int() as tid]:
                self._client_id = (pid, tid)
        self.armed = True

    def clear(self) -> None:
        """Take every breakpoint away, for good: what is still reported of them is the last."""
        self.over = True
        self._plan.clear()
        self._sync(self._processors)

    def take(self, change: StateChange) -> list[Seen] | None:
        """The target stopped: what that shows; None where the stop is not this watch's."""
        if isinstance(change, Exception64):
            return self._take_exception(change)
        self._plan.meet(None)
        return self._take_load(change) if isinstance(change, LoadSymbols) else None

    @property
    def dr7(self) -> int:
        """For Continue2, after :meth:`prepare`."""
        return self._plan.dr7

    @property
    def step(self) -> bool:
        """The processor that stopped is to execute one instruction and stop again."""
        return self._plan.way_on.step

    @property
    def stepping(self) -> bool:
        """A processor that was at a breakpoint of this watch will stop once more behind it."""
        return self._plan.stepping

    @property
    def stands_at_one(self) -> bool:
        """The last stop is at a breakpoint of this watch."""
        return self._plan.way_on.resume_flag

    def prepare(self, change: StateChange, *, handled: bool) -> None:
        """The target is about to go on from ``change``.

        :param handled: with a status of success, which alone sets DR7 on every processor.
        """
        if self._plan.way_on.resume_flag:
            context = self._context
            if context is None or self._registers.written:
                context = self._registers.read()
            self._registers.write(replace(context, eflags=context.eflags | RESUME_FLAG))
        self._sync(change.number_processors, dr7_follows=handled)

    # Inside

    def _take_exception(self, change: Exception64) -> list[Seen] | None:
        self._planted.reported(change)
        pc = self._memory.canonical(change.program_counter)
        context, stack_pointer = None, 0
        self._context = None
        if pc in self._plan or self._plan.was_at(pc):
            context = self._context = self._registers.read()
            stack_pointer = CallFrame(context, self._reader).stack_pointer
        match self._plan.meet(StopAt(change.thread, pc, stack_pointer, change.exception_code)):
            case Meeting.NONE:
                return None
            case Meeting.HIT if context is not None:
                return self._look(change, pc, context)
        return []

    def _look(self, change: Exception64, pc: int, context: Context) -> list[Seen]:
        frame = CallFrame(context, self._reader)
        export = self._exports.get(pc)
        if export is not None:
            with contextlib.suppress(
                UnreadableMemory
            ):  # the driver handed over rubbish: nothing is registered
                routines = registered_routines(export, frame, self._reader)
                return [self._register(export, self._memory.canonical(routine)) for routine in routines]
            return []
        routine = self._routines.get(pc)
        if routine is None or routine.export.group is None:
            return []
        kind, fields = called_with(
            routine.export.group,
            frame,
            self._reader,
            self._context_of(change.thread),
            extended=routine.export.extended,
        )
        return [
            CallbackSeen(
                kind,
                routine.driver,
                routine.offset,
                fields,
                processor=change.processor,
                time=self._interrupt_time(),
                irql=self._irql(change.processor),
            )
        ]

    def _register(self, export: RegisteringExport, address: int) -> RoutineRegistered:
        driver, base = self._image_of(address)
        offset = address - base
        if export.group is None:
            return RoutineRegistered(export.name, driver, offset, NO_EVENT)
        known = self._routines.get(address)
        if known is None and not self._plan.add(address, often=True):
            return RoutineRegistered(export.name, driver, offset, "" if self.over else NO_ROOM)
        self._routines[address] = _Routine(export, driver, offset, base)
        return RoutineRegistered(export.name, driver, offset)

    def _image_of(self, address: int) -> tuple[str, int]:
        """Name and base of the image that holds an address; empty and 0 where none does."""
        for image in self._images.values():
            if 0 <= address - image.base < image.size:
                return image.name, image.base
        place = self._earlier.place(address)
        return ("", 0) if place is None else (place.image, address - place.offset)

    def _take_load(self, change: LoadSymbols) -> list[Seen]:
        base = self._memory.canonical(change.base)
        if change.unload:
            self._images.pop(base, None)
            gone = [address for address, routine in self._routines.items() if routine.base == base]
            self._plan.remove(gone)
            for address in gone:
                del self._routines[address]
            return []
        self._images[base] = Module(change.image, base, change.size_of_image)
        if not self.armed:
            with contextlib.suppress(RigError):  # so early in its boot: at the next image
                self.arm()
        return []

    def _context_of(self, thread: int) -> ClientId | None:
        offsets = self._client_id
        if offsets is None or not thread:
            return None
        try:
            if offsets[1] == offsets[0] + self._reader.pointer_size:
                pid, tid = self._reader.words(thread + offsets[0], 2)
            else:
                pid, tid = (self._reader.words(thread + offset, 1)[0] for offset in offsets)
        except UnreadableMemory:
            return None
        return pid, tid

    def _irql(self, processor: int) -> int | None:
        if self._machine != MACHINE_AMD64:
            return None
        data = self._control_space(processor, _SPECIAL_REGISTERS, _CR8_END)
        if data is None:
            return None
        return Amd64SpecialRegisters.decode(data.ljust(Amd64SpecialRegisters.SIZE, b"\0")).cr8

    def _interrupt_time(self) -> int | None:
        try:
            return self._memory.interrupt_time()
        except UnreadableMemory:
            return None

    def _control_space(self, processor: int, address: int, count: int) -> bytes | None:
        request = ReadControlSpace(processor=processor, address=address, count=count)
        reply = self._ask(request, REQUEST_SECONDS)
        assert isinstance(reply, ReadControlSpace)
        return reply.data[:count] if reply.succeeded and len(reply.data) >= count else None

    def _sync(self, processors: int, *, dr7_follows: bool = False) -> None:
        """Have the target hold what the plan says.

        As long as any breakpoint is there the registers of processor 0 say so, whenever this is broken off.
        """
        if any(self._plan.addresses):
            self._sync_registers(processors, dr7_follows=dr7_follows)
            self._sync_planted()
        else:
            self._sync_planted()
            self._sync_registers(processors, dr7_follows=dr7_follows)

    def _sync_planted(self) -> None:
        wanted = self._plan.planted
        for address in self._planted.addresses - wanted:
            self._planted.clear(address)
        for address in wanted:
            with contextlib.suppress(UnreadableMemory):  # no longer there, and never called then
                self._planted.set(address)
        self._planted.insert_again()

    def _sync_registers(self, processors: int, *, dr7_follows: bool) -> None:
        addresses, dr7 = self._plan.addresses, self._plan.dr7
        late = dr7 != self._dr7 and not dr7_follows
        newcomers = processors > self._processors and any(addresses)
        if addresses != self._addresses or newcomers or late:
            self._write_debug_registers(processors, addresses, dr7)
            self._processors, self._addresses = processors, addresses
        self._dr7 = dr7

    def _write_debug_registers(self, processors: int, addresses: tuple[int, ...], dr7: int) -> None:
        place = self._place
        order = range(processors) if any(addresses) else reversed(range(processors))
        for processor in order:
            data = self._control_space(processor, place.address, place.size)
            if data is None:
                raise RigError(
                    f"the target does not show the debug registers of processor {processor}",
                    hint="leave out --witness breakpoint",
                )
            request = WriteControlSpace(
                processor=processor,
                address=place.address,
                count=place.size,
                data=place.patched(data, addresses, dr7),
            )
            reply = self._ask(request, REQUEST_SECONDS)
            assert isinstance(reply, WriteControlSpace)
            if not reply.succeeded:
                raise RigError(
                    f"the target refuses hardware breakpoints on processor {processor}"
                    f" (status 0x{reply.status:08x})",
                    hint="leave out --witness breakpoint",
                )
