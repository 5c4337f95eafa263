"""The debugger's side of the talk with one target: what arrives is sorted, what cannot wait is answered.

Runs on the link's thread as its listener; the debugger's own thread asks for things through the methods under
"from any thread". Prints and module events go to the inbox. Requests of the target that it waits on (prompts,
files, hardware breakpoints) are answered here. A load-symbols stop is continued here, so that nothing stands
still because nobody reads the inbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from time import perf_counter, time
from typing import Final, TypeVar

from harness.debuggers.base import (
    Disconnected,
    Module,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    TargetRebooted,
)
from harness.debuggers.native.continuing import continue_record
from harness.debuggers.native.inbox import Halt, Inbox, InboxItem, Message
from harness.debuggers.native.linklog import two_targets
from harness.debuggers.native.linkthread import LinkThread
from harness.debuggers.native.outages import Outages
from harness.debuggers.native.servedfiles import ServedFiles
from harness.errors import ProcnotifyError, TargetLost, UsageError
from harness.kd.debugio import GetString, PrintString
from harness.kd.errors import ProtocolError
from harness.kd.fileio import CloseFile, CreateFile, ReadFile, WriteFile
from harness.kd.layout import Record
from harness.kd.manipulate import Continue, Manipulate, MemoryTransfer
from harness.kd.packets import PacketType
from harness.kd.session_events import (
    Acknowledged,
    Connected,
    Dropped,
    GaveUp,
    PacketReceived,
    PeerRestarted,
    SecondTarget,
    SessionEvent,
)
from harness.kd.statechange import CommandString, Exception64, LoadSymbols, StateChange
from harness.kd.traceio import ControlRequest
from harness.waiting import wait_in_slices

__all__ = ["Conversation"]

REQUEST_AGAIN: Final = 1.0
"""Seconds until an acknowledged but unanswered request is made again, under a new id."""
_FLUSH_AT: Final = 256

_log = logging.getLogger(__name__)

R = TypeVar("R", bound=Manipulate)


class Conversation:
    """See the module's title. ``answer_prompt`` gets a prompt's text and gives the text to type."""

    def __init__(self, answer_prompt: Callable[[str], str], files: ServedFiles) -> None:
        self.link: LinkThread | None = None
        self.machine = 0
        """PE machine type, 0 until it is known."""
        self.deadline = float("inf")
        """No request waits beyond this moment of ``perf_counter``."""
        self.continue_loads = False
        """Let the target run on after a load-symbols stop."""
        self._answer_prompt = answer_prompt
        self._files = files
        self._changed = threading.Condition()
        """Guards everything below; the link's thread holds it while it handles an event."""
        self._inbox = Inbox()
        self._halt: StateChange | None = None
        self._request: Manipulate | None = None
        self._reply: Manipulate | None = None
        self._settled = 0
        self._sessions = 0
        self._packets = 0
        self._outages = Outages()
        self._reboots = 0
        self._reboot_announced = False
        self._reboot_token: int | None = None
        self._break_ins = 0
        self._failure: ProcnotifyError | None = None
        self._second_target: SecondTarget | None = None
        self._requesting = threading.Lock()

    # On the link's thread

    def handle(self, event: SessionEvent) -> None:
        """A session event."""
        with self._changed:
            match event:
                case PacketReceived(packet_type):
                    self._packets += 1
                    self._outages.hear()
                    try:
                        self._on_record(packet_type, event.record())
                    except ProtocolError as error:
                        # Acknowledged, but without a meaning: a target newer than we are. Not fatal.
                        _log.warning("a %s packet is not understood: %s", packet_type.name, error)
                case Acknowledged(token, _) | GaveUp(token, _):
                    self._on_settled(token)
                case Connected(_, _, fresh):
                    self._on_connected(fresh)
                case PeerRestarted(in_exception):
                    if not in_exception:
                        self._on_new_boot()
                case SecondTarget():
                    self._on_second_target(event)
                case Dropped():
                    self._tell()

    @property
    def full(self) -> bool:
        """So much is unread that the link is to take nothing more."""
        return self._inbox.full

    def flush(self) -> None:
        """Wake whoever waits."""
        self._tell()

    def failed(self, error: ProcnotifyError) -> None:
        """The link is dead."""
        self._failure = error
        self._tell()

    def disconnected(self, reason: str) -> None:
        """The connection is closed for a while. One that comes and goes without a word is told of once."""
        if self._outages.begin():
            self._put(Disconnected(reason))
        self._tell()

    def reconnected(self) -> None:
        """The connection is back."""
        self._outages.end()
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _put(self, item: Message) -> None:
        with self._changed:
            self._inbox.put(item)
            if len(self._inbox) % _FLUSH_AT == 0:
                self._changed.notify_all()

    def _on_record(self, packet_type: PacketType, record: Record) -> None:
        match record:
            case PrintString():
                self._put(PrintReceived(record.text, record.processor, time()))
            case GetString():
                prompt = record.prompt.decode("utf-8", "backslashreplace")
                self._put(PrintReceived(record.prompt, record.processor, time()))
                answer = self._answer_prompt(prompt).encode("utf-8", "replace")
                self._send(packet_type, record.answered(answer))
            case Manipulate():
                self._on_reply(record)
            case LoadSymbols():
                self._on_load_symbols(record)
            case ControlRequest():
                self._send(packet_type, replace(record, result=0))
            case CreateFile() | ReadFile() | WriteFile() | CloseFile():
                self._send(packet_type, self._files.answer(record))
            case Exception64() | CommandString():
                self._on_halt(record)

    def _on_load_symbols(self, change: LoadSymbols) -> None:
        if change.is_reboot:
            self._put(TargetRebooted(announced=True))
            self._reboot_announced = True
            self._reboot_token = self._send(PacketType.STATE_MANIPULATE, Continue())
            return
        image = Module(change.image, change.base, change.size_of_image)
        self._put(ModuleUnloaded(image.name, image.base) if change.unload else ModuleLoaded(image))
        if self.continue_loads:
            self._send(PacketType.STATE_MANIPULATE, continue_record(self.machine))
        else:
            self._on_halt(change)

    def _on_halt(self, change: StateChange) -> None:
        with self._changed:  # whoever sees the stop finds its message too, and takes it out
            self._halt = change
            self._put(Halt(change))
            self._changed.notify_all()

    def _on_reply(self, reply: Manipulate) -> None:
        request = self._request
        if request is None or reply.api != request.api:
            return
        if isinstance(request, MemoryTransfer) and getattr(reply, "address", None) != request.address:
            return
        self._reply = reply
        self._tell()

    def _on_settled(self, token: int) -> None:
        if token == self._reboot_token:
            self._reboot_token = None
            self._reboots += 1
            self._require_link().session.expect_reboot()
        self._settled = token  # packets are settled in the order in which they were sent
        self._tell()

    def _on_connected(self, fresh: bool) -> None:
        if fresh:
            self._on_new_boot()
        self._sessions += 1
        self._tell()

    def _on_new_boot(self) -> None:
        if (self._sessions or self._packets) and not self._reboot_announced:
            self._put(TargetRebooted(announced=False))
        self._halt = None
        self._inbox.discard_halts()  # of the boot before
        self._break_ins = 0
        self._reboot_announced = False

    def _on_second_target(self, event: SecondTarget) -> None:
        if self._second_target is None:  # the two go on speaking: once is enough
            self._second_target = event
            self._put(event)
            self._tell()

    def _send(self, packet_type: PacketType, record: Record) -> int:
        session = self._require_link().session
        return session.send_packet(packet_type, record.encode(), perf_counter())

    def _require_link(self) -> LinkThread:
        if self.link is None:
            raise UsageError("the debugger is not connected", hint="call listen and attach first")
        return self.link

    # From any thread

    @property
    def halt(self) -> StateChange | None:
        """The state change at which the target stands, None while it runs."""
        return self._halt

    @property
    def sessions(self) -> int:
        """How many sessions came about."""
        return self._sessions

    @property
    def reboots(self) -> int:
        """How often the target announced that it reboots, and was let go to do so."""
        return self._reboots

    @property
    def silent(self) -> bool:
        """The connection was closed and is back, and nothing has come from the target since."""
        return self._outages.silent

    @property
    def heard(self) -> bool:
        """A data packet of the target arrived."""
        return self._packets > 0

    def raise_failure(self) -> None:
        """Raise what killed the link, if anything did."""
        if self._failure is not None:
            raise self._failure

    def wait(self, done: Callable[[], bool], timeout: float) -> bool:
        """Until ``done()`` or the timeout; whether it is done. Raises what killed the link."""
        with self._changed:
            over = partial(self._changed.wait_for, lambda: done() or self._failure is not None)
            wait_in_slices(over, timeout)
        if done():
            return True
        self.raise_failure()
        return False

    def take(self, timeout: float) -> InboxItem | None:
        """The next message, None after the timeout. Raises :class:`ConnectionFailed` where it is that two
        targets dial."""
        if not self.wait(lambda: len(self._inbox) > 0, timeout):
            return None
        with self._changed:
            was_full = self._inbox.full
            item = self._inbox.take()
            if was_full and not self._inbox.full and self.link is not None:
                self.link.wake()
        if isinstance(item, SecondTarget):
            raise two_targets(item)
        return item

    def put_in(self, items: Iterable[InboxItem]) -> None:
        """Let these be read behind what the target has said so far; it is halted."""
        with self._changed:
            for item in items:
                self._inbox.put(item)

    def unread(self) -> list[Message]:
        """Every message that was not taken yet."""
        with self._changed:
            return self._inbox.unread()

    def take_halt(self) -> StateChange | None:
        """The stop at which the target stands, its message taken out of the inbox."""
        with self._changed:
            self._inbox.discard_halts()
            return self._halt

    def await_halt(self, timeout: float) -> bool:
        """Whether the target stands still within ``timeout`` seconds. Nobody reads meanwhile, so there is
        more room for what it prints until then; :class:`TargetLost` when that is not enough."""
        inbox = self._inbox
        inbox.stop_expected = True
        self._require_link().wake()
        try:
            self.wait(lambda: self._halt is not None or inbox.full, timeout)
            if self._halt is None and inbox.full:
                raise TargetLost("the target prints without end and does not stop")
        finally:
            inbox.stop_expected = False
        return self._halt is not None

    @property
    def processor(self) -> int:
        """The processor that reported the stop at which the target stands; 0 while it runs. A request for
        registers is about the processor that it names."""
        halt = self._halt
        return 0 if halt is None else halt.processor

    @property
    def break_ins(self) -> int:
        """How many break-ins of this debugger may still come to stop the target."""
        return self._break_ins

    def answer_break_in(self) -> None:
        """A stop turned out to be the answer to one of the break-ins."""
        with self._changed:  # the link's thread begins anew with a new boot
            self._break_ins = max(self._break_ins - 1, 0)

    def break_in(self) -> None:
        """Ask the target to halt."""
        with self._changed:
            self._break_ins += 1
        link = self._require_link()
        link.post(lambda now: link.session.break_in())

    def request(self, request: R, timeout: float) -> R:
        """Ask the halted target and wait for the answer.

        Raises :class:`UsageError` while the target runs, :class:`TargetLost` when no answer comes. On a link
        that loses datagrams the timeout grows with its loss.
        """
        with self._requesting:
            if self._halt is None:
                raise UsageError("the target is running", hint="break in first")
            self._reply, self._request = None, request
            timeout *= self._require_link().patience
            deadline = min(perf_counter() + timeout, self.deadline)
            try:
                while (left := deadline - perf_counter()) > 0:
                    self._post_packet(request)
                    self.wait(lambda: self._reply is not None, min(left, REQUEST_AGAIN))
                    reply = self._answer()
                    if isinstance(reply, type(request)):
                        return reply
            finally:
                self._request = None
        raise TargetLost(f"the target did not answer {type(request).__name__} in time")

    def _answer(self) -> Manipulate | None:
        return self._reply

    def command(self, request: Manipulate, timeout: float) -> None:
        """Send a request that is only acknowledged, after which the target runs (Continue and its like)."""
        if self._halt is None:
            raise UsageError("the target is running", hint="break in first")
        self._halt = None
        token = self._post_packet(request)
        timeout *= self._require_link().patience
        timeout = max(min(timeout, self.deadline - perf_counter()), 0.0)
        if not self.wait(lambda: 0 < token[0] <= self._settled, timeout):
            raise TargetLost(f"the target did not acknowledge {type(request).__name__} in time")

    def _post_packet(self, record: Manipulate) -> list[int]:
        """Post a packet; its token, once the link's thread has sent it, is in the list (0 before)."""
        token = [0]
        link = self._require_link()
        payload = record.encode()

        def work(now: float) -> None:
            token[0] = link.session.send_packet(PacketType.STATE_MANIPULATE, payload, now)

        link.post(work)
        return token
