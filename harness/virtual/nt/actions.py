"""The guest helper as the model runs it: one process an action, two markers, one result.

Follows ``driver/actor``: the command line, what each action waits for, and which error it reports. The
result is the object the helper prints as its JSON line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.actions import ACTIONS, MAX_DWORD
from harness.errors import GuestError
from harness.ntpaths import base_name
from harness.toolchain.windows_errors import win32_words
from harness.virtual.clock import MICROSECOND, MILLISECOND
from harness.virtual.dispatcher.dispatcher import Activity
from harness.virtual.dispatcher.program import Program, Signal
from harness.virtual.interfaces import DeviceRequests
from harness.virtual.nt.arguments import BadArgumentsError, take_number, take_word
from harness.virtual.nt.devicekeepers import DEVICE_ACTIONS, KEEP_DEVICE, DeviceKeepers
from harness.virtual.nt.images import WORK_FOLDER
from harness.virtual.nt.noise import start_noise
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.nt.system import NtSystem
from harness.virtual.nt.win32 import ERROR_FILE_NOT_FOUND, ERROR_MOD_NOT_FOUND, Call, Result, Win32

__all__ = ["ACTOR", "IMPLEMENTED", "WORDS", "Actor"]

ACTOR = "actor.exe"
ACTOR_TEXT = b"create-remote-thread"
"""A program that holds this text is the helper, whatever it is called."""
ERROR_BAD_ARGUMENTS = 160
KERNEL32 = "kernel32.dll"
EXIT_FAILED = 1
THINK = (30 * MICROSECOND, 250 * MICROSECOND)
"""What the helper's own instructions take between two calls."""
WORDS = tuple(action.word for action in ACTIONS.values())
"""The first words of the helper's command lines."""

ActionResult = dict[str, int | str]
_Do = Callable[["Actor", Thread, list[str]], Call]


