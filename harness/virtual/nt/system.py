"""The model's kernel side: makes and ends processes, threads and mappings, and reports each of them.

The order of the reports and the threads they are made in follow Microsoft's description of the notify
routines: a process's and a thread's creation in the thread that creates, an image in the thread that maps it,
a thread's exit in itself, a process's exit in one of its own threads after all of them have exited.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from subprocess import list2cmdline

from harness.ntpaths import base_name
from harness.virtual.clock import MICROSECOND
from harness.virtual.dispatcher.dispatcher import Activity, Dispatcher
from harness.virtual.dispatcher.program import Program, ThreadWait, ended
from harness.virtual.interfaces import NewThread, NotifyRoutines
from harness.virtual.nt.ids import CidTable
from harness.virtual.nt.images import ImageFile, ImageStore, win32_path
from harness.virtual.nt.objects import Mapping, Process, Thread
from harness.virtual.nt.profile import Profile, load_boot
from harness.virtual.nt.startaddresses import start_address
from harness.virtual.windows.irql import APC_LEVEL

__all__ = ["GUEST_SERVICE", "THREAD_START", "NtSystem"]

SYSTEM = "System"
THREAD_START = (60 * MICROSECOND, 400 * MICROSECOND)
"""From a thread's creation to its first instruction."""
GUEST_SERVICE = "guestsvc.exe"
"""The service that starts the guest helper; parent of every actor process."""
CONFLICT_STEP = 0x1_0000
FIRST_WORKER = 2
"""Which of the System process's threads is the first that runs work items."""
FACTORY = 7
"""Which of them makes the threads of other processes' pools: TID 36. In recordings of two builds, 1903 and
16299, every thread that neither its process nor its parent made was made by the thread with that id. That it
is the System process's is inferred: no other process has an id below it."""
BOOT_TIME = 40_000_000
"""The boot processes started within the first four seconds (100 ns units)."""


