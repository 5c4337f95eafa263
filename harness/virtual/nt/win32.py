"""The Win32 calls that the guest helper makes, as the model answers them.

Each is a program for the calling thread: it takes target time, reports what a driver would be told, and
returns a status (0 or a Win32 error code) with its values. Error codes: Microsoft, System Error Codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.errors import GuestError
from harness.ntpaths import base_name
from harness.virtual.clock import MICROSECOND
from harness.virtual.dispatcher.program import Program, Signal
from harness.virtual.nt.images import ImageFile
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.nt.plan import PROCESS_EXIT, imports_in_load_order, plan_launch
from harness.virtual.nt.profile import Launch, Variant
from harness.virtual.nt.program import ProgramRun
from harness.virtual.nt.system import THREAD_START, NtSystem
from harness.virtual.windows.status import failed
from harness.virtual.windows.win32errors import win32_error

__all__ = [
    "ERROR_ACCESS_DENIED",
    "ERROR_BAD_EXE_FORMAT",
    "ERROR_FILE_NOT_FOUND",
    "ERROR_INVALID_PARAMETER",
    "ERROR_MOD_NOT_FOUND",
    "Call",
    "Result",
    "Win32",
]

ERROR_FILE_NOT_FOUND = 2
ERROR_ACCESS_DENIED = 5
ERROR_INVALID_PARAMETER = 87
ERROR_MOD_NOT_FOUND = 126
ERROR_BAD_EXE_FORMAT = 193

PROTECTED = frozenset(
    {"System", "Registry", "smss.exe", "csrss.exe", "wininit.exe", "services.exe", "MsMpEng.exe"}
)
"""Processes that nobody may open for termination or for writing (protected processes)."""
PROCESS_TERMINATE, SYNCHRONIZE = 0x1, 0x10_0000
PROCESS_CREATE_PROCESS = 0x80
INJECTION_ACCESS = 0x2 | 0x8 | 0x10 | 0x20 | 0x400
"""What the helper asks for to create a thread in a process: PROCESS_CREATE_THREAD, PROCESS_VM_OPERATION,
PROCESS_VM_READ, PROCESS_VM_WRITE, PROCESS_QUERY_INFORMATION."""
SYSTEM_CALL = (20 * MICROSECOND, 90 * MICROSECOND)
LOAD = (600 * MICROSECOND, 1_100 * MICROSECOND)
"""Between two libraries of one LoadLibrary; the middle half of the recorded distances."""
PROBE_TEXT = b"[actor] dll "
"""A library that holds this text is the probe: its DllMain prints."""


@dataclass(frozen=True)
class Result:
    """What a call came to."""

    status: int = 0
    """0, or the Win32 error code."""
    values: dict[str, int | str] = field(default_factory=dict)


Call: TypeAlias = Program[Result]

_ADOPTED = Launch("", 0, [], [Variant(1, [])], PROCESS_EXIT, 0)


def _with_extension(name: str, extension: str) -> str:
    """CreateProcess and LoadLibrary add theirs to a name without one."""
    return name if "." in base_name(name) else name + extension


class Win32:
    """Win32 on top of an :class:`~harness.virtual.nt.system.NtSystem`.

    :param on_started: called with a process whose program is up, in its first thread.
    """

    def __init__(self, system: NtSystem, on_started: Callable[[Process], None]) -> None:
        self._system = system
        self._on_started = on_started
        self._runs: dict[Process, ProgramRun] = {}
        system.end_process = self.exit_process

    def create_process(
        self, caller: Thread, name: str, arguments: tuple[str, ...], parent: Process | None = None
    ) -> Call:
        """CreateProcess: returns once the first thread exists; ``child_pid`` and ``child_tid``. A driver may
        have refused the process.

        :param parent: as by PROC_THREAD_ATTRIBUTE_PARENT_PROCESS; None: the caller's process.
        """
        yield self._pause(SYSTEM_CALL)
        image = self._find(caller, _with_extension(name, ".exe"))
        if isinstance(image, Result):
            return image
        if image.library:
            return Result(ERROR_BAD_EXE_FORMAT)
        system, created = self._system, Signal()
        caller.in_kernel = True
        process = yield from system.new_process(image, caller, arguments, parent)
        if failed(process.creation_status):
            yield from system.abandon(process)
            caller.in_kernel = False
            return Result(win32_error(process.creation_status))
        if process.ended_early is not None:
            yield from system.announce(process.threads[0])
            self.exit_process(process, process.ended_early)
            caller.in_kernel = False
            return self._created(process)
        self._runs[process] = ProgramRun(
            system,
            process,
            plan_launch(system.profile, system.store, image),
            caller,
            on_first_thread=lambda thread: created.set(),
            on_started=lambda thread: self._on_started(process),
        )
        yield created
        caller.in_kernel = False
        return self._created(process)

    def create_child_of(self, pid: int, caller: Thread, name: str, arguments: tuple[str, ...]) -> Call:
        """OpenProcess of the one that is to be the parent, and :meth:`create_process`."""
        parent = yield from self._open(pid, PROCESS_CREATE_PROCESS)
        if isinstance(parent, Result):
            return parent
        return (yield from self.create_process(caller, name, arguments, parent))

    def terminate_process(self, pid: int, code: int) -> Call:
        """OpenProcess, TerminateProcess, and the wait for its end."""
        yield self._pause(SYSTEM_CALL)
        process = yield from self._open(pid, PROCESS_TERMINATE | SYNCHRONIZE)
        if isinstance(process, Result):
            return process
        self.exit_process(process, code)
        yield self.ended(process)
        return Result()

    def ended(self, process: Process) -> Signal:
        """Set when ``process`` has exited."""
        return self._run_of(process).ended

    def exit_process(self, process: Process, code: int) -> None:
        """Begin the end of ``process``: what ExitProcess and TerminateProcess have in common."""
        self._run_of(process).end(code)

    def use_window(self, pid: int) -> None:
        """Somebody at the desktop clicks into the program's window."""
        process = self._system.find_process(pid)
        run = self._runs.get(process) if process is not None else None
        if run is None:
            raise GuestError(f"no program with PID {pid} was started by a step and is running")
        run.use_window()

    def create_thread(self, pid: int, routine: Callable[[Thread], Call], starts_in: str) -> Call:
        """CreateThread, or CreateRemoteThread with another process's ``pid``: the new thread executes
        ``routine`` and exits; returns when it has, with ``new_tid`` and the routine's status.

        :param starts_in: base name of the image that the routine lies in.
        """
        yield self._pause(SYSTEM_CALL)
        process = yield from self._open(pid, INJECTION_ACCESS)
        if isinstance(process, Result):
            return process
        thread = self._system.new_thread(process, starts_in)
        yield from self._system.announce(thread)
        done = Signal()
        results: list[Result] = []
        self._system.run_user(thread, self._thread_body(thread, routine, results, done))
        yield done
        status = results[0].status if results else 0
        return Result(status, {"new_tid": thread.tid})

    def load_library(self, thread: Thread, name: str) -> Call:
        """LoadLibrary in the process of ``thread``: maps it and what it imports, as far as not mapped yet;
        ``base``."""
        image = self._library(thread, name)
        if isinstance(image, Result):
            yield self._pause(SYSTEM_CALL)
            return image
        process, system = thread.process, self._system
        key = image.path.casefold()
        process.references[key] = process.references.get(key, 0) + 1
        base = 0
        attach = key not in process.mapped
        for library in (image, *imports_in_load_order(system.store, image)):
            if library.path.casefold() not in process.mapped:
                yield self._pause(LOAD)
            mapping = yield from system.map_image(process, library)
            base = base or mapping.base
        yield self._pause(SYSTEM_CALL)
        if attach:
            self._say(process, image.path, "attach")
        return Result(0, {"base": f"0x{base:x}"})

    def free_library(self, thread: Thread, name: str) -> Call:
        """FreeLibrary: the last reference unmaps it, which no callback reports; ``base``."""
        yield self._pause(SYSTEM_CALL)
        image = self._library(thread, name)
        if isinstance(image, Result):
            return image
        process, key = thread.process, image.path.casefold()
        mapping = process.mapped.get(key)
        if mapping is None or key not in process.references:
            return Result(ERROR_MOD_NOT_FOUND)
        process.references[key] -= 1
        if process.references[key] == 0:
            del process.references[key]
            self._say(process, image.path, "detach")
            self._system.unmap_image(process, image)
        return Result(0, {"base": f"0x{mapping.base:x}"})

    def detach_libraries(self, process: Process) -> None:
        """What ExitProcess does before the end: DllMain of every library that was loaded by request."""
        for key in list(process.references):
            self._say(process, process.mapped[key].path, "detach")
        process.references.clear()

    def _created(self, process: Process) -> Result:
        return Result(0, {"child_pid": process.pid, "child_tid": process.threads[0].tid})

    def _thread_body(
        self, thread: Thread, routine: Callable[[Thread], Call], results: list[Result], done: Signal
    ) -> Program[None]:
        try:
            yield self._pause(THREAD_START)
            yield from self._system.begin(thread)
            results.append((yield from routine(thread)))
            yield from self._run_of(thread.process).thread_ended(thread)
        finally:
            # Also when the process is ended in the middle: whoever waits for the thread wakes up.
            done.set()

    def _library(self, thread: Thread, name: str) -> ImageFile | Result:
        image = self._find(thread, _with_extension(name, ".dll"))
        if isinstance(image, Result):
            return Result(ERROR_MOD_NOT_FOUND) if image.status == ERROR_FILE_NOT_FOUND else image
        if image.wow64 != thread.process.wow64:
            return Result(ERROR_BAD_EXE_FORMAT)
        return image

    def _find(self, caller: Thread, name: str) -> ImageFile | Result:
        store, process = self._system.store, caller.process
        folder = process.image.rpartition("\\")[0]
        image = store.find(name, wow64=process.wow64, folder=folder)
        if image is not None:
            return image
        full = name if "\\" in name else rf"{folder}\{name}"
        return Result(ERROR_BAD_EXE_FORMAT if store.exists(full) else ERROR_FILE_NOT_FOUND)

    def _open(self, pid: int, access: int) -> Program[Process | Result]:
        """OpenProcess, and whether what it grants is enough; one's own process needs no handle."""
        process = self._system.find_process(pid)
        if process is None:
            return Result(ERROR_INVALID_PARAMETER)
        if process.name in PROTECTED or process.ending or not process.live_threads():
            return Result(ERROR_ACCESS_DENIED)
        if pid != self._system.dispatcher.context.pid:
            granted = yield from self._system.open_process(process, access)
            if granted & access != access:
                return Result(ERROR_ACCESS_DENIED)
        return process

    def _run_of(self, process: Process) -> ProgramRun:
        """The run of ``process``; one that was there at boot gets one without a profile."""
        if process not in self._runs:
            self._runs[process] = ProgramRun(self._system, process, _ADOPTED, self._system.service_thread)
        return self._runs[process]

    def _say(self, process: Process, path: str, what: str) -> None:
        data = self._system.store.contents(path)
        is_probe = base_name(path).casefold() == "probe.dll" if data is None else PROBE_TEXT in data
        if is_probe:
            self._system.debug_print(f"[actor] dll {what} pid={process.pid}\n")

    def _pause(self, duration: tuple[int, int]) -> int:
        return self._system.rng.randrange(*duration)
