"""The standing rules that drivers broke; see :mod:`harness.standingrules`."""

from __future__ import annotations

from collections import Counter
from typing import Final

from harness.callbacks import GROUPS
from harness.standingrules import STANDING_RULES, BrokenRule
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
    STATUS_FLT_INSTANCE_ALTITUDE_COLLISION,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER,
)

_WANT_INTEGRITY: Final = frozenset(
    {"PsSetCreateProcessNotifyRoutineEx", "PsSetCreateProcessNotifyRoutineEx2", "ObRegisterCallbacks"}
)

__all__ = ["MAX_BROKEN_RULES", "BrokenRules"]

MAX_BROKEN_RULES: Final = 64
"""Kept of each rule, for one that is switched off is not to hide another; the first ones say most."""


class BrokenRules:
    """What was noticed, in the order in which it happened; the same at the same place counts once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], BrokenRule] = {}
        self._kept: Counter[str] = Counter()
        self._refused: dict[tuple[str, str], tuple[str, BrokenRule]] = {}
        """Driver and notify routine → the call that was refused, and what is told of it."""

    def add(self, rule: str, driver: str, place: str, message: str) -> None:
        """A driver broke a rule.

        :param place: what tells it from the same done elsewhere.
        """
        assert rule in STANDING_RULES, rule
        if (rule, driver, place) not in self._found and self._kept[rule] < MAX_BROKEN_RULES:
            self._kept[rule] += 1
            self._found[rule, driver, place] = BrokenRule(rule, driver, message)

    def knows(self, rule: str, driver: str, place: str) -> bool:
        """It was noticed before."""
        return (rule, driver, place) in self._found

    def registered(self, group: str, routine: str, status: int, site: CallSite, place: str) -> None:
        """A registration of ``routine``, its place in the driver, ended with ``status``. A refusal breaks the
        rule unless in the end the same routine is taken, or another one in an older form of the call, whose
        arguments are not the same."""
        driver = site.driver
        if not status:
            for key, (call, _) in list(self._refused.items()):
                older = call != site.routine and call.startswith(site.routine)
                if key == (driver, routine) or (key[0] == driver and older):
                    del self._refused[key]
            return
        message = (
            f"{driver} was refused its {group} callback: {site.routine} at {place} ended with"
            f" 0x{status:08x}{_why(group, status, site)}"
        )
        broken = BrokenRule("CallbackRefused", driver, message)
        self._refused.setdefault((driver, routine), (site.routine, broken))

    def all(self) -> tuple[BrokenRule, ...]:
        """What is known by now."""
        refused = [broken for _, broken in self._refused.values()]
        return (*refused[:MAX_BROKEN_RULES], *self._found.values())


def _why(group: str, status: int, site: CallSite) -> str:
    if status == STATUS_ACCESS_DENIED:
        if site.routine in _WANT_INTEGRITY:
            return " (STATUS_ACCESS_DENIED): link the driver with /INTEGRITYCHECK"
        return " (STATUS_ACCESS_DENIED): the routine lies in no loaded image"
    if status == STATUS_INVALID_PARAMETER and group in GROUPS and GROUPS[group].only_once:
        return " (STATUS_INVALID_PARAMETER): it is registered already, or there are too many of them"
    if status == STATUS_FLT_INSTANCE_ALTITUDE_COLLISION:
        return " (STATUS_FLT_INSTANCE_ALTITUDE_COLLISION): another registration has its altitude"
    if status == STATUS_INSUFFICIENT_RESOURCES:
        return " (STATUS_INSUFFICIENT_RESOURCES): there are too many of them"
    return ""
