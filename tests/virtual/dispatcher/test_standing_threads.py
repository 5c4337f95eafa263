"""What waits in the middle: its thread, its processor, and everything else that goes on meanwhile."""

from __future__ import annotations

from random import Random

import pytest
from recorder import Recorder

from harness.virtual.clock import MICROSECOND, MILLISECOND, SECOND, Clock
from harness.virtual.dispatcher.dispatcher import Activity, Dispatcher
from harness.virtual.dispatcher.program import Program, Signal, ThreadWait, begin, ended
from harness.virtual.interfaces import ThreadContext
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.target import VirtualTarget

PROCESS = Process(pid=8, parent_pid=4, name="a.exe", image="", session=0)


def thread(tid: int) -> Thread:
    return Thread(tid=tid, process=PROCESS, ordinal=tid // 4)


def machine(processors: int = 2) -> Dispatcher:
    return Dispatcher(Clock(), Random(1), processors=processors)


def run_out(dispatcher: Dispatcher) -> None:
    while dispatcher.next_time() is not None:
        dispatcher.step()


def test_a_call_that_does_not_wait_ends_at_once_and_one_that_waits_hands_back_its_rest() -> None:
    def waits(times: int) -> Program[str]:
        for _ in range(times):
            yield 1
        return "done"

    assert begin(waits(0)) == "done"
    rest = begin(waits(2))
    assert not isinstance(rest, str)
    assert list(rest) == [1, 1]

    def outer() -> Program[str]:
        return (yield from ended(begin(waits(2)))) + "!"

    outermost = outer()
    assert [next(outermost), next(outermost)] == [1, 1]
    with pytest.raises(StopIteration) as end:
        next(outermost)
    assert end.value.value == "done!"


def test_the_other_work_of_a_thread_that_stands_waits_and_other_threads_go_on() -> None:
    dispatcher, seen, signal = machine(), [], Signal()
    first, second = thread(12), thread(16)

    def stands() -> Program[None]:
        seen.append("stands")
        yield ThreadWait(signal)
        seen.append("goes on")

    dispatcher.run_thread(first, stands())
    dispatcher.call(MICROSECOND, first, lambda: seen.append("later work"))
    dispatcher.call(SECOND, second, lambda: (seen.append("other thread"), signal.set())[0])
    run_out(dispatcher)
    assert seen == ["stands", "other thread", "goes on", "later work"]
    assert dispatcher.clock.now >= SECOND


def test_a_thread_that_stands_counts_as_pending_until_it_goes_on() -> None:
    dispatcher, signal = machine(), Signal()

    def stands() -> Program[None]:
        yield ThreadWait(signal)

    dispatcher.run_thread(thread(12), stands())
    dispatcher.step()
    assert dispatcher.next_time() is None
    assert dispatcher.pending(Activity.WORK) == 1
    signal.set()
    run_out(dispatcher)
    assert dispatcher.pending(Activity.WORK) == 0


def test_a_processor_that_is_held_runs_nothing_else_and_its_holder_goes_on_there() -> None:
    dispatcher, where = machine(processors=1), []
    holder, other = thread(12), thread(16)

    def spins() -> Program[None]:
        where.append(("spins", dispatcher.context.cpu, dispatcher.clock.now))
        yield ThreadWait(MILLISECOND, holds_processor=True)
        where.append(("goes on", dispatcher.context.cpu, dispatcher.clock.now))

    dispatcher.run_thread(holder, spins())
    dispatcher.call(10 * MICROSECOND, other, lambda: where.append(("other", 0, dispatcher.clock.now)))
    run_out(dispatcher)
    assert [what for what, _, _ in where] == ["spins", "goes on", "other"]
    assert where[1][2] - where[0][2] == MILLISECOND


def test_two_processors_that_wait_for_each_other_are_stuck_and_somebody_is_told() -> None:
    dispatcher = machine(processors=2)

    def spins() -> Program[None]:
        yield ThreadWait(Signal(), holds_processor=True)

    def stuck() -> None:
        raise RuntimeError("stuck")

    dispatcher.when_stuck = stuck
    for tid in (12, 16, 20):
        dispatcher.run_thread(thread(tid), spins())
    with pytest.raises(RuntimeError, match="stuck"):
        for _ in range(10):
            dispatcher.step()


class SlowCallbacks(Recorder):
    """A kernel in which every callback takes a while."""

    def __init__(self, clock: Clock, pause: int) -> None:
        super().__init__(clock)
        self._pause = pause
        self.inside: dict[tuple[int, int], str] = {}
        self.overlaps = 0

    def _callback(self, what: str, context: ThreadContext) -> Program[int]:
        key = (context.pid, context.tid)
        assert key not in self.inside, "a thread is in two callbacks at a time"
        self.overlaps += bool(self.inside)
        self.inside[key] = what
        yield ThreadWait(self._pause)
        del self.inside[key]
        return 0

    def process_notify(self, *, context: ThreadContext, **known) -> Program[int]:
        super().process_notify(context=context, **known)
        return self._callback("process", context)

    def thread_notify(self, *, context: ThreadContext, **known) -> Program[int]:
        super().thread_notify(context=context, **known)
        return self._callback("thread", context)

    def image_notify(self, *, context: ThreadContext, **known) -> Program[int]:
        super().image_notify(context=context, **known)
        return self._callback("image", context)


@pytest.mark.parametrize("pause", [50 * MILLISECOND, 200 * MILLISECOND, SECOND])
@pytest.mark.parametrize("seed", range(3))
def test_programs_wait_for_the_callbacks_they_cause_and_come_to_their_end(seed: int, pause: int) -> None:
    clock = Clock()
    kernel = SlowCallbacks(clock, pause)
    target = VirtualTarget(kernel, kernel, clock, seed=seed)
    pid = int(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 200 * SECOND)
    target.act(["create-thread"], 2)
    target.act(["terminate", str(pid)], 3)
    mine = [report for report in kernel.reports if report.pid == pid]
    kinds = [report.kind for report in mine]
    assert kinds[:2] == ["process_create", "thread_create"]
    assert kinds[-1] == "process_exit"
    assert kinds.count("thread_create") == kinds.count("thread_exit")
    images = [(report.image or "").rpartition("\\")[2] for report in mine if report.kind == "image_load"]
    assert images[:2] == ["notepad.exe", "ntdll.dll"]
    assert kernel.overlaps > 0, "the callbacks of different threads overlap"


def test_a_process_that_is_ended_while_its_threads_stand_in_callbacks_ends_all_the_same() -> None:
    clock = Clock()
    kernel = SlowCallbacks(clock, 300 * MILLISECOND)
    target = VirtualTarget(kernel, kernel, clock, seed=3)
    for step in range(4):
        pid = int(target.act(["launch", "notepad.exe"], step)["child_pid"])
        target.settle(step * 200 * MILLISECOND, step * 200 * MILLISECOND)
        target.act(["terminate", str(pid)], 10 + step)
        kinds = [report.kind for report in kernel.reports if report.pid == pid]
        assert kinds[-1] == "process_exit"
        assert kinds.count("thread_create") == kinds.count("thread_exit")