class Actor:
    """Starts helper processes and runs them.

    :param system: a booted system; its background begins here.
    :param requests: the kernel's I/O manager.
    """

    def __init__(self, system: NtSystem, requests: DeviceRequests) -> None:
        self._system = system
        self.win32 = Win32(system, self._program_started)
        self.devices = DeviceKeepers(system, requests, self.win32)
        self._up: dict[Process, Signal] = {}
        """Of programs that somebody has run: set when they have started."""
        self._results: dict[Process, ActionResult | GuestError] = {}
        start_noise(system)

    def start(self, argv: Sequence[str], step: int) -> Call:
        """Start the helper for ``argv`` in the guest service's thread and wait for its end; the result's
        values are the helper's JSON object.

        :raises GuestError: the action is unknown, the helper cannot be started, or it ended without a result.
        """
        if not argv or argv[0] not in WORDS:
            raise GuestError(
                f"the guest helper has no action {' '.join(argv[:1])!r}",
                hint=f"its actions are {', '.join(WORDS)}",
            )
        service = self._system.service_thread
        created = yield from self.win32.create_process(
            service, rf"{WORK_FOLDER}\{ACTOR}", ("--id", str(step), *argv)
        )
        if created.status:
            raise GuestError(f"the guest helper could not be started: {win32_words(created.status)}")
        process = self._system.processes[int(created.values["child_pid"])]
        yield self.win32.ended(process)
        outcome = self._results.pop(process, None)
        if outcome is None:
            raise GuestError(f"the guest helper (PID {process.pid}) was ended before it had a result")
        if isinstance(outcome, GuestError):
            raise outcome
        return Result(0, outcome)

    def _program_started(self, process: Process) -> None:
        """A program is up: if it is the helper, its own code runs now. Others wait for input, or for who has
        them run."""
        if (up := self._up.get(process)) is not None:
            up.set()
        data = self._system.store.contents(process.image)
        name = base_name(process.image).casefold()
        if name == ACTOR if data is None else ACTOR_TEXT in data:
            self._system.run_user(process.threads[0], self._main(process, process.threads[0]))

    def _main(self, process: Process, thread: Thread) -> Program[None]:
        words, number = list(process.arguments), 0
        if words[:1] == [KEEP_DEVICE]:
            yield from self.devices.keep(thread)
            return
        if words[:1] == ["--id"]:
            try:
                number = take_number(words[1:2])
            except BadArgumentsError:
                words = []
            words = words[2:]
        yield self._think()
        action = words.pop(0) if words else ""
        if action not in WORDS:
            self.win32.exit_process(process, 2)
            return
        self._system.debug_print(f"[actor] begin {action} id={number} pid={process.pid}\n")
        yield self._think()
        code = 0
        try:
            if action == "exit":
                code, result = take_number(words), Result()
            elif action in DEVICE_ACTIONS:
                result = yield from self.devices.act(thread, action, words)
            else:
                result = yield from _DO[action](self, thread, words)
        except BadArgumentsError:
            result = Result(ERROR_BAD_ARGUMENTS)
        except GuestError as error:
            self._results[process] = error
            self.win32.exit_process(process, EXIT_FAILED)
            return
        yield self._think()
        self._system.debug_print(
            f"[actor] end {action} id={number} pid={process.pid} status={result.status}\n"
        )
        yield self._think()
        head: ActionResult = {
            "action": action,
            "id": number,
            "pid": process.pid,
            "tid": thread.tid,
            "status": result.status,
        }
        self._results[process] = head | result.values
        yield self._think()
        self.win32.detach_libraries(process)
        self.win32.exit_process(process, code or (EXIT_FAILED if result.status else 0))

    def launch(self, thread: Thread, words: list[str]) -> Call:
        image = take_word(words)
        return self._launched((yield from self.win32.create_process(thread, image, tuple(words))))

    def launch_for(self, thread: Thread, words: list[str]) -> Call:
        parent, image = take_number(words), take_word(words)
        return self._launched((yield from self.win32.create_child_of(parent, thread, image, tuple(words))))

    def _launched(self, started: Result) -> Result:
        if started.status == ERROR_FILE_NOT_FOUND:
            return Result(started.status, {"programs": " ".join(self._system.store.programs())})
        return started

    def run(self, thread: Thread, words: list[str]) -> Call:
        """The program's code is none that the model could execute: it ends as soon as it has started."""
        limit = take_number(words)
        started = yield from self.win32.create_process(thread, take_word(words), tuple(words))
        if started.status:
            return started
        process = self._system.processes[int(started.values["child_pid"])]
        up = self._up[process] = Signal()
        self.win32.ended(process).when_set(up.set)
        late = self._system.dispatcher.call(limit * MILLISECOND, thread, up.set, Activity.TIMEOUT)
        yield up
        self._system.dispatcher.cancel(late)
        del self._up[process]
        self.win32.exit_process(process, 0)
        yield self.win32.ended(process)
        return started

    def terminate(self, thread: Thread, words: list[str]) -> Call:
        pid = take_number(words)
        code = take_number(words) if words else 0
        return (yield from self.win32.terminate_process(pid, code))

    def create_thread(self, thread: Thread, words: list[str]) -> Call:
        return (yield from self.win32.create_thread(thread.process.pid, self._nothing, thread.process.name))

    def create_remote_thread(self, thread: Thread, words: list[str]) -> Call:
        return (
            yield from self.win32.create_thread(
                self._same_width(thread, take_number(words)), self._nothing, KERNEL32
            )
        )

    def load_library(self, thread: Thread, words: list[str]) -> Call:
        path = take_word(words)
        times = take_number(words) if words else 1
        if times == 0:
            raise BadArgumentsError
        result = Result()
        while times and not result.status:
            times -= 1
            result = yield from self.win32.load_library(thread, path)
        return result

    def free_library(self, thread: Thread, words: list[str]) -> Call:
        path = take_word(words)
        result = yield from self.win32.load_library(thread, path)
        if result.status == 0:
            result = yield from self.win32.free_library(thread, path)
        return result

    def inject(self, thread: Thread, words: list[str]) -> Call:
        pid = self._same_width(thread, take_number(words))
        path = take_word(words)
        if "\\" not in path:
            path = rf"{WORK_FOLDER}\{path}"

        def load(other: Thread) -> Call:
            result = yield from self.win32.load_library(other, path)
            # The helper sees only that LoadLibraryW returned no module.
            return Result(ERROR_MOD_NOT_FOUND) if result.status else Result()

        return (yield from self.win32.create_thread(pid, load, KERNEL32))

    def sleep(self, thread: Thread, words: list[str]) -> Call:
        duration = take_number(words)
        if duration == MAX_DWORD:
            raise BadArgumentsError
        yield duration * MILLISECOND
        return Result()

    def _nothing(self, thread: Thread) -> Call:
        yield self._think()
        return Result()

    def _same_width(self, thread: Thread, pid: int) -> int:
        target = self._system.find_process(pid)
        if target is not None and target.wow64 != thread.process.wow64:
            raise GuestError(
                f"PID {pid} is a {32 if target.wow64 else 64}-bit process and the guest helper is not",
                hint="the start address would mean nothing there; use a program of the helper's bitness",
            )
        return pid

    def _think(self) -> int:
        return self._system.rng.randrange(*THINK)


_DO: dict[str, _Do] = {
    "launch": Actor.launch,
    "launch-for": Actor.launch_for,
    "run": Actor.run,
    "terminate": Actor.terminate,
    "create-thread": Actor.create_thread,
    "create-remote-thread": Actor.create_remote_thread,
    "load-library": Actor.load_library,
    "free-library": Actor.free_library,
    "inject": Actor.inject,
    "sleep": Actor.sleep,
}
IMPLEMENTED = (*_DO, "exit", *DEVICE_ACTIONS)
"""The actions that the model can do; ``exit`` is its main program's own."""
