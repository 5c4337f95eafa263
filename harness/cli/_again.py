"""The command line that does one run of many again."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.events import WitnessName
from harness.runs.opening import NO_DEBUGGER

__all__ = ["again", "shown_words"]

_QUOTE = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
"""Words as this system's shell takes them."""
_VIRTUAL, _NATIVE = "virtual", "native"


def shown_words(words: Iterable[str]) -> str:
    """A command line, as this system's shell takes it."""
    return _QUOTE(list(words))


def again(
    machine: str,
    debugger: str,
    drivers: Iterable[Path],
    policy: str | None,
    processors: int | None,
    print_masks: Mapping[str, int],
    *,
    kdfiles: bool,
    strict: bool,
    witness: WitnessName | None,
    rules_off: frozenset[str],
    in_project: bool = False,
) -> Iterator[str]:
    """The options that decide what comes of one seed. What came without a debugger comes with the usual one
    too, and can be looked at there.

    :param in_project: a project's file has defaults, so nothing goes without saying.
    """
    if in_project or machine != _VIRTUAL:
        yield from ("--machine", machine)
    if in_project or debugger not in (_NATIVE, NO_DEBUGGER):
        yield from ("--debugger", debugger)
    for driver in drivers:
        yield from ("--driver", str(driver))
    if policy is not None:
        yield from ("--policy", policy)
    if processors is not None:
        yield from ("--processors", str(processors))
    for component, mask in print_masks.items():
        yield from ("--print-mask", f"{component}=0x{mask:x}")
    if kdfiles:
        yield "--kdfiles"
    if strict:
        yield "--strict"
    if witness is not None:
        yield from ("--witness", witness)
    for rule in sorted(rules_off):
        yield from ("--without-rule", rule)
