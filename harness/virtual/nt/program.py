"""A running program: what its profile says happens by itself, from its first thread to its exit.

Each event waits for the events that always came before it, then for a duration drawn from the recorded ones,
and then happens in one of the threads that did it in the recording. Events that are not ordered overlap, so
another seed gives another order of them; ordered ones keep theirs whatever the seed.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.virtual.clock import MICROSECOND
from harness.virtual.dispatcher.dispatcher import Activity, Entry
from harness.virtual.dispatcher.program import Program, Signal
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.nt.profile import Launch, Node, draw
from harness.virtual.nt.system import NtSystem

__all__ = ["ProgramRun"]

BUSY_IN_KERNEL = 50 * MICROSECOND
"""A thread that is to end but is inside a system call is asked again after this long."""
EXTRA_THREAD_EXIT = (0, 100, 400, 1_500, 8_000)
"""Microseconds until a thread that no profile knows exits with its process."""
EXTRA = "extra "


class ProgramRun:
    """One process living through a :class:`~harness.virtual.nt.profile.Launch`.

    :param creator: the thread that created the process; reports its first thread too.
    :param on_started: called in the first thread when everything of the start has happened.
    """

    def __init__(
        self,
        system: NtSystem,
        process: Process,
        launch: Launch,
        creator: Thread,
        *,
        on_first_thread: Callable[[Thread], None] = lambda thread: None,
        on_started: Callable[[Thread], None] = lambda thread: None,
    ) -> None:
        self._system = system
        self.process = process
        self._launch = launch
        self._threads: dict[str, Thread] = {"parent": creator}
        self._on_first_thread = on_first_thread
        self._on_started = on_started
        self.ended = Signal()
        """Set when the process has exited."""
        self._exited: list[Thread] = []
        self._entries: dict[str, Entry] = {}
        counts = [variant.count for variant in launch.variants]
        self._variant = system.rng.choices(launch.variants, counts)[0]
        absent = set(self._variant.without)
        self._remaining = {node.id: node for node in launch.nodes if node.id not in absent}
        """What is still going to happen, by node id."""
        self._open = {"start"}
        self._started = not any(node.phase == "start" for node in self._remaining.values())
        self._consider()

    @property
    def first_thread(self) -> Thread:
        return self.process.threads[0]

    def use_window(self) -> None:
        """Somebody uses the program's window for the first time."""
        for node in list(self._remaining.values()):
            if node.phase == "input" and any(self._is_exit(name) for name in node.after):
                # In the recording a new pool thread appears only after the old ones have timed out.
                self._give_up(node)
        self._open.add("input")
        self._consider()

    def end(self, status: int) -> None:
        """Begin the process's end (ExitProcess or TerminateProcess); does nothing when it has begun."""
        process = self.process
        if process.ending:
            return
        process.ending, process.exit_status = True, status
        for node in list(self._remaining.values()):
            thread = self._threads.get(str(node.thread))
            if node.phase != "exit" or thread is None or not thread.alive:
                self._give_up(node)
            elif node.id in self._entries:
                self._system.dispatcher.cancel(self._entries.pop(node.id))
        leaving = {self._threads[str(node.thread)] for node in self._remaining.values()}
        for thread in process.live_threads():
            if thread not in leaving:
                self._add_extra(thread)
        self._open = {"exit"}
        self._consider()

    def thread_ended(self, thread: Thread) -> Program[None]:
        """A thread that the profile does not know exits by itself, in its own context."""
        yield from self._exit(thread)

    def _add_extra(self, thread: Thread) -> None:
        role = f"{EXTRA}{thread.ordinal}"
        self._threads[role] = thread
        self._remaining[role] = Node(
            role, "exit", {role: 1}, EXTRA_THREAD_EXIT, phase="exit", thread=thread.ordinal
        )

    def _is_exit(self, name: str) -> bool:
        node = self._remaining.get(name)
        return node is not None and node.kind == "exit"

    def _give_up(self, node: Node) -> None:
        self._remaining.pop(node.id, None)
        entry = self._entries.pop(node.id, None)
        if entry is not None:
            self._system.dispatcher.cancel(entry)
        if node.kind == "create":
            for other in list(self._remaining.values()):
                if str(node.thread) in other.by and len(other.by) == 1:
                    self._give_up(other)

    def _consider(self) -> None:
        """Schedule everything that waits for nothing any more."""
        remaining, entries = self._remaining.keys(), self._entries
        for node in list(self._remaining.values()):
            ready = node.id not in entries and node.phase in self._open
            if ready and remaining.isdisjoint(node.after):
                self._schedule(node, draw(node.delay, self._system.rng), Activity.WORK)

    def _schedule(self, node: Node, delay: int, activity: Activity) -> None:
        thread = self._pick_thread(node)
        self._entries[node.id] = self._system.dispatcher.call(
            delay, thread, lambda: self._happen(node, thread), activity
        )

    def _pick_thread(self, node: Node) -> Thread:
        """One of the threads that did this in the recording and exist; else the first thread."""
        if node.id.startswith(EXTRA) or node.kind == "exit":
            return self._threads[node.id if node.id.startswith(EXTRA) else str(node.thread)]
        rng = self._system.rng
        able = {
            role: count
            for role, count in node.by.items()
            if role == "other" or (role in self._threads and self._threads[role].alive)
        }
        if not able:
            return self._threads.get("0", self._threads["parent"])
        role = rng.choices(list(able), list(able.values()))[0]
        if role != "other":
            return self._threads[role]
        return self._system.thread_factory

    def _happen(self, node: Node, thread: Thread) -> Program[None]:
        if node.kind == "exit":
            yield from self._exit_node(node, thread)
            return
        if not thread.alive:
            self._schedule(node, 0, Activity.WORK)
            return
        if thread.process is self.process:
            yield from self._system.begin(thread)
        if node.kind == "create":
            yield from self._create(node)
        else:
            assert node.image is not None
            image = self._system.store.find(node.image)
            assert image is not None
            if "#" in node.id:  # mapped a second time: it was freed meanwhile, which nothing reports
                self._system.unmap_image(self.process, image)
            yield from self._system.map_image(self.process, image)
            self._done(node)
        self._after_event()

    def _create(self, node: Node) -> Program[None]:
        first = node.thread == 0
        thread = self.first_thread if first else self._system.new_thread(self.process)
        self._threads[str(node.thread)] = thread
        yield from self._system.announce(thread)
        self._done(node)
        if first:
            self._on_first_thread(thread)
        leaving = self._remaining.get(f"exit {node.thread}")
        if leaving is not None and leaving.idle is not None and not self.process.ending:
            self._schedule(leaving, draw(leaving.idle, self._system.rng), Activity.TIMEOUT)

    def _exit_node(self, node: Node, thread: Thread) -> Program[None]:
        waiting = any(name in self._remaining for name in node.after) and not self.process.ending
        if waiting or thread.in_kernel:
            self._schedule(node, BUSY_IN_KERNEL, Activity.WORK)
            return
        self._done(node)
        if thread.alive:
            yield from self._exit(thread)
        else:
            self._gone(thread)  # by itself, while the end of its process had to wait for it

    def _exit(self, thread: Thread) -> Program[None]:
        yield from self._system.exit_thread(thread)
        self._gone(thread)

    def _gone(self, thread: Thread) -> None:
        if self.process.ending:
            self._exited.append(thread)
        if not self.process.live_threads():
            self._last_thread_exited(thread)
        else:
            self._after_event()

    def _last_thread_exited(self, thread: Thread) -> None:
        self.process.ending = True
        rng, launch = self._system.rng, self._launch
        if launch.observed and self._exited and rng.random() * launch.observed >= launch.exit_by_last:
            thread = rng.choice(self._exited)
        self._system.dispatcher.call(draw(launch.exit_delay, rng), thread, self._exit_process)

    def _exit_process(self) -> Program[None]:
        yield from self._system.exit_process(self.process)
        self.ended.set()

    def _done(self, node: Node) -> None:
        self._remaining.pop(node.id, None)
        self._entries.pop(node.id, None)

    def _after_event(self) -> None:
        self._consider()
        if not self._started and not any(node.phase == "start" for node in self._remaining.values()):
            self._started = True
            if not self.process.ending:
                self._await_use()
                self._on_started(self.first_thread)

    def _await_use(self) -> None:
        """Somebody at the desktop uses the window after a while, as in the recording."""
        if any(node.phase == "input" for node in self._remaining.values()):
            delay = draw(self._variant.unused, self._system.rng)
            self._system.dispatcher.call(delay, self.first_thread, self._use, Activity.TIMEOUT)

    def _use(self) -> None:
        if not self.process.ending and "input" not in self._open:
            self.use_window()
