"""The debugger's place in a target that is played back: numbers what is told, and stops before it."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from typing import Protocol

from harness.virtual.interfaces import DebugPort, ImageModule
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.stub.stub import KdStub

__all__ = ["PositionedPort", "Traveller"]


class Traveller(Protocol):
    """Whoever plays a run back."""

    wanted: int | None
    """The position to stop before; None: play it to its end, without a debugger."""

    def passing(self, position: int) -> None:
        """The run is about to come to ``position``; a checkpoint may be made here, in which :attr:`wanted` is
        another one on return."""

    def arrive(self, kernel: Kernel, digest: bytes) -> KdStub:
        """The wanted position is reached: the stub of the debugger that has the target from now on.

        :param digest: of all that the kernel told before.
        """

    def rest(self, *, silent: bool) -> None:
        """The run is over, and the debugger has let the target go: serve its break-ins, and never return.

        :param silent: it was told that the target reboots.
        """


class PositionedPort:
    """The kernel's :class:`~harness.virtual.interfaces.DebugPort`, before another one that hears the run.

    A position is the number, from 0, of a print, an exception, a call of KeBugCheckEx, or a call of
    a notify routine; the last one is the end of the run. From the wanted one on, a debugger has the target.

    :param heard: hears all that is told, the debugger's part too.
    """

    def __init__(self, heard: DebugPort, traveller: Traveller) -> None:
        self._heard = heard
        self._traveller = traveller
        self._kernel: Kernel | None = None
        self._stub: KdStub | None = None
        self._stopping = False
        """The exception that comes is the debugger's stop."""
        self._rebooting = False
        """A bugcheck was told to the debugger."""
        self._digest = hashlib.blake2b(digest_size=16)
        self._entries: list[int] = []
        """At each position, how many calls and lines of the guest helper the kernel remembered."""
        self.digests: list[bytes] = []
        """At each position, the digest of all that was told before."""
        self.position = 0
        """The next one."""
        self.told_at = 0
        """That of what was told last."""
        self._bugcheck_at = 0

    def attach(self, kernel: Kernel) -> None:
        """The kernel is up; it has told nothing so far."""
        self._kernel = kernel
        kernel.stopping.ask(before_callback=self._stops_here, before_bugcheck=self._before_bugcheck)

    def position_of_entry(self, number: int) -> int:
        """Before which position the kernel's ``number``-th remembered call or line came, both from 0."""
        return bisect_right(self._entries, number)

    def end(self) -> None:
        """The run is over. Where a debugger has the target it stops here, and never goes on."""
        if self._stub is None and not self._arrives():
            return
        if not self._rebooting:
            self._stop()
        self._traveller.rest(silent=self._rebooting)

    # DebugPort

    def print_string(self, text: bytes, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        if self._arrives():
            self._stop()
        self._digest.update(text)
        if self._stub is not None:
            self._stub.print_string(text, cpu)
        self._heard.print_string(text, cpu)

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        if self._stub is not None:
            self._stub.load_symbols(module, unload=unload, cpu=cpu)
        self._heard.load_symbols(module, unload=unload, cpu=cpu)

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """See :class:`~harness.virtual.interfaces.DebugPort`. What the run did not do is the debugger's stop;
        an exception is a stop by itself, and needs none before."""
        if self._stopping or self._arrives():
            self._stopping = False
            assert self._stub is not None
            return self._stub.stop(code, address, information=information, first_chance=first_chance, cpu=cpu)
        if self._stub is not None:
            return self._stub.exception(
                code, address, information=information, first_chance=first_chance, cpu=cpu
            )
        self._digest.update(code.to_bytes(4, "little"))
        return self._heard.exception(
            code, address, information=information, first_chance=first_chance, cpu=cpu
        )

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        if self._stub is None:
            self.told_at = self._bugcheck_at
            self._heard.bugcheck(code, parameters, module=module, cpu=cpu)
            return
        self._rebooting = True
        self._stub.bugcheck(code, parameters, module=module, cpu=cpu)

    def poll(self) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        if self._stub is not None:
            self._stub.poll()

    # Inside

    def _stops_here(self) -> bool:
        self._stopping = self._arrives()
        return self._stopping

    def _before_bugcheck(self) -> bool:
        self._bugcheck_at = self.position
        return self._stops_here()

    def _arrives(self) -> bool:
        """Count a position; whether it is the wanted one."""
        if self._stub is not None:
            return False
        kernel = self._kernel
        assert kernel is not None, "a kernel tells nothing before it is up"
        position = self.told_at = self.position
        self.position += 1
        digest = self._digest.digest()
        self._entries.append(kernel.calls.remembered)
        self.digests.append(digest)
        self._traveller.passing(position)
        if position != self._traveller.wanted:
            return False
        self._stub = self._traveller.arrive(kernel, digest)
        return True

    def _stop(self) -> None:
        assert self._kernel is not None
        self._stopping = True
        self._kernel.stopping.stop()
