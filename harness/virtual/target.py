"""The virtual target: a kernel with a driver in it, the NT model above it, and the guest's commands.

::

    put, load_driver, act, settle ──▶ VirtualTarget ──▶ NT model ──▶ kernel ──▶ DebugPort
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from harness.errors import DriverBugcheck, DriverHang, GuestError, MissingImport, TargetLost
from harness.standingrules import BrokenRule
from harness.toolchain.windows_errors import win32_words
from harness.virtual.clock import SECOND, Clock
from harness.virtual.dispatcher.dispatcher import Activity, Dispatcher
from harness.virtual.dispatcher.policies import POLICIES, make_policy
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.dispatcher.program import Program, ended
from harness.virtual.interfaces import DebugPort, DeviceRequests, NotifyRoutines
from harness.virtual.kernel.systemthreads import ThreadModel
from harness.virtual.nt.actions import Actor
from harness.virtual.nt.profile import load_profile
from harness.virtual.nt.system import NtSystem
from harness.virtual.nt.win32 import Result

__all__ = ["DEFAULT_PROFILE", "TargetKernel", "TargetStatus", "VirtualTarget"]

DEFAULT_PROFILE = "win10-1903"
PROCESSORS = 2
"""As many as a target has by default."""
STATUS_OBJECT_NAME_NOT_FOUND = 0xC000_0034
STATUS_OBJECT_NAME_COLLISION = 0xC000_0035
FIRST_COMMAND = 30 * SECOND
"""Nobody talks to a machine before it has been up for a while."""

_T = TypeVar("_T")


class TargetStatus(NamedTuple):
    """How the target is."""

    state: str
    """``running``, ``bugchecked``, ``hung``, or ``ended`` where the driver used an import that is missing."""
    time: int
    """100 ns units since boot."""
    detail: str = ""


class TargetKernel(NotifyRoutines, Protocol):
    """The kernel of a target."""

    @property
    def io(self) -> DeviceRequests:
        """The drivers' devices, for the processes that open them."""

    @property
    def broken_rules(self) -> Sequence[BrokenRule]:
        """The standing rules that drivers have broken by now."""

    def attach(self, dispatcher: Dispatcher, threads: ThreadModel) -> None:
        """Run on ``dispatcher``, with the System process's threads from ``threads``."""


