"""A debugger in memory for a served target: the project's host session, driven by a script a stop."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Generator
from ipaddress import IPv4Address
from typing import Any

from harness.kd.contexts import Amd64Context, Amd64ControlReport
from harness.kd.debugio import PrintString
from harness.kd.fileio import CreateFile, ReadFile, decode_file_io
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import Key
from harness.kd.manipulate import (
    Continue2,
    GetContext,
    GetVersion64,
    Manipulate,
    ReadControlSpace,
    ReadPhysicalMemory,
    ReadVirtualMemory,
    SetContext,
)
from harness.kd.packets import PacketType
from harness.kd.registry import decode_manipulate
from harness.kd.session import Session
from harness.kd.session_events import Connected, PacketReceived
from harness.kd.statechange import Exception64, StateChange, decode_state_change
from harness.kd.status import STATUS_BREAKPOINT, STATUS_NO_SUCH_FILE, STATUS_SUCCESS
from harness.virtual.cpu.registers import SYSTEM_REGISTERS
from harness.virtual.dispatcher.policies import POLICIES
from harness.virtual.kdport import com_session, net_session
from harness.virtual.served import ServedTarget
from harness.virtual.windows.symbols18362 import (
    EPROCESS,
    ETHREAD,
    KDDEBUGGER_DATA64,
    KLDR_DATA_TABLE_ENTRY,
    KPCR,
    KUSER_SHARED_DATA,
)

KEY = Key.parse("1.2.3.4")
SHARED_DATA = 0xFFFFF780_00000000
Dialog = Generator[Manipulate, Manipulate, None]


def go(state: StateChange, *, trace: bool = False) -> Dialog:
    """Let the target go; past an ``int3`` of its own, as every debugger does, for the target never moves."""
    code = Amd64ControlReport.decode(state.control_report).instruction_stream
    if isinstance(state, Exception64) and state.exception_code == STATUS_BREAKPOINT and code[:1] == b"\xcc":
        context = Amd64Context.decode((yield GetContext(processor=state.processor)).data)
        changed = dataclasses.replace(context, rip=context.rip + 1)
        yield SetContext(processor=state.processor, data=changed.encode())
    yield Continue2(trace_flag=int(trace))


def read(address: int, count: int) -> Generator[Manipulate, Manipulate, bytes]:
    """Read memory, as often as the target's replies are short."""
    data = b""
    while len(data) < count:
        reply = yield ReadVirtualMemory(address=address + len(data), count=count - len(data))
        if not reply.data:
            break
        data += reply.data
    return data


def read_u64(address: int) -> Generator[Manipulate, Manipulate, int]:
    return int.from_bytes((yield from read(address, 8)), "little")


def walk(head: int, size: int, offset: int) -> Dialog:
    """Read every structure of a ring, whose links lie at ``offset`` of it."""
    node = yield from read_u64(head)
    while node != head:
        yield from read(node - offset, size)
        node = yield from read_u64(node)


def list_modules_and_processes(state: StateChange) -> Dialog:
    """Look at both of the kernel's lists, and go on."""
    version = yield GetVersion64()
    block = yield from read_u64(version.debugger_data_list)
    active = yield from read_u64(block + KDDEBUGGER_DATA64.offset("PsActiveProcessHead"))
    yield from walk(version.ps_loaded_module_list, KLDR_DATA_TABLE_ENTRY.size, 0)
    yield from walk(active, EPROCESS.size, EPROCESS.offset("ActiveProcessLinks"))
    yield from go(state)


def look_at_everything(state: StateChange) -> Dialog:
    """The same, with every thread and both processors."""
    version = yield GetVersion64()
    block = yield from read_u64(version.debugger_data_list)
    active = yield from read_u64(block + KDDEBUGGER_DATA64.offset("PsActiveProcessHead"))
    yield from walk(version.ps_loaded_module_list, KLDR_DATA_TABLE_ENTRY.size, 0)
    links, threads = EPROCESS.offset("ActiveProcessLinks"), EPROCESS.offset("ThreadListHead")
    node = yield from read_u64(active)
    while node != active:
        yield from walk(node - links + threads, ETHREAD.size, ETHREAD.offset("ThreadListEntry"))
        node = yield from read_u64(node)
    yield from read(SHARED_DATA, KUSER_SHARED_DATA.size)
    for processor in range(2):
        kpcr = int.from_bytes(
            (yield ReadControlSpace(processor=processor, address=0, count=8)).data, "little"
        )
        yield from read(kpcr, KPCR.size)
    yield ReadPhysicalMemory(address=SYSTEM_REGISTERS["cr3"], count=8)
    yield from go(state)


