"""A booted virtual target on a KD link: kernel, model and KD stub wired together.

One thread drives it. While it has nothing to do it looks after the link (:meth:`ServedTarget.idle`): KDNET's
pokes every three seconds, and a break-in that stops it in nt!DbgBreakPointWithStatus.

Two clocks. The model's moves by what happens in the model alone, so that a debugger's doings cannot change a
driver's lines. What a debugger sees in KUSER_SHARED_DATA adds to it the time that the target spent with
nothing to do: one clock tick for every stop that the debugger ended, so that a target that answers twice
shows that time moves, and in a target that serves alone also the wall clock's time (``idle_clock``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from harness.kd.session import Session
from harness.printmasks import PrintMasks
from harness.standingrules import BrokenRule
from harness.virtual.boot import boot
from harness.virtual.callbackcalls import CallLog
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.interfaces import KernelClock
from harness.virtual.kernel.structures.shareddata import TICK
from harness.virtual.stub.link import TargetLink
from harness.virtual.stub.stub import KdStub
from harness.virtual.stub.view import DebuggerView, Times
from harness.virtual.stub.wire import LinkWire
from harness.virtual.target import DEFAULT_PROFILE, PROCESSORS, TargetStatus

__all__ = ["DebuggerClock", "ServedTarget"]

_IDLE_SLEEP: Final = 1.0
"""Longest sleep of an idle target; only a bound, whatever arrives ends it."""


class DebuggerClock:
    """What a debugger sees in KUSER_SHARED_DATA: the model's time and the idle time; never less than at the
    last look.

    :param idle_clock: see :class:`ServedTarget`.
    """

    def __init__(self, clock: KernelClock, stub: KdStub, idle_clock: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._stub = stub
        self._idle_clock = idle_clock
        self._last = 0

    def __call__(self) -> Times:
        self._last = max(self._last, self._clock.now + self._stub.stops * TICK + self._idle_clock())
        return Times(self._last, self._clock.system_time - self._clock.now + self._last)


class ServedTarget:
    """One boot.

    :param session: the target's end of a session that begins with this boot, see
        :mod:`harness.virtual.kdport`.
    :param wire: what the session's link lies on; outlives the boot.
    :param now: a monotonic clock in seconds, for the link's timers only.
    :param policy: who goes first where the order is open.
    :param print_masks: of components whose mask is not Windows' own.
    :param idle_clock: target time (100 ns units) that passed while nothing ran; see the module's text.
    """

    def __init__(
        self,
        session: Session,
        wire: LinkWire,
        *,
        now: Callable[[], float],
        seed: int,
        profile: str = DEFAULT_PROFILE,
        policy: str | Policy = POLICIES[0],
        processors: int = PROCESSORS,
        print_masks: PrintMasks | None = None,
        idle_clock: Callable[[], int] = lambda: 0,
    ) -> None:
        self._link = TargetLink(session, wire, now)
        self.stub = KdStub(self._link, now)
        self._kernel, self._target, clock = boot(
            self.stub,
            seed=seed,
            profile=profile,
            policy=policy,
            processors=processors,
            print_masks=print_masks,
        )
        shown_times = DebuggerClock(clock, self.stub, idle_clock)
        self.stub.attach(self._kernel, DebuggerView(self._kernel, shown_times))

    @property
    def debugger_present(self) -> bool:
        """A debugger has answered and is still there."""
        return self._link.present

    @property
    def stops(self) -> int:
        """How often the debugger has let the target go."""
        return self.stub.stops

    def put(self, name: str, data: bytes) -> str:
        """See :meth:`VirtualTarget.put`."""
        return self._target.put(name, data)

    def load_driver(self, name: str, path: str) -> int:
        """See :meth:`VirtualTarget.load_driver`. A file that the debugger maps (``.kdfiles``) replaces the
        guest's copy first, as in Windows."""
        mapped = self.stub.fetch_driver(path)
        if mapped is not None:
            self._target.system.store.replace(path, mapped)
        return self._target.load_driver(name, path)

    def unload_driver(self, name: str) -> int:
        """See :meth:`VirtualTarget.unload_driver`."""
        return self._target.unload_driver(name)

    def act(self, argv: Sequence[str], step: int) -> dict[str, Any]:
        """See :meth:`VirtualTarget.act`."""
        return dict(self._target.act(argv, step))

    def settle(self, quiet: int, maximum: int) -> int:
        """See :meth:`VirtualTarget.settle`."""
        return self._target.settle(quiet, maximum)

    @property
    def calls(self) -> CallLog:
        """What the kernel remembers of the callbacks that it called."""
        return self._kernel.calls

    def broken_rules(self) -> Sequence[BrokenRule]:
        """See :meth:`VirtualTarget.broken_rules`."""
        return self._target.broken_rules()

    def status(self) -> TargetStatus:
        """See :meth:`VirtualTarget.status`; ``halted`` while the debugger holds the target."""
        status = self._target.status()
        if self.stub.halted and status.state == "running":
            return TargetStatus("halted", status.time, "in the debugger")
        return status

    def idle(self, wanted: Callable[[], bool] = lambda: False) -> None:
        """Look after the link until something arrives (from the debugger, or on what the wire watches).

        :param wanted: asked before going to sleep: looking after the link may have brought work already.
        """
        state = self._target.status().state
        if state == "hung":
            self.stub.poll_hung()
        elif state == "running":
            self.stub.poll()
        # A target that bugchecked has told the debugger that it reboots: it stays silent until it does.
        if not wanted():
            self._link.wait(_IDLE_SLEEP, silent=state == "bugchecked")
