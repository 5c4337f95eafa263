"""Stand-ins for the kernel and the debugger: they write down what the model tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.virtual.clock import Clock
from harness.virtual.dispatcher.dispatcher import Dispatcher
from harness.virtual.interfaces import ImageModule, NewThread, OpenedFile, ThreadContext
from harness.virtual.kernel.systemthreads import ThreadModel
from harness.virtual.windows.status import STATUS_OBJECT_NAME_NOT_FOUND


class Report(NamedTuple):
    """One call of a notify routine."""

    kind: str
    """``process_create``, ``thread_exit``, ``image_load``, ``print`` ..."""
    pid: int
    tid: int
    parent_pid: int
    image: str | None
    base: int
    context: ThreadContext
    time: int


class NoDevices:
    """The I/O manager of a kernel without drivers."""

    def open(self, path: str, context: ThreadContext) -> OpenedFile:
        return OpenedFile(STATUS_OBJECT_NAME_NOT_FOUND)

    def run_down(self, pid: int, tid: int | None, context: ThreadContext) -> None:
        pass


class Recorder:
    """A kernel without a driver, and the debugger of a target that never prints."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.reports: list[Report] = []
        self.drivers: list[str] = []
        self.command_lines: list[str] = []
        self.refused: set[str] = set()
        """Programs that a driver refuses to have started, as base names."""
        self.refused_with = 0xC000_0022
        self.hears_thread_starts = False
        self.io = NoDevices()
        self.exit_statuses: dict[int, int] = {}
        self.polls = 0
        self.interrupt_at: int | None = None
        """Which poll raises InterruptedError."""

    def _add(
        self,
        kind: str,
        context: ThreadContext,
        *,
        pid: int = 0,
        tid: int = 0,
        parent_pid: int = 0,
        image: str | None = None,
        base: int = 0,
    ) -> None:
        self.reports.append(Report(kind, pid, tid, parent_pid, image, base, context, self.clock.now))

    def attach(self, dispatcher: Dispatcher, threads: ThreadModel) -> None:
        """No driver runs here."""

    def create_process_object(
        self, pid: int, parent_pid: int, name: str, image: str | None, session: int = 0, wow64: bool = False
    ) -> None:
        """Objects are the kernel's."""

    def create_thread_objects(self, *, pid: int, threads: Sequence[NewThread]) -> None:
        for thread in threads:
            self.create_thread_object(pid=pid, tid=thread.tid, processor=thread.processor)

    def create_thread_object(self, *, pid: int, tid: int, processor: int) -> None:
        """Objects are the kernel's."""

    def delete_thread_object(self, tid: int) -> None:
        """Objects are the kernel's."""

    def delete_process_object(self, pid: int) -> None:
        """Objects are the kernel's."""

    def open_process(self, *, pid: int, access: int, context: ThreadContext) -> int:
        """No driver watches handles."""
        return access

    def process_notify(
        self,
        *,
        parent_pid: int,
        pid: int,
        create: bool,
        context: ThreadContext,
        image: str | None = None,
        command_line: str | None = None,
        exit_status: int = 0,
    ) -> int:
        self._add("process_create" if create else "process_exit", context, pid=pid, parent_pid=parent_pid)
        if not create:
            self.exit_statuses[pid] = exit_status
        if command_line is not None:
            self.command_lines.append(command_line)
        refused = create and image is not None and image.rpartition("\\")[2] in self.refused
        return self.refused_with if refused else 0

    @property
    def wants_thread_starts(self) -> bool:
        return self.hears_thread_starts

    def thread_start_notify(self, *, pid: int, tid: int, context: ThreadContext) -> None:
        self._add("thread_start", context, pid=pid, tid=tid)

    def thread_notify(self, *, pid: int, tid: int, create: bool, context: ThreadContext) -> None:
        self._add("thread_create" if create else "thread_exit", context, pid=pid, tid=tid)

    def image_notify(
        self, *, name: str | None, pid: int, base: int, size: int, system_mode: bool, context: ThreadContext
    ) -> None:
        self._add("image_load", context, pid=pid, image=name, base=base)

    def load_driver(self, *, path: str, data: bytes, context: ThreadContext) -> int:
        self._add("driver", context, image=path)
        self.drivers.append(path)
        return 0

    def unload_driver(self, *, name: str, context: ThreadContext) -> int:
        self._add("driver", context, image=name)
        return 0

    def debug_print(self, text: str, context: ThreadContext) -> None:
        self._add("print", context, image=text)

    def print_string(self, text: bytes, cpu: int) -> None:
        raise AssertionError("nothing prints here")

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        raise AssertionError("no image is reported here")

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        raise AssertionError("no exception is reported here")

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        raise AssertionError("no bugcheck is reported here")

    def poll(self) -> None:
        self.polls += 1
        if self.polls == self.interrupt_at:
            raise InterruptedError
