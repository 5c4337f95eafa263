"""Process and thread objects as drivers reach them: EPROCESS and ETHREAD in the target's memory.

Objects are made when a notification or a context first names them, and go when the process or thread has
ended and no reference to it is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.virtual.cpu.memory import PAGE, Memory
from harness.virtual.interfaces import ProcessDirectory
from harness.virtual.kernel.heap import KernelHeap
from harness.virtual.windows.symbols18362 import EPROCESS, ETHREAD

__all__ = ["IMAGE_FILE_NAME_SIZE", "Objects", "ProcessObject", "ThreadObject"]

IMAGE_FILE_NAME_SIZE = 15
"""EPROCESS.ImageFileName, its NUL included."""
_PROCESS_OBJECT = 3
_THREAD_OBJECT = 6
_SYSTEM = 4


@dataclass
class ProcessObject:
    """One EPROCESS."""

    pid: int
    address: int
    parent_pid: int = 0
    name: str = ""
    create_time: int = 0
    """FILETIME."""
    image_path: str | None = None
    """NT path of the executable, once it has been mapped."""
    command_line: str | None = None
    references: int = 0
    exiting: bool = False


@dataclass
class ThreadObject:
    """One ETHREAD."""

    pid: int
    tid: int
    address: int
    references: int = 0
    exiting: bool = False


class Objects:
    """All process and thread objects, by id and by address."""

    def __init__(self, memory: Memory, heap: KernelHeap) -> None:
        self._memory = memory
        self._heap = heap
        self._processes: dict[int, ProcessObject] = {}
        self._threads: dict[int, ThreadObject] = {}
        self._by_address: dict[int, ProcessObject | ThreadObject] = {}
        self._heaped: set[int] = set()
        self._directory: ProcessDirectory | None = None
        self._boot_time = 0
        self.set_name(self.process(_SYSTEM), "System")

    def follow(self, directory: ProcessDirectory, *, boot_time: int) -> None:
        """From now on, objects lie where ``directory`` says and know what it knows.

        :param boot_time: system time at which interrupt time was 0.
        """
        self._directory, self._boot_time = directory, boot_time
        for pid in tuple(self._processes):
            self.end_process(pid)
        for tid in tuple(self._threads):
            self.end_thread(tid)

    def process(self, pid: int) -> ProcessObject:
        """The process's object, made now if there is none."""
        found = self._processes.get(pid)
        if found is None:
            known = self._directory.processes.get(pid) if self._directory else None
            content = EPROCESS.pack({"Header.Type": _PROCESS_OBJECT, "UniqueProcessId": pid})
            address = self._place(content, known.address if known else None)
            found = self._processes[pid] = ProcessObject(pid, address)
            self._by_address[address] = found
            if known is not None:
                self._set_parent(found, known.parent_pid)
                self.set_name(found, known.name)
                found.create_time = self._boot_time + known.create_time
                found.image_path = known.image or None
                found.command_line = " ".join((known.name, *known.arguments))
        return found

    def thread(self, pid: int, tid: int) -> ThreadObject:
        """The thread's object, made now if there is none."""
        found = self._threads.get(tid)
        if found is None or found.pid != pid:
            known = self._directory.threads.get(tid) if self._directory else None
            owner = self.process(pid).address
            content = ETHREAD.pack(
                {
                    "Header.Type": _THREAD_OBJECT,
                    "ApcState.Process": owner,
                    "Process": owner,
                    "Cid": (pid, tid),
                }
            )
            address = self._place(content, known.address if known else None)
            found = self._threads[tid] = ThreadObject(pid, tid, address)
            self._by_address[address] = found
        return found

    def _place(self, content: bytes, address: int | None) -> int:
        """Store a new object where the model has it, else in the heap; its address."""
        if address is None:
            address = self._heap.put(content)
            self._heaped.add(address)
            return address
        if not self._memory.is_mapped(address, len(content)):
            self._memory.map(address, PAGE)
        self._memory.store(address, content)
        return address

    def _set_parent(self, process: ProcessObject, parent_pid: int) -> None:
        process.parent_pid = parent_pid
        at = EPROCESS.offset("InheritedFromUniqueProcessId")
        self._memory.put_u64(process.address + at, parent_pid)

    def start_process(self, pid: int, parent_pid: int, create_time: int) -> ProcessObject:
        """A process begins; an older object of a reused PID stays only as long as it is referenced."""
        self._processes.pop(pid, None)
        process = self.process(pid)
        process.create_time = create_time
        self._set_parent(process, parent_pid)
        return process

    def set_name(self, process: ProcessObject, name: str) -> None:
        """Write EPROCESS.ImageFileName: at most 14 characters."""
        process.name = name[: IMAGE_FILE_NAME_SIZE - 1]
        raw = process.name.encode("ascii", "replace").ljust(IMAGE_FILE_NAME_SIZE, b"\0")
        self._memory.store(process.address + EPROCESS.offset("ImageFileName"), raw)

    def find_process(self, pid: int) -> ProcessObject | None:
        """The live process with that PID."""
        if self._directory is not None and pid in self._directory.processes:
            return self.process(pid)
        return self._processes.get(pid)

    def find_thread(self, tid: int) -> ThreadObject | None:
        """The live thread with that TID."""
        return self._threads.get(tid)

    def at(self, address: int) -> ProcessObject | ThreadObject | None:
        """The object at an address."""
        return self._by_address.get(address)

    def end_process(self, pid: int) -> None:
        """The process is gone: its PID may name another from now on."""
        process = self._processes.pop(pid, None)
        if process is not None:
            process.exiting = True
            self._release(process)

    def end_thread(self, tid: int) -> None:
        """The thread is gone."""
        thread = self._threads.pop(tid, None)
        if thread is not None:
            thread.exiting = True
            self._release(thread)

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

    def _release(self, item: ProcessObject | ThreadObject) -> None:
        if item.exiting and item.references == 0:
            self._forget(item)

    def _forget(self, item: ProcessObject | ThreadObject) -> None:
        """Its address may hold the model's next object already: then that one stays."""
        if self._by_address.get(item.address) is item:
            del self._by_address[item.address]
            if item.address in self._heaped:
                self._heaped.remove(item.address)
                self._heap.free(item.address)
