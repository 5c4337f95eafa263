"""The KD stub: what the kernel reports goes to the debugger, and the debugger's requests reach the kernel.

Implements :class:`harness.virtual.interfaces.DebugPort`. The rules are those of ReactOS'
``ntoskrnl/kd64``, which follows Windows. The target is one thread:
when it reports something, it stands still here until the debugger lets it go, so nothing is lost while one is
attached. With no debugger, or one that is gone, every report is dropped and the target goes on, as Windows
does with KdDebuggerNotPresent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.kd.debugio import MAX_PRINT_BYTES, PrintString
from harness.kd.errors import ProtocolError
from harness.kd.manipulate import Manipulate
from harness.kd.packets import PacketType
from harness.kd.registry import decode_manipulate
from harness.kd.statechange import Exception64, LoadSymbols, StateChange64
from harness.kd.status import (
    DBG_STATUS_BUGCHECK_FIRST,
    DBG_STATUS_BUGCHECK_SECOND,
    DBG_STATUS_CONTROL_C,
    STATUS_BREAKPOINT,
    STATUS_SINGLE_STEP,
)
from harness.virtual.banner import MANUALLY_INITIATED_CRASH, bugcheck_banner
from harness.virtual.interfaces import ImageModule, KernelView
from harness.virtual.stub.files import fetch_file
from harness.virtual.stub.halted import CrashTarget, RebootTarget, Resume, SwitchTo
from harness.virtual.stub.link import DebuggerLink
from harness.virtual.stub.requests import answer
from harness.virtual.stub.view import DebuggerView

__all__ = ["KdStub", "RebootedByDebugger", "TargetCrashed", "TargetEnded"]

_RESTATE_AFTER: Final = 0.4
"""Seconds without a request after which a break-in at a halted target means that the debugger missed the
state change; over KDCOM also that it may be another one than has asked before."""
_WAIT: Final = 1.0
"""Longest sleep while halted; whoever owns the wire is served in between."""
_SYSTEM: Final = (1 << 64) - 1
_BREAKPOINT_PARAMETER: Final = 0


class TargetEnded(Exception):
    """The debugger ended this boot; unwinds whatever the target was doing."""


class RebootedByDebugger(TargetEnded):
    """``.reboot``, or the end of a bugcheck."""


class TargetCrashed(TargetEnded):
    """``.crash``: the target bugchecked because the debugger said so."""

    def __init__(self, code: int) -> None:
        super().__init__(f"bugcheck 0x{code:08x}, caused by the debugger")
        self.code = code


class KdStub:
    """One boot's stub. Make it, make the kernel with it as debug port, then :meth:`attach` the two.

    :param now: a monotonic clock in seconds.
    :param let_go: called when the debugger has let the target go, before that does anything; may raise what
        ends the boot.
    """

    def __init__(
        self, link: DebuggerLink, now: Callable[[], float], *, let_go: Callable[[], None] = lambda: None
    ) -> None:
        self._link = link
        self._now = now
        self._let_go = let_go
        self._view: DebuggerView | None = None
        self._kernel: KernelView | None = None
        self.halted = False
        """The target stands still for the debugger."""
        self.stops = 0
        """How often the debugger let the target go after a stop."""

    def attach(self, kernel: KernelView, view: DebuggerView) -> None:
        """The kernel has booted: from here on break-ins and stops are possible."""
        self._kernel, self._view = kernel, view

    # DebugPort

    def print_string(self, text: bytes, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        link = self._link
        if link.present:
            record = PrintString.of(text[:MAX_PRINT_BYTES], processor=cpu, processor_level=6)
            link.deliver(PacketType.DEBUG_IO, record.encode())

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        if self._link.present and self._view is not None:
            self._view.capture(cpu)
            path = module.path.encode("utf-8") + b"\0"
            self._halt(
                lambda report: LoadSymbols(
                    path_length=len(path),
                    base=module.base,
                    process_id=_SYSTEM,
                    checksum=module.checksum,
                    size_of_image=module.size,
                    unload=int(unload),
                    data=path,
                    **report,
                ),
                give_up=True,
            )

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """See :class:`~harness.virtual.interfaces.DebugPort`. Which exceptions are offered at all is the
        kernel's decision. What a debugger has set waits for the next one, should that one be gone: Windows
        enters its debugger for every exception that is one's, whether anybody is there."""
        if self._view is None or not (self._link.present or self._is_a_debuggers(code, address)):
            return False
        return self.stop(code, address, information=information, first_chance=first_chance, cpu=cpu)

    def stop(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """:meth:`exception`, which waits for a debugger in any case."""
        assert self._view is not None, "the kernel has booted"
        self._view.capture(cpu)
        return self._halt_for_exception(code, address, information, first_chance=first_chance)

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`. The sequence of KeBugCheckEx with AutoReboot:
        banner, first break, the dump (which takes no time here), then the notice that the target reboots."""
        view = self._view
        if view is None:
            return
        view.capture(cpu)
        if code != MANUALLY_INITIATED_CRASH:
            for line in bugcheck_banner(code, parameters, module):
                self.print_string(line, cpu)
            self._stop_with_status(DBG_STATUS_BUGCHECK_FIRST, cpu)
        else:
            self._stop_with_status(DBG_STATUS_BUGCHECK_SECOND, cpu)
        self.announce_reboot()

    def poll(self) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        link = self._link
        link.poll()
        if link.break_in_wanted and self._kernel is not None:
            link.break_in_wanted = False
            self._kernel.break_in()

    def poll_hung(self) -> None:
        """:meth:`poll` of a target whose driver does not return: a break-in stops it where it hangs, as the
        clock interrupt does in Windows, with nt!DbgBreakPointWithStatus on top of its stack."""
        link = self._link
        link.poll()
        if link.break_in_wanted and self._view is not None:
            link.break_in_wanted = False
            self._stop_with_status(DBG_STATUS_CONTROL_C, self._view.processor)

    # What the machine asks for

    def fetch_driver(self, path: str) -> bytes | None:
        """The file that the debugger maps for a driver (``.kdfiles``); None = use the target's own."""
        return fetch_file(self._link, path) if self._link.present else None

    def announce_reboot(self) -> None:
        """Tell the debugger that this boot ends; it drops what it knows and waits for pokes again."""
        if self._link.present and self._view is not None:
            self._halt(
                lambda report: LoadSymbols(base=LoadSymbols.REBOOT_BASE, process_id=0, unload=1, **report),
                give_up=True,
            )

    # Stops

    def _is_a_debuggers(self, code: int, address: int) -> bool:
        assert self._view is not None
        planted = code == STATUS_BREAKPOINT and address in self._view.breakpoints.addresses
        return planted or code == STATUS_SINGLE_STEP

    def _stop_with_status(self, status: int, cpu: int) -> None:
        """DbgBreakPointWithStatus of a processor that will not run again; the debugger reads why from RCX."""
        if not self._link.present or self._view is None:
            return
        view = self._view
        view.capture(cpu)
        view.enter_break_point(status)
        self._halt_for_exception(STATUS_BREAKPOINT, view.breakpoint_with_status, (), first_chance=True)

    def _halt_for_exception(
        self, code: int, address: int, information: tuple[int, ...], *, first_chance: bool
    ) -> bool:
        """Whether the debugger handled it."""
        parameters = (_BREAKPOINT_PARAMETER,) if code == STATUS_BREAKPOINT else information
        resume = self._halt(
            lambda report: Exception64(
                exception_code=code,
                exception_address=address,
                number_parameters=len(parameters),
                information=Exception64.pack_parameters(*parameters),
                first_chance=int(first_chance),
                **report,
            ),
            give_up=False,
        )
        return resume is not None and resume.handled

    def _halt(self, state_change: Callable[..., StateChange64], *, give_up: bool) -> Resume | None:
        """Report a stop and serve the debugger until it lets the target go; how, None when it is gone.

        :param give_up: go on when the debugger is gone; an exception waits for the next debugger instead.
        """
        view = self._view
        assert view is not None
        self.halted = True
        try:
            resume = self._serve(view, state_change, give_up=give_up)
        finally:
            self.halted = False
        if resume is None:
            view.release(trace=False, dr7=None)
        else:
            view.release(trace=resume.trace, dr7=resume.dr7)
        self.stops += 1
        self._let_go()
        return resume

    def _serve(
        self, view: DebuggerView, state_change: Callable[..., StateChange64], *, give_up: bool
    ) -> Resume | None:
        link = self._link
        link.flush_packets()
        record: StateChange64 | None = None
        while True:  # once for every time that the stop has to be reported
            link.break_in_wanted = False
            connection = link.reconnects
            if record is None:
                record = state_change(view.report())
            # Else word for word: the next debugger hears of the stop as it was, whatever was changed since.
            token = link.post(PacketType.STATE_CHANGE64, record.encode())
            heard_at = self._now()
            asked = False
            while True:
                packet = link.next_packet(_WAIT)
                if packet is not None and packet.packet_type is PacketType.STATE_MANIPULATE:
                    heard_at, asked = self._now(), True
                    outcome = self._answer(view, packet.payload)
                    if isinstance(outcome, Resume):
                        return outcome
                    if isinstance(outcome, SwitchTo):
                        view.processor = outcome.processor
                        record = None
                        break
                if link.outcome(token) is False:
                    if give_up:
                        return None
                    break
                if link.reconnects != connection:
                    break
                if link.break_in_wanted:
                    link.break_in_wanted = False
                    known = asked and link.knows_newcomers
                    if not known and self._now() - heard_at > _RESTATE_AFTER:
                        break

    def _answer(self, view: DebuggerView, payload: bytes) -> Resume | SwitchTo | None:
        try:
            request = decode_manipulate(payload)
        except ProtocolError:
            return None  # shorter than a header: nothing to answer to
        outcome = answer(view, request)
        match outcome:
            case Manipulate():
                self._link.send(PacketType.STATE_MANIPULATE, outcome.encode())
            case Resume() | SwitchTo():
                return outcome
            case RebootTarget():
                raise RebootedByDebugger("the debugger rebooted the target")
            case CrashTarget(code):
                assert self._kernel is not None
                self._kernel.write_bugcheck_data(code, (0, 0, 0, 0))
                self.bugcheck(code, (0, 0, 0, 0), module=None, cpu=view.processor)
                raise TargetCrashed(code)
        return None
