"""The standing rules that drivers broke; see :mod:`harness.standingrules`."""

from __future__ import annotations

from collections import Counter
from typing import Final

from harness.callbacks import GROUPS
from harness.standingrules import STANDING_RULES, BrokenRule
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.windows.status import (
    STATUS_ACCESS_DENIED,
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
        self._refused: dict[tuple[str, str], BrokenRule] = {}
        """By driver and notify routine."""

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
        rule unless the same routine is taken in the end, in an older form of the call for example."""
        driver = site.driver
        if not status:
            self._refused.pop((driver, routine), None)
            return
        message = (
            f"{driver} was refused its {group} callback: {site.routine} at {place} ended with"
            f" 0x{status:08x}{_why(group, status, site)}"
        )
        self._refused.setdefault((driver, routine), BrokenRule("CallbackRefused", driver, message))

    def all(self) -> tuple[BrokenRule, ...]:
        """What is known by now."""
        return (*list(self._refused.values())[:MAX_BROKEN_RULES], *self._found.values())


def _why(group: str, status: int, site: CallSite) -> str:
    if status == STATUS_ACCESS_DENIED:
        if site.routine in _WANT_INTEGRITY:
            return " (STATUS_ACCESS_DENIED): link the driver with /INTEGRITYCHECK"
        return " (STATUS_ACCESS_DENIED): the routine lies in no loaded image"
    if status == STATUS_INVALID_PARAMETER and group in GROUPS and GROUPS[group].only_once:
        return " (STATUS_INVALID_PARAMETER): it is registered already, or there are too many of them"
    if status == STATUS_INSUFFICIENT_RESOURCES:
        return " (STATUS_INSUFFICIENT_RESOURCES): there are too many of them"
    return ""