class MemoryDebugger:
    """Wire and debugger in one: what the target sends is answered while it sends.

    :param on_stop: the dialog to hold at each stop; it ends with a Continue.
    """

    link = "kdnet"
    """Or ``kdcom``."""

    own = Endpoint(IPv4Address("192.168.2.72"), 50000)
    host = Endpoint(IPv4Address("192.168.2.1"), 50000)

    def __init__(self, on_stop: Callable[[StateChange], Dialog] = go) -> None:
        self.on_stop = on_stop
        self.time = 0.0
        self.prints: list[bytes] = []
        self.stops: list[StateChange] = []
        self.files: dict[str, bytes] = {}
        self.deaf = False
        """Hears and says nothing any more."""
        self.break_in_at_once = True
        self._incoming: deque[bytes] = deque()
        self._dialog: Dialog | None = None
        self._session = self._host_session()

    def _host_session(self) -> Session:
        """Of a debugger that knows nothing of what went before."""
        if self.link == "kdnet":
            return Session.kdnet_host(KEY, lambda size: bytes([7]) * size)
        return Session.kdcom_host()

    def boot(
        self, *, seed: int = 1, nonce: bytes = bytes(range(32)), policy: str = POLICIES[0]
    ) -> ServedTarget:
        """A target on this wire, which lets a plain DbgPrint pass."""
        if self.link == "kdnet":
            session = net_session(KEY, own=self.own, host=self.host, now=self.time, nonce=nonce)
        else:
            session = com_session()
            if self.break_in_at_once and not self.deaf:  # over KDNET it is its answer to being dialled
                self.break_in()
        return ServedTarget(
            session, self, now=self.now, seed=seed, policy=policy, print_masks={"DEFAULT": 0xF}
        )

    def now(self) -> float:
        """The target's look at the host's clock, in seconds."""
        return self.time

    def attached(self, **options: Any) -> ServedTarget:
        """A target that this debugger has stopped once and let go."""
        target = self.boot(**options)
        for _ in range(20):
            target.idle()
            if target.stops:
                return target
        raise AssertionError("the target never stopped")

    def break_in(self) -> None:
        self._session.break_in()
        self._flush()

    # Wire

    def send(self, data: bytes) -> None:
        if self.deaf:
            return
        self._session.receive(data, self.time, ("192.168.2.72", 50000))
        self._flush()
        while (event := self._session.next_event()) is not None:
            if isinstance(event, Connected) and self.break_in_at_once:
                self.break_in()
            elif isinstance(event, PacketReceived):
                self._hear(event)

    def receive(self) -> bytes | None:
        if self._incoming:
            return self._incoming.popleft()
        self.time += 0.0001  # looking takes time too, or a spinning target would look for ever
        return None

    def wait(self, timeout: float | None) -> None:
        if not self._incoming:
            self.time += timeout or 0.0

    def _hear(self, event: PacketReceived) -> None:
        match event.packet_type:
            case PacketType.DEBUG_IO:
                record = event.record()
                assert isinstance(record, PrintString)
                self.prints.append(record.text)
            case PacketType.STATE_CHANGE64:
                self.stops.append(decode_state_change(event.payload))
                self._dialog = self.on_stop(self.stops[-1])
                self._say(next(self._dialog))
            case PacketType.STATE_MANIPULATE:
                assert self._dialog is not None
                self._say(self._dialog.send(decode_manipulate(event.payload)))
            case PacketType.FILE_IO:
                self._serve_file(event.payload)

    def _say(self, request: Manipulate) -> None:
        self._session.send_packet(PacketType.STATE_MANIPULATE, request.encode(), self.time)
        self._flush()

    def _serve_file(self, payload: bytes) -> None:
        request = decode_file_io(payload)
        answer = dataclasses.replace(request, status=STATUS_SUCCESS, data=b"")
        match request:
            case CreateFile() if request.path in self.files:
                self._open = self.files[request.path]
                answer = dataclasses.replace(answer, handle=9, length=len(self._open))
            case CreateFile():
                answer = dataclasses.replace(answer, status=STATUS_NO_SUCH_FILE)
            case ReadFile():
                part = self._open[request.offset : request.offset + request.length]
                answer = dataclasses.replace(answer, data=part)
        self._session.send_packet(PacketType.FILE_IO, answer.encode(), self.time)
        self._flush()

    def _flush(self) -> None:
        self._incoming.extend(data for data, _ in self._session.datagrams_to_send())
