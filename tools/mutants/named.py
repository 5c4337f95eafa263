"""The changes by hand that no test noticed once, as they are made to today's code.

Where the code moves on, a text here no longer occurs exactly once, and ``tests/tools`` says so: write the
change anew for the code as it is then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.mutants.mutation import Mutation, MutationError

__all__ = ["NAMED", "NamedChange"]


@dataclass(frozen=True)
class NamedChange:
    """A text that occurs once in a file, and what it becomes."""

    says: str
    """What the changed code does wrong."""
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def mutation(self, root: Path, name: str) -> Mutation:
        """The change in a tree, called ``name``.

        :raises MutationError: the text is not there exactly once.
        """
        before = (root / self.path).read_text(encoding="utf-8")
        if before.count(self.old) != 1:
            raise MutationError(f"{name}: {self.path} has its text {before.count(self.old)} times, not once")
        return Mutation(name, self.path, before, before.replace(self.old, self.new), self.tests)


_ORDER = ("tests/order",)
_RUN = ("tests/runs",)
_KD = ("tests/kd",)
_NT = ("tests/virtual/nt",)
_KERNEL = ("tests/virtual/kernel",)
_STUB = ("tests/virtual/stub",)

NAMED: dict[str, NamedChange] = {
    # The order of events
    "gap-of-another-branch": NamedChange(
        "an event claimed by one branch of any_order may break the gap of another",
        "harness/order/terms.py",
        "(other, event, bindings) for other in others):",
        "(other, event, bindings) or True for other in others):",
        _ORDER,
    ),
    "looser-within": NamedChange(
        "of two limits on one gap the looser one holds",
        "harness/order/ops.py",
        "min(limits, default=None)",
        "max(limits, default=None)",
        _ORDER,
    ),
    "within-between-rounds": NamedChange(
        "a limit between two rounds of a repeat does not hold",
        "harness/order/terms.py",
        "inner = Rest(inner.op, inner.place, inner.inner, inner.gap, False, time)",
        "inner = Rest(inner.op, inner.place, inner.inner, NO_GAP, False, None)",
        _ORDER,
    ),
    "variable-of-an-absent-field": NamedChange(
        "a variable is bound to the nothing of a field that the line does not carry",
        "harness/order/patterns.py",
        "            elif value is None:\n                return None\n",
        "",
        _ORDER,
    ),
    # A run
    "fewer-than-counted": NamedChange(
        "one line fewer than the driver counted is no loss",
        "harness/trace/loss.py",
        "if arrived < said:",
        "if arrived < said - 1:",
        ("tests/trace",),
    ),
    "more-than-counted": NamedChange(
        "one line more than the driver counted is overlooked",
        "harness/trace/loss.py",
        "elif arrived > said:",
        "elif arrived > said + 1:",
        ("tests/trace",),
    ),
    "loss-is-judged": NamedChange(
        "a trace with lines missing is judged all the same",
        "harness/verdict/judge.py",
        "not loss.complete:",
        "loss.lost:",
        ("tests/verdict",),
    ),
    "unload-status-limit": NamedChange(
        "a status of warning severity is taken for success",
        "harness/toolchain/windows_errors.py",
        "return status & 0xFFFF_FFFF >= NT_ERROR",
        "return status & 0xFFFF_FFFF > NT_ERROR",
        _RUN,
    ),
    "unload-status-sign": NamedChange(
        "a status that comes as a negative number is taken for success",
        "harness/toolchain/windows_errors.py",
        "return status & 0xFFFF_FFFF >= NT_ERROR",
        "return status >= NT_ERROR",
        _RUN,
    ),
    "no-patience-for-lines": NamedChange(
        "lines that come do not make the wait for another one longer",
        "harness/runs/livetarget.py",
        "            if self._pump(self._watch.lines / 20):\n                quiet_since = monotonic()\n",
        "            if self._pump(self._watch.lines / 20):\n                pass\n",
        _RUN,
    ),
    "no-patience-for-calls": NamedChange(
        "lines that come do not make the wait for the guest longer",
        "harness/runs/livetarget.py",
        "            if self._pump(POLL_SECONDS):\n                quiet_since = monotonic()\n",
        "            if self._pump(POLL_SECONDS):\n                pass\n",
        _RUN,
    ),
    # The link
    "one-reset": NamedChange(
        "one RESET is sent to a silent target, not two",
        "harness/kd/session.py",
        "_MAX_RESETS: Final = 2",
        "_MAX_RESETS: Final = 1",
        _KD,
    ),
    "three-resets": NamedChange(
        "three RESETs are sent to a silent target, not two",
        "harness/kd/session.py",
        "_MAX_RESETS: Final = 2",
        "_MAX_RESETS: Final = 3",
        _KD,
    ),
    "reserved-bits": NamedChange(
        "a datagram whose header has reserved bits set is taken",
        "harness/kd/kdnet.py",
        "header & 0x70 or ",
        "",
        _KD,
    ),
    "limit-of-offers": NamedChange(
        "one offer more than the limit is kept",
        "harness/kd/kdnet_host.py",
        "if len(self._offers) > MAX_OFFERS:",
        "if len(self._offers) > MAX_OFFERS + 1:",
        _KD,
    ),
    "offers-without-limit": NamedChange(
        "every offer is kept",
        "harness/kd/kdnet_host.py",
        "if len(self._offers) > MAX_OFFERS:",
        "if not self._offers:",
        _KD,
    ),
    "ids-kept-over-sessions": NamedChange(
        "the host remembers the last packet of the target before",
        "harness/kd/session.py",
        "        elif fresh:\n            self._ids.forget()\n",
        "        elif fresh:\n",
        _KD,
    ),
    "target-keeps-ids-over-sessions": NamedChange(
        "the target remembers the last packet of the debugger before",
        "harness/kd/session.py",
        "            self._ids.forget()\n            self._delivery.postpone(now)\n",
        "            self._delivery.postpone(now)\n",
        _KD,
    ),
    # The virtual target
    "thread-on-two-processors": NamedChange(
        "a thread may run on two processors at a time",
        "harness/virtual/dispatcher/dispatcher.py",
        "free_at = max(free_at, thread.busy_until)",
        "free_at = max(free_at, 0)",
        _NT,
    ),
    "tid-reused-too-early": NamedChange(
        "a TID is given out again before the exit of its process is reported",
        "harness/virtual/nt/system.py",
        "if not thread.process.ending:",
        "if thread.process is not None:",
        _NT,
    ),
    "two-images-at-one-base": NamedChange(
        "an image is mapped where another one lies",
        "harness/virtual/nt/system.py",
        "            base -= CONFLICT_STEP\n",
        "            break\n",
        _NT,
    ),
    "timer-fires-once": NamedChange(
        "a periodic timer fires once",
        "harness/virtual/kernel/deferred.py",
        "        if period:\n",
        "        if period < 0:\n",
        _KERNEL,
    ),
    "timer-without-period": NamedChange(
        "a periodic timer's period is counted in units of another size",
        "harness/virtual/kernel/exports/kedpc.py",
        "(period & 0xFFFF_FFFF) * 10_000,",
        "(period & 0xFFFF_FFFF) * 1_000,",
        _KERNEL,
    ),
    "stop-not-told-to-the-next": NamedChange(
        "a debugger that connects while the target is halted is not told about the stop",
        "harness/virtual/stub/stub.py",
        "                if link.reconnects != connection:\n                    break\n",
        "",
        _STUB,
    ),
    "break-in-while-halted": NamedChange(
        "a break-in at a halted target does not have the stop told again",
        "harness/virtual/stub/stub.py",
        "if not known and self._now() - heard_at > _RESTATE_AFTER:",
        "if known and self._now() - heard_at > _RESTATE_AFTER:",
        _STUB,
    ),
    "plain-and-ex-are-one": NamedChange(
        "a routine cannot be registered in both forms",
        "harness/virtual/kernel/callbacks.py",
        "any(c.routine == callback.routine and c.extended == callback.extended for c in routines)",
        "any(c.routine == callback.routine for c in routines)",
        _KERNEL,
    ),
    "removal-takes-either-form": NamedChange(
        "removing one form of a routine may take the other one out",
        "harness/virtual/kernel/callbacks.py",
        "if callback.routine == routine and extended in (None, callback.extended):",
        "if callback.routine == routine:",
        _KERNEL,
    ),
    "success-is-a-veto": NamedChange(
        "a success code other than 0 in CreationStatus forbids the process",
        "harness/virtual/nt/win32.py",
        "if failed(process.creation_status):",
        "if process.creation_status:",
        _NT,
    ),
}
"""Name → change."""
