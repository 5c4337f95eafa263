"""The guest channel of the virtual target: its control protocol, out of band of the debugger's link."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from harness.errors import TargetLost
from harness.guests.base import ActionResult
from harness.guests.control import ControlChannel
from harness.standingrules import BrokenRule

__all__ = ["TICKS_PER_SECOND", "VirtualGuest"]

TICKS_PER_SECOND = 10_000_000
"""The target's clock counts in units of 100 ns."""
_AT_ONCE_SECONDS = 10.0
"""For what the target answers at any time, whatever it does or stands in."""


class VirtualGuest:
    """Commands to a booted virtual target.

    :param channel: the target's process.
    :param timeout: seconds of host time that one command may take, however slow the debugger is. The caller
        watches for silence; this bound only makes sure that no command waits for ever.
    """

    def __init__(self, channel: ControlChannel, *, timeout: float = 300.0) -> None:
        self._channel = channel
        self._timeout = timeout

    def put(self, name: str, data: bytes) -> str:
        """See :meth:`harness.guests.base.Guest.put`."""
        answer = self._call("put", name=name, data=base64.b64encode(data).decode("ascii"))
        return str(_field(answer, "path", str, "put"))

    def load_driver(self, name: str, path: str) -> int:
        """See :meth:`harness.guests.base.Guest.load_driver`."""
        return _number(self._call("load_driver", name=name, path=path), "status", "load_driver")

    def unload_driver(self, name: str) -> int:
        """See :meth:`harness.guests.base.Guest.unload_driver`."""
        return _number(self._call("unload_driver", name=name), "status", "unload_driver")

    def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
        """See :meth:`harness.guests.base.Guest.act`."""
        answer = self._channel.call("act", {"argv": argv, "step": step}, timeout=timeout)
        action = str(_field(answer, "action", str, "act"))
        pid, status = _number(answer, "pid", "act"), _number(answer, "status", "act")
        values = {
            key: value
            for key, value in answer.items()
            if key not in ("action", "id", "pid", "status") and isinstance(value, int | str)
        }
        return ActionResult(action=action, pid=pid, status=status, values=values)

    def settle(self, *, quiet: float, maximum: float) -> None:
        """See :meth:`harness.guests.base.SettlingGuest.settle`."""
        self._call("settle", quiet=round(quiet * TICKS_PER_SECOND), max=round(maximum * TICKS_PER_SECOND))

    def broken_rules(self) -> Sequence[BrokenRule]:
        """See :meth:`harness.guests.base.RuleKeepingGuest.broken_rules`."""
        answer = self._channel.call("broken_rules", {}, timeout=_AT_ONCE_SECONDS)
        told = _field(answer, "broken_rules", list, "broken_rules")
        return [_broken_rule(entry) for entry in told]

    def _call(self, call: str, /, **args: Any) -> dict[str, Any]:
        return self._channel.call(call, args, timeout=self._timeout)


def _field(answer: dict[str, Any], key: str, kind: type, call: str) -> Any:
    value = answer.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TargetLost(f"the virtual target answered {call!r} without a proper {key!r}: {answer!r:.200}")
    return value


def _broken_rule(entry: Any) -> BrokenRule:
    try:
        rule, driver, message = entry
    except (TypeError, ValueError):
        raise TargetLost(f"the virtual target told of a broken rule without sense: {entry!r:.200}") from None
    return BrokenRule(str(rule), str(driver), str(message))


def _number(answer: dict[str, Any], key: str, call: str) -> int:
    return int(_field(answer, key, int, call))
