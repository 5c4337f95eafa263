"""The standing rules about memory that is accessed: pool that is freed, what lies behind pool, NULL, and
what a callback was handed once, objects that are gone; and about what of a driver stops the target.

Sources: Microsoft, *Special Pool*; *NullCheck rule (wdm)*; *Life Cycle of an Object*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from harness.virtual.cpu.stops import Faulted
from harness.virtual.cpu.traps import BugcheckRaised
from harness.virtual.kernel.belongings import CallSite
from harness.virtual.kernel.heap import is_stale
from harness.virtual.kernel.pool import REQUEST_TAG, PoolBlock

if TYPE_CHECKING:
    from harness.virtual.kernel.system import System

__all__ = ["LOCK_HIERARCHY", "explains", "tell_gone", "tell_kept", "tell_null", "tell_pool", "tell_stop"]

_VERBS: Final[Mapping[str, str]] = {"read": "reads", "write": "writes to", "execute": "executes"}
_MAY_BE_ASKED: Final = frozenset({"MmIsAddressValid"})
"""Of any address."""
LOCK_HIERARCHY: Final = (0xC4, 0x1001)
"""Bugcheck and parameter 1 of Driver Verifier's deadlock detection, which has a rule of its own."""
NO_ACCESS: Final = 0x1_0000
"""Below it nothing is ever mapped: an address there is NULL, or a field of what NULL points to."""


def tell_pool(system: System, fault: Faulted, driver: str | None, place: str) -> None:
    """What is not mapped was accessed: a rule is broken where that was pool, or lies behind some.

    :param driver: whose code did it. None: the kernel did by itself, so that what was freed holds something
        that is still in use, a timer that is set or an event that is waited for.
    :param place: of the code, ``at driver.sys+0x1234``.
    """
    if driver is not None and system.broken_rules.knows("SpecialPool", driver, place):
        return
    what, block = "freed pool", system.pool.freed_at(fault.address)
    if block is None:
        block = system.pool.before(fault.address)
        if block is None:
            return
        what = f"what lies behind {block.size} bytes of pool"
    origin = _origin(system, block)
    if driver is not None:
        message = f"{driver} {_VERBS[fault.access]} {what}, {place}{origin and f': {origin}'}"
        system.broken_rules.add("SpecialPool", driver, place, message)
    elif block.owner is not None:
        message = (
            f"{block.owner} left something in use where the kernel {_VERBS[fault.access]} {what}: {origin}"
        )
        system.broken_rules.add("SpecialPool", block.owner, origin, message)


def tell_null(system: System, address: int, driver: str, place: str) -> None:
    """A driver's code accessed an address, and the target stops for it.

    :param place: of the code, ``at driver.sys+0x1234``.
    """
    if address < NO_ACCESS:
        message = f"{driver} uses a NULL pointer, address 0x{address:x}, {place}"
        system.broken_rules.add("NullCheck", driver, place, message)


def tell_kept(system: System, address: int, driver: str, place: str) -> None:
    """A driver's code accessed an address that cannot be: it may have kept what a callback was handed.

    :param place: of the code, ``at driver.sys+0x1234``.
    """
    if is_stale(address):
        message = f"{driver} uses what a callback was handed, after it has returned, {place}"
        system.broken_rules.add("CallbackKeepsArguments", driver, place, message)


def tell_gone(system: System, address: int) -> None:
    """The export that is being served was handed a process or thread object that is gone. PsGetThreadId and
    PsGetThreadProcessId are not served, but code of the kernel's image: they read what is there now."""
    site = system.call_site()
    if site is not None and site.routine not in _MAY_BE_ASKED:
        what, place = system.objects.gone[address], system.place(site.address)
        message = (
            f"{site.driver} calls {site.routine} for {what}, which is gone, at {place}: it holds no reference"
        )
        system.broken_rules.add("UnreferencedObjects", site.driver, place, message)


def explains(system: System, driver: str, place: str) -> bool:
    """One of the rules about memory tells already what is wrong there."""
    rules = ("SpecialPool", "NullCheck", "CallbackKeepsArguments", "UnreferencedObjects")
    return any(system.broken_rules.knows(rule, driver, place) for rule in rules)


def tell_stop(system: System, raised: BugcheckRaised, driver: str, what: str, place: str) -> None:
    """What a driver did ends in a bugcheck, whose parameters tell nothing of the driver's code.

    :param what: it did, ``calls ExFreePool``.
    :param place: of the code, ``at driver.sys+0x1234``.
    """
    if (raised.code, raised.parameters[0]) == LOCK_HIERARCHY:
        return
    blocks = (system.pool.holds(parameter) for parameter in raised.parameters)
    block = next((block for block in blocks if block is not None), None)
    of = f"; of {block.size} bytes of pool, {_origin(system, block)}" if block is not None else ""
    system.broken_rules.add("StopsWindows", driver, place, f"{driver} {what}, and Windows stops, {place}{of}")


def _origin(system: System, block: PoolBlock) -> str:
    """Where a block of pool comes from, and where it went."""
    sites: tuple[tuple[str, CallSite | None], ...] = (("allocated", block.site), ("freed", block.freed))
    told = [f"{done} at {system.place(site.address)}" for done, site in sites if site is not None]
    return ", ".join(["a request's", *told] if block.tag == REQUEST_TAG else told)
