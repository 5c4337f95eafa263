"""What holds in every trace of the model, whatever the seed and whatever the guest does."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import Recorder, Report

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.dispatcher.dispatcher import EVENT_COST
from harness.virtual.interfaces import ThreadContext
from harness.virtual.nt.system import NtSystem
from harness.virtual.target import VirtualTarget

PROCESSORS = 2
ACTIONS = st.lists(
    st.sampled_from(
        [
            ("launch", "notepad.exe"),
            ("terminate",),
            ("create-thread",),
            ("create-remote-thread",),
            ("load-library", "ole32.dll"),
            ("inject", "probe.dll"),
            ("exit", "3"),
        ]
    ),
    min_size=1,
    max_size=6,
)
NEEDS_PROCESS = {"terminate", "create-remote-thread", "inject"}


class Watch(Recorder):
    """Looks at the model itself whenever it reports something."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.system: NtSystem | None = None

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
        status = super().process_notify(
            parent_pid=parent_pid,
            pid=pid,
            create=create,
            context=context,
            image=image,
            command_line=command_line,
            exit_status=exit_status,
        )
        if self.system is not None and not create:
            self._demand_ids_of_the_ending_process(self.system, pid, context)
        return status

    @staticmethod
    def _demand_ids_of_the_ending_process(system: NtSystem, pid: int, context: ThreadContext) -> None:
        """It is reported in one of its own threads, whose id is taken still, and all of them have exited."""
        process = system.processes[pid]
        assert system.threads[context.tid].process is process
        assert process.live_threads() == []


def life(seed: int, actions: Sequence[tuple[str, ...]]) -> tuple[Watch, set[int]]:
    """A target that does ``actions`` at notepads; what it reported, and the threads that the boot left."""
    clock = Clock()
    watch = Watch(clock)
    target = VirtualTarget(watch, watch, clock, seed=seed)
    watch.system = target.system
    boot = set(target.system.threads)
    running: list[int] = []
    for step, (action, *arguments) in enumerate(actions):
        if action in NEEDS_PROCESS:
            if not running:
                continue
            pid = running.pop() if action == "terminate" else running[-1]
            target.act([action, str(pid), *arguments], step)
        else:
            result = target.act([action, *arguments], step)
            if action == "launch":
                running.append(int(result["child_pid"]))
        target.settle(50 * MILLISECOND, SECOND)
    return watch, boot


@given(seed=st.integers(0, 10_000), actions=ACTIONS)
@settings(max_examples=25)
def test_a_trace_could_be_a_machines(seed: int, actions: list[tuple[str, ...]]) -> None:
    watch, boot = life(seed, actions)
    reports = watch.reports
    check_time_and_processors(reports)
    check_ids(reports, boot)
    check_contexts(reports)
    check_images(reports)


def check_time_and_processors(reports: Sequence[Report]) -> None:
    """Time never goes back; a thread is on one processor at a time, and a processor executes one thread."""
    last: Report | None = None
    of_thread: dict[int, Report] = {}
    of_processor: dict[int, Report] = {}
    for report in reports:
        context = report.context
        assert 0 <= context.cpu < PROCESSORS
        assert last is None or report.time >= last.time
        for before in (of_thread.get(context.tid), of_processor.get(context.cpu)):
            if before is not None and before.context[:3] != context[:3]:
                assert report.time - before.time >= EVENT_COST[0], (before, report)
        last = of_thread[context.tid] = of_processor[context.cpu] = report


def check_ids(reports: Sequence[Report], boot: set[int]) -> None:
    """An id names one thing at a time, and a thread's id is taken until its process has ended."""
    processes: set[int] = set()
    threads: dict[int, int] = dict.fromkeys(boot, 0)
    ended: dict[int, int] = {}
    for report in reports:
        if report.kind == "process_create":
            assert report.pid not in processes | threads.keys() | ended.keys()
            processes.add(report.pid)
        elif report.kind == "thread_create":
            assert report.tid not in processes | threads.keys()
            assert processes.isdisjoint({ended.pop(report.tid, 0)}), "its old process has not ended yet"
            threads[report.tid] = report.pid
        elif report.kind == "thread_exit":
            threads.pop(report.tid, None)
        elif report.kind == "process_exit":
            processes.discard(report.pid)
            assert report.pid not in threads.values(), "its threads have ended"


def check_contexts(reports: Sequence[Report]) -> None:
    """Who reports what (Microsoft, the PsSet...NotifyRoutine pages)."""
    for report in reports:
        pid, tid = report.context.pid, report.context.tid
        if report.kind == "process_create":
            assert report.parent_pid == pid
        elif report.kind == "thread_exit":
            assert (pid, tid) == (report.pid, report.tid)
        elif report.kind in ("process_exit", "image_load"):
            assert pid == report.pid
        # Threads that end with their process are reported at APC_LEVEL.
        assert report.context.irql in ((0, 1) if report.kind == "thread_exit" else (0,))


def check_images(reports: Sequence[Report]) -> None:
    """No two images of a process begin at one address while it lives, as nothing here unmaps any."""
    mapped: dict[int, set[int]] = {}
    for report in reports:
        if report.kind == "image_load" and report.pid in mapped:
            assert report.base not in mapped[report.pid]
            mapped[report.pid].add(report.base)
        elif report.kind == "process_create":
            mapped[report.pid] = set()
        elif report.kind == "process_exit":
            mapped.pop(report.pid, None)
