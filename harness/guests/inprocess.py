"""The guest channel of a virtual target that runs in this very process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from harness.guests.base import ActionResult
from harness.guests.virtual import TICKS_PER_SECOND
from harness.standingrules import BrokenRule

__all__ = ["InProcessGuest", "InProcessTarget"]


class InProcessTarget(Protocol):
    """A booted target; :class:`~harness.virtual.target.VirtualTarget` says what each call does."""

    def put(self, name: str, data: bytes) -> str: ...

    def load_driver(self, name: str, path: str) -> int: ...

    def unload_driver(self, name: str) -> int: ...

    def act(self, argv: Sequence[str], step: int) -> Mapping[str, int | str]: ...

    def settle(self, quiet: int, maximum: int) -> int: ...

    def broken_rules(self) -> Sequence[BrokenRule]: ...


class InProcessGuest:
    """Commands to a target; each returns when it is done, however long a debugger holds the target."""

    def __init__(self, target: InProcessTarget) -> None:
        self._target = target

    def put(self, name: str, data: bytes) -> str:
        """See :meth:`harness.guests.base.Guest.put`."""
        return self._target.put(name, data)

    def load_driver(self, name: str, path: str) -> int:
        """See :meth:`harness.guests.base.Guest.load_driver`."""
        return self._target.load_driver(name, path)

    def unload_driver(self, name: str) -> int:
        """See :meth:`harness.guests.base.Guest.unload_driver`."""
        return self._target.unload_driver(name)

    def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
        """See :meth:`harness.guests.base.Guest.act`; target time has no deadline here."""
        answer = self._target.act(argv, step)
        values = {key: value for key, value in answer.items() if key not in ("action", "id", "pid", "status")}
        return ActionResult(str(answer["action"]), int(answer["pid"]), int(answer["status"]), values)

    def settle(self, *, quiet: float, maximum: float) -> None:
        """See :meth:`harness.guests.base.SettlingGuest.settle`."""
        self._target.settle(round(quiet * TICKS_PER_SECOND), round(maximum * TICKS_PER_SECOND))

    def broken_rules(self) -> Sequence[BrokenRule]:
        """See :meth:`harness.guests.base.RuleKeepingGuest.broken_rules`."""
        return self._target.broken_rules()
