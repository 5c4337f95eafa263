"""Process and thread objects as drivers reach them, from their creation to their last reference.

The NT model says when an object begins and when its process or thread is gone; one that nobody announced gets
its object when a notification or a context first names it. An object whose process or thread is gone stays,
in its lists too, until the last reference to it is given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.virtual.cpu.memory import Memory
from harness.virtual.interfaces import KernelClock, NewThread, ThreadContext
from harness.virtual.kernel.structures.process import IMAGE_FILE_NAME_SIZE, Eprocess
from harness.virtual.kernel.structures.processor import ProcessorBlocks
from harness.virtual.kernel.structures.thread import Ethread

__all__ = ["IMAGE_FILE_NAME_SIZE", "STILL_ACTIVE", "Objects", "ProcessObject", "ThreadObject"]

_SYSTEM = 4
STILL_ACTIVE: Final = 0x103
"""STATUS_PENDING: the exit status of a process that has not ended."""
_IDLE = 0


@dataclass(slots=True)
class ProcessObject:
    """One EPROCESS."""

    pid: int
    address: int
    parent_pid: int = 0
    name: str = ""
    create_time: int = 0
    """FILETIME."""
    image_path: str | None = None
    """NT path of the executable, once it is known."""
    image_base: int = 0
    command_line: str | None = None
    active_threads: int = 0
    """That have not exited."""
    thread_objects: int = 0
    """Its threads that are there, exited or not: each holds the process."""
    session: int = 0
    """0: that of the services."""
    peb: int = 0
    """User-mode address; 0 for a process without one, as the System process is."""
    peb32: int = 0
    """The same of the 32-bit PEB."""
    references: int = 0
    exiting: bool = False
    exit_status: int = STILL_ACTIVE
    """EPROCESS.ExitStatus."""
    announced: bool = False
    """The model created it and is going to delete it."""
    reported: bool = False
    """Its creation was notified: the next one with this PID is another process."""


@dataclass(slots=True)
class ThreadObject:
    """One ETHREAD."""

    pid: int
    tid: int
    address: int
    owner: ProcessObject
    teb: int = 0
    """User-mode address; 0 for a system thread."""
    start_address: int = 0
    """Of a system thread of a driver its routine; 0: the model is to be asked."""
    exit_status: int = 0
    """What it ends with, or has ended with."""
    references: int = 0
    exiting: bool = False
    announced: bool = False
    apcs_run_down: bool = False
    """It takes no more APCs."""


class Objects:
    """All process and thread objects, by id and by address.

    :param active_head: address of PsActiveProcessHead.
    """

    def __init__(
        self, memory: Memory, clock: KernelClock, processors: ProcessorBlocks, *, active_head: int
    ) -> None:
        self._clock = clock
        self._processors = processors
        self._eprocess = Eprocess(memory, active_head)
        self._ethread = Ethread(memory)
        self._processes: dict[int, ProcessObject] = {}
        self._threads: dict[int, ThreadObject] = {}
        self._by_address: dict[int, ProcessObject | ThreadObject] = {}
        self.gone: dict[int, str] = {}
        """Addresses at which an object was and none is, with what it was."""
        self.set_name(self.process(_SYSTEM), "System")
        idle_process = self._eprocess.create(_IDLE, listed=False)
        for processor in range(len(processors.addresses)):
            idle = self._ethread.create(
                idle_process, _IDLE, _IDLE, create_time=clock.system_time, processor=processor
            )
            self._ethread.run(idle, processor)
            processors.set_idle_thread(processor, idle)

    # What the model says.

    def create_process(
        self, pid: int, parent_pid: int, name: str, image_path: str | None, session: int
    ) -> None:
        """A process begins."""
        process = self._processes.get(pid)
        if process is None or process.announced:
            process = self._new_process(pid)
        process.announced = True
        process.image_path = image_path
        process.session = session
        process.command_line = name
        self._set_origin(process, parent_pid)
        self.set_name(process, name)

    def create_thread(self, pid: int, tid: int, processor: int) -> None:
        """A thread begins; it is to run on ``processor`` first."""
        self._new_thread(pid, tid, processor).announced = True

    def create_threads(self, pid: int, threads: Sequence[NewThread]) -> None:
        """The first threads of a process begin; none of their TIDs is in use."""
        owner = self.process(pid)
        assert owner.active_threads == 0
        for new, address in zip(
            threads, self._ethread.create_several(owner.address, pid, threads), strict=True
        ):
            self._new_thread_object(owner, new.tid, address).announced = True
        self._count_threads(owner, len(threads))

    def delete_process(self, pid: int) -> None:
        """The process is gone: its PID may name another from now on."""
        process = self._processes.pop(pid, None)
        if process is not None:
            if process.thread_objects:
                for tid in [tid for tid, thread in self._threads.items() if thread.owner is process]:
                    self.delete_thread(tid)
            process.exiting = True
            self._release(process)

    def delete_thread(self, tid: int) -> None:
        """The thread is gone: its TID may name another from now on."""
        thread = self._threads.pop(tid, None)
        if thread is not None:
            thread.exiting = True
            process = self._processes.get(thread.pid)
            if process is not None and process.exit_status != STILL_ACTIVE:
                thread.exit_status = process.exit_status
            self._processors.leave(thread.address)
            self._ethread.terminate(thread.address)
            self._release(thread)

    # What the kernel reports.

    def start_process(self, pid: int, parent_pid: int) -> ProcessObject:
        """The process whose creation is notified; an older object of a PID that nobody announced anew stays
        only as long as it is referenced."""
        process = self._processes.get(pid)
        if process is None or process.reported:
            process = self._new_process(pid)
        process.reported = True
        self._set_origin(process, parent_pid)
        return process

    def exit_process(self, pid: int) -> None:
        """Its end was notified."""
        process = self._processes.get(pid)
        if process is not None and not process.announced:
            self.delete_process(pid)

    def exit_thread(self, pid: int, tid: int) -> None:
        """Its end was notified."""
        thread = self.thread(pid, tid)
        self._count_threads(self.process(pid), -1)
        if not thread.announced:
            self.delete_thread(tid)

    def run(self, context: ThreadContext) -> None:
        """The context's thread is what its processor executes."""
        thread = self.thread(context.pid, context.tid).address
        before = self._processors.set_current_thread(context.cpu, thread)
        if before != thread:
            self._ethread.run(thread, context.cpu)
            if before in self._by_address:
                self._ethread.wait(before)

    def leave(self, context: ThreadContext) -> None:
        """The context's thread waits: its processor is idle."""
        thread = self.thread(context.pid, context.tid).address
        self._processors.leave(thread)
        self._ethread.wait(thread)

    def set_name(self, process: ProcessObject, name: str) -> None:
        """Base name of the executable."""
        process.name = name[: IMAGE_FILE_NAME_SIZE - 1]
        self._eprocess.set_name(process.address, process.name)

    def set_image_base(self, process: ProcessObject, base: int) -> None:
        """Where its executable is mapped."""
        process.image_base = base
        self._eprocess.set_image_base(process.address, base)

    def set_user_blocks(self, process: ProcessObject, peb: int, peb32: int, wow64_process: int) -> None:
        """Where its PEBs are, and its EWOW64PROCESS (0 for a 64-bit process)."""
        process.peb, process.peb32 = peb, peb32
        self._eprocess.set_user_blocks(process.address, peb, wow64_process)

    def attach(self, context: ThreadContext, process: int) -> None:
        """The thread is in the address space of ``process`` (its EPROCESS); 0: in that of its own."""
        own = self.process(context.pid).address
        self._ethread.attach(self.thread(context.pid, context.tid).address, process or own)

    def set_teb(self, thread: ThreadObject, teb: int) -> None:
        """Where its TEB is."""
        thread.teb = teb
        self._ethread.set_teb(thread.address, teb)

    # What drivers ask.

    def process(self, pid: int) -> ProcessObject:
        """The process's object, made now if there is none."""
        return self._processes.get(pid) or self._new_process(pid)

    def thread(self, pid: int, tid: int) -> ThreadObject:
        """The thread's object, made now if there is none."""
        found = self._threads.get(tid)
        return found if found is not None and found.pid == pid else self._new_thread(pid, tid, 0)

    def find_process(self, pid: int) -> ProcessObject | None:
        """The process with that PID that is not gone."""
        return self._processes.get(pid)

    def find_thread(self, tid: int) -> ThreadObject | None:
        """The thread with that TID that is not gone."""
        return self._threads.get(tid)

    def living(self) -> list[tuple[ProcessObject, list[ThreadObject]]]:
        """The processes that are not gone, in the order of their creation, each with its threads."""
        return [
            (process, [thread for thread in self._threads.values() if thread.pid == process.pid])
            for process in self._processes.values()
        ]

    def at(self, address: int) -> ProcessObject | ThreadObject | None:
        """The object at an address."""
        return self._by_address.get(address)

    def reference(self, item: ProcessObject | ThreadObject) -> int:
        """Take one reference; the object's address."""
        item.references += 1
        return item.address

    def dereference(self, item: ProcessObject | ThreadObject) -> bool:
        """Give one back; False when there was none to give."""
        if item.references == 0:
            return False
        item.references -= 1
        self._release(item)
        return True

    # Inside.

    def _new_process(self, pid: int) -> ProcessObject:
        self.delete_process(pid)
        process = self._processes[pid] = ProcessObject(pid, self._eprocess.create(pid))
        self._take_place(process)
        return process

    def _new_thread(self, pid: int, tid: int, processor: int) -> ThreadObject:
        self.delete_thread(tid)
        owner = self.process(pid)
        address = self._ethread.create(
            owner.address, pid, tid, create_time=self._clock.system_time, processor=processor
        )
        self._count_threads(owner, 1)
        return self._new_thread_object(owner, tid, address)

    def _take_place(self, item: ProcessObject | ThreadObject) -> None:
        self._by_address[item.address] = item
        self.gone.pop(item.address, None)

    def _new_thread_object(self, owner: ProcessObject, tid: int, address: int) -> ThreadObject:
        thread = self._threads[tid] = ThreadObject(owner.pid, tid, address, owner)
        owner.thread_objects += 1
        self._take_place(thread)
        return thread

    def _count_threads(self, process: ProcessObject, change: int) -> None:
        process.active_threads += change
        self._eprocess.set_active_threads(process.address, process.active_threads)

    def _set_origin(self, process: ProcessObject, parent_pid: int) -> None:
        process.parent_pid, process.create_time = parent_pid, self._clock.system_time
        self._eprocess.set_origin(process.address, parent_pid, process.create_time)

    def _release(self, item: ProcessObject | ThreadObject) -> None:
        """Free the object if it is gone and nothing holds it; a thread holds its process."""
        if not item.exiting or item.references:
            return
        if isinstance(item, ThreadObject):
            del self._by_address[item.address]
            self._ethread.delete(item.address)
            self.gone[item.address] = f"thread {item.tid}"
            item.owner.thread_objects -= 1
            self._release(item.owner)
        elif not item.thread_objects:
            del self._by_address[item.address]
            self._eprocess.delete(item.address)
            self.gone[item.address] = f"process {item.pid}"
