"""References and handles that drivers take, and whose a handle is: the driver's, or the current process's.

Source: Microsoft, *InitializeObjectAttributes*: OBJ_KERNEL_HANDLE.
"""

from __future__ import annotations

from typing import Final

from harness.virtual.kernel.belongings import Belonging, CallSite
from harness.virtual.kernel.objects import ProcessObject, ThreadObject
from harness.virtual.kernel.system import SYSTEM_CONTEXT, System

__all__ = ["attributes_site", "handle_site", "report_closed_handle", "take_other_reference", "take_reference"]

_OBJ_KERNEL_HANDLE: Final = 0x200
_ATTRIBUTES: Final = 0x18
"""Offset of OBJECT_ATTRIBUTES.Attributes."""


def handle_site(system: System, attributes: int) -> CallSite | None:
    """The call that opens a handle with these OBJ_ flags; None where the handle is not the driver's own:
    without OBJ_KERNEL_HANDLE it belongs to the process that is current, and goes with it."""
    if system.context.pid == SYSTEM_CONTEXT.pid or attributes & _OBJ_KERNEL_HANDLE:
        return system.call_site()
    return None


def attributes_site(system: System, attributes: int) -> CallSite | None:
    """The same for the OBJECT_ATTRIBUTES at an address; 0: there are none."""
    return handle_site(system, system.memory.u32(attributes + _ATTRIBUTES) if attributes else 0)


def take_reference(system: System, item: ProcessObject | ThreadObject) -> int:
    """A reference for the driver that calls; the object's address."""
    system.belongings.take_once_more(Belonging.REFERENCE, item.address, system.call_site())
    return system.objects.reference(item)


def take_other_reference(system: System, address: int) -> int:
    """The same to a file or a token, which stays without references, too."""
    system.belongings.take_once_more(Belonging.REFERENCE, address, system.call_site())
    return address


def report_closed_handle(system: System, handle: int) -> None:
    """The driver that calls passes a handle that stands for nothing: one that was a kernel handle breaks a
    rule."""
    site = system.call_site()
    if site is not None and system.handles.was_closed(handle):
        place = system.place(site.address)
        message = f"{site.driver} passes a kernel handle that is closed to {site.routine} at {place}"
        system.broken_rules.add("KernelHandles", site.driver, place, message)
