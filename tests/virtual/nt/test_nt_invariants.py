"""What can never happen on a machine, whatever the seed: two things in one place at one time."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from recorder import Recorder

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.dispatcher.dispatcher import Dispatcher
from harness.virtual.interfaces import ThreadContext
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.target import VirtualTarget

SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thread_runs_on_one_processor_at_a_time(seed: int) -> None:
    """Four processors are idle, so nothing but the thread itself keeps its next event waiting."""
    clock = Clock()
    dispatcher = Dispatcher(clock, Random(seed), processors=4)
    process = Process(pid=8, parent_pid=4, name="a.exe", image="", session=0)
    thread = Thread(tid=12, process=process, ordinal=0)
    ran: list[int] = []
    for _ in range(20):
        dispatcher.call(0, thread, lambda: ran.append(clock.now))
    ends: list[int] = []
    while len(ran) < 20:
        if dispatcher.step() is not None:
            ends.append(thread.busy_until)
    assert all(end <= begun for end, begun in zip(ends, ran[1:], strict=False))
    assert ran == sorted(ran)


class Witness(Recorder):
    """Looks at the model's threads whenever a process's exit is reported."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.target: VirtualTarget | None = None
        self.exits = 0

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
        if not create:
            assert self.target is not None
            owner = self.target.system.threads.get(context.tid)
            assert owner is not None, "the thread that reports the exit has no id any more"
            assert owner.process.pid == pid == context.pid
            self.exits += 1
        return super().process_notify(
            parent_pid=parent_pid,
            pid=pid,
            create=create,
            context=context,
            image=image,
            command_line=command_line,
            exit_status=exit_status,
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ids_of_a_process_s_threads_stay_taken_until_its_exit_is_reported(seed: int) -> None:
    witness = Witness(Clock())
    target = witness.target = VirtualTarget(witness, witness, witness.clock, seed=seed)
    pid = target.act(["launch", "notepad.exe"], 1)["child_pid"]
    target.settle(300 * MILLISECOND, 20 * SECOND)
    target.act(["terminate", str(pid)], 2)
    target.settle(300 * MILLISECOND, 20 * SECOND)
    assert witness.exits >= 3
    assert {report.kind for report in witness.reports if report.pid == pid} >= {"process_exit", "thread_exit"}


def overlapping(process: Process) -> list[tuple[int, int]]:
    spans = sorted((mapped.base, mapped.base + mapped.size) for mapped in process.mapped.values())
    return [(low[1], high[0]) for low, high in pairwise(spans) if low[1] > high[0]]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_images_of_a_process_lie_in_one_place(seed: int) -> None:
    recorder = Recorder(Clock())
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=seed)
    store = target.system.store
    wanted, other = store.find("version.dll"), store.find("notepad.exe")
    assert wanted is not None and other is not None
    store._bases[wanted.path.casefold()] = store.base(other)  # a boot that would map both in one place
    pid = int(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 20 * SECOND)
    target.act(["inject", str(pid), wanted.path], 2)
    process = target.system.processes[pid]
    assert {wanted.path.casefold(), other.path.casefold()} <= set(process.mapped)
    assert overlapping(process) == []
