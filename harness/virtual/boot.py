"""Switches a virtual target on: kernel, model and clock, put together for one debugger."""

from __future__ import annotations

from typing import NamedTuple

from harness.printmasks import PrintMasks
from harness.virtual.clock import Clock
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.interfaces import DebugPort
from harness.virtual.kernel.callfailures import CallFailures
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.kernel.printfilter import PrintFilter
from harness.virtual.target import DEFAULT_PROFILE, PROCESSORS, VirtualTarget

__all__ = ["Booted", "boot"]


class Booted(NamedTuple):
    """A target that is up."""

    kernel: Kernel
    target: VirtualTarget
    clock: Clock


def boot(
    port: DebugPort,
    *,
    seed: int,
    profile: str = DEFAULT_PROFILE,
    policy: str | Policy = POLICIES[0],
    processors: int = PROCESSORS,
    print_masks: PrintMasks | None = None,
    hardware: Hardware | None = None,
    call_failures: CallFailures | None = None,
) -> Booted:
    """Boot; nothing of an earlier boot is left in what comes out, whatever the hardware was used for.

    The seed decides from here on: which ids, times, processors and load addresses the boot gives out, then
    everything that is done with the target. What it does not decide (the kernel's image, the profile, the
    translated code) is made once in a process.

    :param port: the debugger.
    :param policy: who goes first where the order is open: a name, or a policy of this boot alone.
    :param print_masks: of components whose mask is not Windows' own.
    :param call_failures: see :class:`~harness.virtual.kernel.kernel.Kernel`.
    :param hardware: what to boot on; a target that ran on it before is dead then. None: new hardware.
    """
    clock = Clock()
    kernel = Kernel(
        port,
        clock,
        processors=processors,
        print_filter=PrintFilter(print_masks),
        hardware=hardware,
        call_failures=call_failures,
    )
    target = VirtualTarget(
        kernel, port, clock, seed=seed, profile=profile, processors=processors, policy=policy
    )
    return Booted(kernel, target, clock)
