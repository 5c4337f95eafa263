"""What holds in every trace of a target that executes a driver, whatever the policy."""

from __future__ import annotations

from typing import Any

import pytest
from booted import ListedDebugger
from recorder import Report
from test_nt_traces import check_contexts, check_ids, check_images
from tried_policies import POLICIES_TRIED

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget


class WitnessedKernel(Kernel):
    """Writes down what it is told before the driver's callbacks are called."""

    def __init__(self, debugger: ListedDebugger, clock: Clock) -> None:
        self.reports: list[Report] = []
        self._time = clock
        super().__init__(debugger, clock)

    def _saw(self, kind: str, context: ThreadContext, **known: Any) -> None:
        row = {"pid": 0, "tid": 0, "parent_pid": 0, "image": None, "base": 0} | known
        self.reports.append(Report(kind, context=context, time=self._time.now, **row))

    def process_notify(
        self, *, parent_pid: int, pid: int, create: bool, context: ThreadContext, **more: Any
    ) -> int | Program[int]:
        kind = "process_create" if create else "process_exit"
        self._saw(kind, context, pid=pid, parent_pid=parent_pid)
        return super().process_notify(parent_pid=parent_pid, pid=pid, create=create, context=context, **more)

    def thread_notify(
        self, *, pid: int, tid: int, create: bool, context: ThreadContext
    ) -> Program[None] | None:
        self._saw("thread_create" if create else "thread_exit", context, pid=pid, tid=tid)
        return super().thread_notify(pid=pid, tid=tid, create=create, context=context)

    def image_notify(self, *, name: str | None, pid: int, base: int, **more: Any) -> Program[None] | None:
        if pid:
            self._saw("image_load", more["context"], pid=pid, image=name, base=base)
        return super().image_notify(name=name, pid=pid, base=base, **more)


class OneProcessorAThread:
    """Looks at a dispatcher's every step: no processor has two threads, and time never goes back."""

    def __init__(self, target: VirtualTarget) -> None:
        dispatcher = target.system.dispatcher
        self._clock, self._last = dispatcher.clock, 0
        self.steps = 0
        step = dispatcher.step

        def witnessed() -> Any:
            threads = target.system.threads.values()
            occupied = [t.processor for t in threads if t.busy_until > self._clock.now]
            assert len(occupied) == len(set(occupied)), "a processor executes two threads"
            done = step()
            assert self._clock.now >= self._last, "time went back"
            self._last = self._clock.now
            self.steps += 1
            return done

        dispatcher.step = witnessed  # type: ignore[method-assign]


@pytest.mark.parametrize("policy", POLICIES_TRIED)
@pytest.mark.parametrize("seed", range(4))
def test_a_trace_of_a_driven_target_could_be_a_machines(procnotify: bytes, seed: int, policy: str) -> None:
    debugger, clock = ListedDebugger(), Clock()
    kernel = WitnessedKernel(debugger, clock)
    target = VirtualTarget(kernel, debugger, clock, seed=seed, policy=policy)
    witness = OneProcessorAThread(target)
    boot = set(target.system.threads)
    assert target.load_driver("procnotify", target.put("procnotify.sys", procnotify)) == 0
    for step in range(4):
        pid = str(target.act(["launch", "notepad.exe"], step)["child_pid"])
        target.act(["launch", "cmd.exe"], step)
        target.settle(300 * MILLISECOND, step * SECOND)
        target.act(["inject", pid, "probe.dll"], step)
        target.act(["terminate", pid], step)
    assert target.unload_driver("procnotify") == 0
    assert witness.steps > 500
    assert len(kernel.reports) > 150
    times = [report.time for report in kernel.reports]
    assert times == sorted(times)
    check_ids(kernel.reports, boot)
    check_contexts(kernel.reports)
    check_images(kernel.reports)