class VirtualTarget:
    """A booted machine.

    :param kernel: executes the driver; told everything the model does.
    :param port: polled between two events, for a debugger that wants to break in.
    :param clock: moved by this target only.
    :param seed: two targets with the same seed and the same commands do the same at the same times.
    :param profile: name of the Windows version to model.
    :param policy: one of :data:`~harness.virtual.dispatcher.policy.POLICIES`, made from the seed, or one
        that is made already.

    Every command may raise :class:`~harness.errors.DriverBugcheck` or :class:`~harness.errors.DriverHang`;
    the target is dead then and refuses all further ones with :class:`~harness.errors.TargetLost`.
    """

    def __init__(
        self,
        kernel: TargetKernel,
        port: DebugPort,
        clock: Clock,
        *,
        seed: int = 0,
        profile: str = DEFAULT_PROFILE,
        processors: int = PROCESSORS,
        policy: str | Policy = POLICIES[0],
    ) -> None:
        self._kernel = kernel
        self._clock = clock
        self._dispatcher = Dispatcher(
            clock,
            Random(seed),
            processors=processors,
            between=port.poll,
            policy=make_policy(policy, seed) if isinstance(policy, str) else policy,
        )
        self.system = NtSystem(self._dispatcher, load_profile(profile), kernel)
        """The model: its processes, threads and files."""
        kernel.attach(self._dispatcher, self.system)
        self._actor = Actor(self.system, kernel.io)
        self._services: dict[str, str] = {}
        self._death: TargetStatus | None = None
        clock.advance_to(FIRST_COMMAND)

    def put(self, name: str, data: bytes) -> str:
        """Store a file in the guest's work folder; its Win32 path. GuestError: not a file name, too large."""
        self._refuse_when_dead()
        return self.system.store.put(name, data)

    def load_driver(self, name: str, path: str) -> int:
        """Start the kernel service ``name`` from the file at ``path``; the NTSTATUS."""
        self._refuse_when_dead()
        data = self.system.store.contents(path)
        if data is None:
            return STATUS_OBJECT_NAME_NOT_FOUND
        if name in self._services:
            return STATUS_OBJECT_NAME_COLLISION
        status = self._in_system_thread(
            lambda: self._kernel.load_driver(path=path, data=data, context=self._dispatcher.context)
        )
        if status < 0x8000_0000:
            self._services[name] = path
        return status

    def unload_driver(self, name: str) -> int:
        """Stop the kernel service ``name``; the NTSTATUS."""
        self._refuse_when_dead()
        path = self._services.get(name)
        if path is None:
            return STATUS_OBJECT_NAME_NOT_FOUND
        file_name = path.rpartition("\\")[2]
        status = self._in_system_thread(
            lambda: self._kernel.unload_driver(name=file_name, context=self._dispatcher.context)
        )
        if status < 0x8000_0000:
            del self._services[name]
        return status

    def act(self, argv: Sequence[str], step: int) -> dict[str, int | str]:
        """Run the guest helper with ``--id step`` and ``argv``, until it has ended; its JSON object.

        :raises GuestError: it has no such action, or ended without a result.
        """
        self._refuse_when_dead()
        results: list[dict[str, int | str]] = []
        errors: list[GuestError] = []

        def command() -> Program[None]:
            try:
                result = yield from self._actor.start(argv, step)
                results.append(result.values)
            except GuestError as error:
                errors.append(error)

        self._dispatcher.run_thread(self.system.service_thread, command())
        self._run_until(lambda: bool(results or errors))
        if errors:
            raise errors[0]
        return results[0]

    def launch_for(self, parent: int, image: str) -> int:
        """The guest service starts a program as another process's child (CreateProcess with
        PROC_THREAD_ATTRIBUTE_PARENT_PROCESS): parent and creator are two processes then.

        :param parent: PID of a process that is there.
        :returns: the PID of the new one.
        :raises GuestError: the program cannot be started.
        """
        self._refuse_when_dead()
        results: list[Result] = []

        def command() -> Program[None]:
            caller, process = self.system.service_thread, self.system.processes[parent]
            results.append((yield from self._actor.win32.create_process(caller, image, (), process)))

        self._dispatcher.run_thread(self.system.service_thread, command())
        self._run_until(lambda: bool(results))
        if results[0].status:
            raise GuestError(f"{image} could not be started: {win32_words(results[0].status)}")
        return int(results[0].values["child_pid"])

    def settle(self, quiet: int, maximum: int) -> int:
        """Let time pass until nothing has happened for ``quiet``; the target time then (100 ns units all).

        Nothing: no event of a program that is starting, ending or doing a step's action. A program that is
        still starting counts as busy however long it pauses. The system's background and idle programs'
        time-outs do not count. Returns after ``maximum`` in any case.
        """
        self._refuse_when_dead()
        deadline = self._clock.now + maximum
        last = self._clock.now
        while True:
            busy = self._dispatcher.pending(Activity.WORK) > 0
            limit = deadline if busy else min(deadline, last + quiet)
            due = self._dispatcher.next_time()
            if due is None or due > limit:
                self._clock.advance_to(limit)
                return self._clock.now
            if self._step() is Activity.WORK:
                last = self._clock.now

    def use_window(self, pid: int) -> None:
        """Somebody at the desktop uses the window of a program that a step started, for the first time.

        :raises GuestError: no such program is running.
        """
        self._refuse_when_dead()
        self._actor.win32.use_window(pid)

    def status(self) -> TargetStatus:
        """How the target is; a dead one answers, too."""
        return self._death or TargetStatus("running", self._clock.now)

    def broken_rules(self) -> Sequence[BrokenRule]:
        """The standing rules that drivers have broken by now; a dead target answers, too."""
        return self._kernel.broken_rules

    def _in_system_thread(self, action: Callable[[], _T | Program[_T]]) -> _T:
        results: list[_T] = []

        def command() -> Program[None]:
            results.append((yield from ended(action())))

        self._dispatcher.run_thread(self.system.system_thread, command())
        self._run_until(lambda: bool(results))
        return results[0]

    def _run_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._step()

    def _step(self) -> Activity | None:
        try:
            return self._dispatcher.step()
        except DriverBugcheck as death:
            self._death = TargetStatus("bugchecked", self._clock.now, str(death))
            raise
        except DriverHang as death:
            self._death = TargetStatus("hung", self._clock.now, str(death))
            raise
        except MissingImport as death:
            self._death = TargetStatus("ended", self._clock.now, str(death))
            raise

    def _refuse_when_dead(self) -> None:
        if self._death is not None:
            raise TargetLost(
                f"the target has {self._death.state}: {self._death.detail}", hint="boot it again"
            )