class NtSystem:
    """All processes and threads of one boot.

    :param dispatcher: runs the threads and moves the clock.
    :param profile: the Windows version to model.
    :param notify: is told everything that a driver could be told.
    """

    def __init__(self, dispatcher: Dispatcher, profile: Profile, notify: NotifyRoutines) -> None:
        self.dispatcher = dispatcher
        self.rng: Random = dispatcher.rng
        self.profile = profile
        self.store = ImageStore(profile, self.rng)
        self.processes: dict[int, Process] = {}
        """Every process whose id is in use, by PID, oldest first."""
        self.threads: dict[int, Thread] = {}
        """Every thread whose id is in use, by TID."""
        self.close_handles: Callable[[Process], Program[None]] | None = None
        """Closes what a process that has exited has left open, in the thread that runs then; None: nobody
        opens anything."""
        self.end_process: Callable[[Process, int], None]
        """Begins the end of a process, with that exit status."""
        self.run_down_io: Callable[[Process, Thread | None], Program[None]] | None = None
        """Cancels the requests to devices of a thread that exits, or of all that its process had (None), and
        waits for their completion."""
        self._notify = notify
        self._ids = CidTable()
        self._boot()

    def find_process(self, pid: int) -> Process | None:
        """The process ``pid``, unless it has exited."""
        process = self.processes.get(pid)
        return None if process is None or process.exited else process

    def named(self, name: str, session: int | None = None) -> Process:
        """The oldest running process of that base name; LookupError when there is none."""
        for process in self.processes.values():
            if process.name == name and not process.exited and session in (None, process.session):
                return process
        raise LookupError(f"no process {name} is running")

    @property
    def service_thread(self) -> Thread:
        """The thread of the guest service that does what the harness asks for."""
        return self.named(GUEST_SERVICE).threads[0]

    @property
    def system_thread(self) -> Thread:
        """A worker thread of the System process: drivers are loaded and unloaded in it."""
        return self.named(SYSTEM).threads[1]

    def system_workers(self) -> list[Thread]:
        """The System process's threads that run work items."""
        threads = list(self.named(SYSTEM).threads.values())[FIRST_WORKER:]
        return [thread for thread in threads if thread.ordinal != FACTORY]

    @property
    def thread_factory(self) -> Thread:
        """The System process's thread that makes threads for the pools of others."""
        return self.named(SYSTEM).threads[FACTORY]

    def create_system_thread(self, body: Callable[[Thread], Program[None]]) -> Program[int]:
        """Make a thread of the System process, report it in the thread that runs now, and let it execute
        ``body`` and exit; its TID."""
        thread = self.new_thread(self.named(SYSTEM))
        yield from self.announce(thread)

        def whole() -> Program[None]:
            yield from body(thread)
            yield from self.exit_thread(thread)

        self.dispatcher.run_thread(thread, whole(), Activity.BACKGROUND)
        return thread.tid

    def find_thread(self, pid: int, tid: int) -> Thread | None:
        """The thread ``tid`` of the process ``pid``, unless it has exited."""
        thread = self.threads.get(tid)
        return thread if thread is not None and thread.alive and thread.pid == pid else None

    def start_address(self, pid: int, tid: int) -> int:
        """Where the thread's start routine lies; 0: not known."""
        thread = self.find_thread(pid, tid)
        return 0 if thread is None else start_address(thread, self.store)

    def new_process(
        self,
        image: ImageFile,
        creator: Thread,
        arguments: tuple[str, ...],
        parent: Process | None = None,
    ) -> Program[Process]:
        """Make a process with its first thread's object and report its creation in ``creator``; the thread is
        reported by :meth:`announce`.

        :param parent: None: the creator's process.
        """
        parent = parent or creator.process
        process = self._make_process(
            base_name(image.path),
            image.path,
            parent.pid,
            creator.process.session,
            wow64=image.wow64,
        )
        process.arguments, process.being_created = arguments, True
        self.new_thread(process)
        process.creation_status = yield from ended(
            self._notify.process_notify(
                parent_pid=parent.pid,
                pid=process.pid,
                create=True,
                context=self.dispatcher.context,
                image=image.path,
                command_line=list2cmdline([win32_path(image.path), *arguments]),
            )
        )
        process.being_created = False
        return process

    def terminate_process(self, pid: int, status: int) -> bool:
        """NtTerminateProcess by a driver, with that exit status; False: its end has begun.

        One that is being created ends as soon as its first thread could run.

        :raises LookupError: without that process the harness reaches the target no more.
        """
        process = self.find_process(pid)
        if process is None or process.ending or process.ended_early is not None:
            return False
        if process.name == GUEST_SERVICE:
            raise LookupError(GUEST_SERVICE)
        if process.being_created:
            process.ended_early = status
        else:
            self.end_process(process, status)
        return True

    def abandon(self, process: Process) -> Program[None]:
        """End a process whose creation a driver has refused, before its first thread has executed anything in
        user mode.

        Documented is that the creation fails (PCREATE_PROCESS_NOTIFY_ROUTINE_EX, Remarks). That the thread
        is reported all the same, and both as gone, is inferred: the thread exists when the callback is asked,
        and every thread that was made leaves through its exit, the last one taking its process along. No
        image is reported, for the thread that would map it never starts.
        """
        thread = process.threads[0]
        process.ending, process.exit_status = True, process.creation_status
        yield from self.announce(thread)

        def end() -> Program[None]:
            yield from self.exit_thread(thread)
            yield from self.exit_process(process)

        self.dispatcher.run_thread(thread, end())

    def open_process(self, process: Process, access: int) -> Program[int]:
        """OpenProcess in the current thread: the access that drivers leave of what it asks for."""
        context = self.dispatcher.context
        thread = self.threads[context.tid]
        thread.in_kernel, before = True, thread.in_kernel
        granted = yield from ended(self._notify.open_process(pid=process.pid, access=access, context=context))
        thread.in_kernel = before
        return granted

    def new_thread(self, process: Process, starts_in: str = "") -> Thread:
        """Make a thread's object; :meth:`announce` reports it."""
        thread = self._make_thread(process)
        thread.starts_in = starts_in
        self._notify.create_thread_object(pid=process.pid, tid=thread.tid, processor=thread.processor)
        return thread

    def _make_thread(self, process: Process) -> Thread:
        thread = Thread(
            tid=self._ids.allocate(),
            process=process,
            ordinal=len(process.threads),
            processor=self.rng.randrange(self.dispatcher.processors),
        )
        process.threads[thread.ordinal] = thread
        self.threads[thread.tid] = thread
        return thread

    def announce(self, thread: Thread) -> Program[None]:
        """Report ``thread``'s creation in the thread that runs now; it executes nothing before, not its end
        either."""
        thread.in_kernel = True
        yield from ended(
            self._notify.thread_notify(
                pid=thread.process.pid, tid=thread.tid, create=True, context=self.dispatcher.context
            )
        )
        thread.in_kernel = False
        if self._notify.wants_thread_starts and thread.process.name != SYSTEM:
            thread.begun = False
            delay = self.rng.randrange(*THREAD_START)
            self.dispatcher.run_thread(thread, self.begin(thread), Activity.BACKGROUND, delay)

    def begin(self, thread: Thread) -> Program[None]:
        """Report that ``thread``, which runs now, begins to run, unless that was reported; before anything
        else that it does."""
        if thread.begun or not thread.alive or thread.process.ending:
            return
        thread.begun = True
        yield from ended(
            self._notify.thread_start_notify(
                pid=thread.process.pid, tid=thread.tid, context=self.dispatcher.context
            )
        )

    def exit_thread(self, thread: Thread) -> Program[None]:
        """Report the exit of the thread that runs now; at APC_LEVEL where it ends with its process, as
        PCREATE_THREAD_NOTIFY_ROUTINE says that it may be. Its id stays taken while its process is ending: the
        process's exit is reported in one of these threads."""
        yield from self.begin(thread)
        context = self.dispatcher.context
        if thread.process.ending:
            context = context._replace(irql=APC_LEVEL)
        yield from ended(
            self._notify.thread_notify(pid=thread.process.pid, tid=thread.tid, create=False, context=context)
        )
        thread.alive = False
        if self.run_down_io is not None and thread.process.live_threads():
            yield from self.run_down_io(thread.process, thread)
        if not thread.process.ending:
            self._delete_thread(thread)

    def exit_process(self, process: Process) -> Program[None]:
        """Report the exit of ``process``, all of whose threads have exited, and delete the objects."""
        yield from ended(
            self._notify.process_notify(
                parent_pid=process.parent_pid,
                pid=process.pid,
                create=False,
                context=self.dispatcher.context,
                exit_status=process.exit_status,
            )
        )
        if self.run_down_io is not None:
            yield from self.run_down_io(process, None)
        if self.close_handles is not None:
            yield from self.close_handles(process)
        process.exited = True
        for thread in process.threads.values():
            if self.threads.get(thread.tid) is thread:
                self._delete_thread(thread)
        del self.processes[process.pid]
        self._ids.free(process.pid)
        self._notify.delete_process_object(process.pid)

    def map_image(self, process: Process, image: ImageFile, *, nameless: bool = False) -> Program[Mapping]:
        """Map ``image`` and report it in the thread that runs now, without a FullImageName when ``nameless``;
        an image that is mapped already is neither mapped again nor reported."""
        key = image.path.casefold()
        mapping = process.mapped.get(key)
        if mapping is None:
            yield from self.begin(self.threads[self.dispatcher.context.tid])
            mapping = Mapping(image.path, self._free_base(process, image), image.size)
            process.mapped[key] = mapping
            yield from ended(
                self._notify.image_notify(
                    name=None if nameless else image.path,
                    pid=process.pid,
                    base=mapping.base,
                    size=mapping.size,
                    system_mode=False,
                    context=self.dispatcher.context,
                )
            )
        return mapping

    def unmap_image(self, process: Process, image: ImageFile) -> None:
        """Take the mapping away; nothing reports that (there is no unload callback in this family)."""
        process.mapped.pop(image.path.casefold(), None)

    def run_user(self, thread: Thread, program: Program[None]) -> None:
        """Let ``thread`` execute ``program`` in user mode."""
        self.dispatcher.run_thread(thread, self.guarded(thread, program))

    def guarded(self, thread: Thread, program: Program[None]) -> Program[None]:
        """``program``, cut off where ``thread`` or its process ends."""
        for wait in program:
            yield wait
            if isinstance(wait, ThreadWait):
                continue  # inside the kernel, which it leaves first
            gone = not thread.alive or thread.process.ending
            if gone and not thread.in_kernel:
                program.close()
                return

    def debug_print(self, text: str) -> None:
        """What the guest helper says to the kernel's debugger, in the thread that runs now."""
        self._notify.debug_print(text, self.dispatcher.context)

    def _free_base(self, process: Process, image: ImageFile) -> int:
        """Where the boot maps ``image``, or the next free place below when something else lies there."""
        base = self.store.base(image)
        taken = [(other.base, other.base + other.size) for other in process.mapped.values()]
        while any(base < end and start < base + image.size for start, end in taken):
            base -= CONFLICT_STEP
        return base

    def _delete_thread(self, thread: Thread) -> None:
        del self.threads[thread.tid]
        self._ids.free(thread.tid)
        self._notify.delete_thread_object(thread.tid)

    def _make_process(
        self, name: str, image: str, parent_pid: int, session: int, *, wow64: bool = False
    ) -> Process:
        process = Process(
            pid=self._ids.allocate(),
            parent_pid=parent_pid,
            name=name,
            image=image,
            session=session,
            wow64=wow64,
        )
        self.processes[process.pid] = process
        self._notify.create_process_object(
            pid=process.pid,
            parent_pid=parent_pid,
            name=name,
            image=image or None,
            session=session,
            wow64=wow64,
        )
        return process

    def _boot(self) -> None:
        """The processes that run before any driver listens, and a queue of ids as uneven as a real boot
        leaves it: short-lived processes took some and gave them back."""
        clock = self.dispatcher.clock
        by_name: dict[str, Process] = {}
        planned = load_boot()
        step = BOOT_TIME // len(planned)
        short_lived: list[int] = []
        for number, boot in enumerate(planned):
            parent = by_name.get(boot.parent)
            process = self._make_process(boot.name, boot.image, parent.pid if parent else 0, boot.session)
            by_name.setdefault(boot.name, process)
            created: list[NewThread] = []
            for _ in range(boot.threads):
                thread = self._make_thread(process)
                created.append(NewThread(thread.tid, thread.processor, clock.system_time))
                clock.advance(self.rng.randrange(1, 200) * MICROSECOND)
            self._notify.create_thread_objects(pid=process.pid, threads=created)
            clock.advance_to(number * step)
            if self.rng.random() < 0.5:
                short_lived.append(self._ids.allocate())
        self.rng.shuffle(short_lived)
        for number in short_lived:
            self._ids.free(number)
