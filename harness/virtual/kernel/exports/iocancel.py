"""Cancelling requests.

Sources: Microsoft, *IoCancelIrp*, *IoAcquireCancelSpinLock*, *IoReleaseCancelSpinLock* (wdm.h), *Using the
System's Cancel Spin Lock*. IoSetCancelRoutine is an exchange of the headers' own.
"""

from __future__ import annotations

from harness.virtual.cpu.traps import Continued
from harness.virtual.kernel.exports.kespin import ke_acquire_spin_lock, ke_release_spin_lock
from harness.virtual.kernel.exports.registry import export
from harness.virtual.kernel.system import System

__all__: list[str] = []


@export("IoAcquireCancelSpinLock", 1)
def io_acquire_cancel_spin_lock(system: System, result: int) -> int:
    return ke_acquire_spin_lock(system, system.cancel_lock, result)


@export("IoReleaseCancelSpinLock", 1)
def io_release_cancel_spin_lock(system: System, irql: int) -> int:
    return ke_release_spin_lock(system, system.cancel_lock, irql)


@export("IoCancelIrp", 1)
def io_cancel_irp(system: System, irp: int) -> int:
    raise Continued(system.cancel_request(irp))
