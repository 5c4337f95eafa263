"""A thin target for the debugger's tests: our own target-role session on a real socket, and a toy machine.

It has memory, one processor's registers, breakpoints and a script of things to say; what a test wants it to
do is put into its queue and done on its own thread.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from queue import SimpleQueue
from time import monotonic

from harness.kd.contexts import Amd64Context
from harness.kd.debugio import GetString, PrintString
from harness.kd.handshake import Endpoint
from harness.kd.kdnet import Key
from harness.kd.manipulate import (
    Continue,
    Continue2,
    GetContext,
    GetVersion64,
    Manipulate,
    ReadVirtualMemory,
    RestoreBreakPoint,
    SetContext,
    WriteBreakPoint,
    WriteVirtualMemory,
)
from harness.kd.packets import PacketType
from harness.kd.session import Session
from harness.kd.session_events import Acknowledged, BreakInReceived, Connected, PacketReceived
from harness.kd.statechange import Exception64, LoadSymbols, StateChange64

KEY = Key.parse("1.2.3.4")
KERNEL_BASE = 0xFFFFF80000000000
LIST_HEAD = 0xFFFFF80000100000
DATA_LIST = 0xFFFFF80000200000
KDBG = 0xFFFFF80000300000
BUGCHECK_DATA = 0xFFFFF80000400000
CODE = 0xFFFFF80000500000
BREAK_ADDRESS = CODE + 0x100
KUSER = 0xFFFFF78000000000
STATUS_UNSUCCESSFUL = 0xC0000001


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Memory:
    """Sparse bytes."""

    def __init__(self) -> None:
        self.regions: dict[int, bytearray] = {}

    def put(self, address: int, data: bytes) -> None:
        self.regions[address] = bytearray(data)

    def read(self, address: int, size: int) -> bytes:
        for base, data in self.regions.items():
            if base <= address < base + len(data):
                return bytes(data[address - base : address - base + size])
        return b""

    def write(self, address: int, data: bytes) -> bool:
        for base, region in self.regions.items():
            if base <= address and address + len(data) <= base + len(region):
                region[address - base : address - base + len(data)] = data
                return True
        return False


def module_list(memory: Memory, modules: list[tuple[str, int, int]]) -> None:
    """Write a loaded module list with its head at LIST_HEAD."""
    entries = [LIST_HEAD + 0x1000 * (number + 1) for number in range(len(modules))]
    chain = [*entries, LIST_HEAD]
    memory.put(LIST_HEAD, struct.pack("<QQ", chain[0], entries[-1] if entries else LIST_HEAD))
    for number, (name, base, size) in enumerate(modules):
        text = name.encode("utf-16-le")
        entry = bytearray(0x88)
        struct.pack_into("<Q", entry, 0, chain[number + 1])
        struct.pack_into("<Q", entry, 0x30, base)
        struct.pack_into("<I", entry, 0x40, size)
        struct.pack_into("<HHxxxxQ", entry, 0x58, len(text), len(text), entries[number] + 0x800)
        memory.put(entries[number], bytes(entry))
        memory.put(entries[number] + 0x800, text + bytes(128))


class ThinTarget:
    """Runs until :meth:`close`; use as a context manager."""

    def __init__(self, session: Session, sock: socket.socket, peer: tuple[str, int] | None) -> None:
        self.session = session
        self.memory = Memory()
        self.context = Amd64Context(rip=BREAK_ADDRESS, rcx=1)
        self.version = GetVersion64(
            status=0, major_version=15, minor_version=18362, protocol_version=6, flags=7,
            machine_type=0x8664, kernel_base=KERNEL_BASE, ps_loaded_module_list=LIST_HEAD,
            debugger_data_list=DATA_LIST,
        )  # fmt: skip
        self.breakpoints: dict[int, int] = {}
        self.answers: list[bytes] = []
        self.requests: list[Manipulate] = []
        self.continues: list[Manipulate] = []
        self.acknowledged = 0
        self.halted = False
        self.deaf = False
        self.on_continue: list[Callable[[], None]] = []
        self._sock = sock
        self._peer = peer
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        module_list(
            self.memory,
            [("ntoskrnl.exe", KERNEL_BASE, 0xA00000), ("hal.dll", KERNEL_BASE + 0xB00000, 0x1000)],
        )
        self.memory.put(DATA_LIST, struct.pack("<Q", KDBG) + bytes(128))
        kdbg = bytearray(0x400)
        struct.pack_into("<Q", kdbg, 0x88, BUGCHECK_DATA)
        self.memory.put(KDBG, bytes(kdbg))
        self.memory.put(BUGCHECK_DATA, bytes(128))
        self.memory.put(CODE, b"\x90" * 0x100 + b"\xcc\xc3" + b"\x90" * 0x300)
        self.memory.put(KUSER, bytes(0x1000))

    @classmethod
    def kdnet(
        cls, port: int, *, key: Key = KEY, nonce: bytes = bytes(range(32)), first_id: int = 0
    ) -> ThinTarget:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        here = Endpoint(IPv4Address("127.0.0.1"), port)
        session = Session.kdnet_target(
            key, client_key=nonce, own=here, host=here, now=monotonic(), first_id=first_id
        )
        return cls(session, sock, ("127.0.0.1", port))

    @classmethod
    def kdcom(cls, sock: socket.socket) -> ThinTarget:
        return cls(Session.kdcom_target(), sock, None)

    def __enter__(self) -> ThinTarget:
        self._sock.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self._sock.close()

    def do(self, work: Callable[[], None]) -> None:
        """Have ``work`` done on the target's thread."""
        self._work.put(work)

    def wait(self, done: Callable[[], bool], timeout: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(done, timeout), "the thin target waited in vain"

    # What tests let it do

    def print(self, text: str, processor: int = 0) -> None:
        self.do(
            lambda: self._send(
                PacketType.DEBUG_IO, PrintString.of(text.encode(), processor=processor).encode()
            )
        )

    def prompt(self, text: str) -> None:
        self.do(lambda: self._send(PacketType.DEBUG_IO, GetString.of(text.encode()).encode()))

    def load(self, path: str, base: int, size: int, *, unload: bool = False) -> None:
        data = path.encode() + b"\0"
        self.halt(LoadSymbols(
            path_length=len(data), base=base, size_of_image=size, process_id=(1 << 64) - 1,
            unload=int(unload), program_counter=self.context.rip, data=data,
        ))  # fmt: skip

    def halt(self, change: StateChange64) -> None:
        def work() -> None:
            self.halted = True
            self._send(PacketType.STATE_CHANGE64, change.encode())

        self.do(work)

    def exception(self, code: int = 0x80000003, *, rip: int = BREAK_ADDRESS, rcx: int = 1) -> None:
        def work() -> None:
            self.context = replace(self.context, rip=rip, rcx=rcx)
            for address in [at for at in self.breakpoints if 0 <= at - rip < 16]:
                del self.breakpoints[address]

        self.do(work)
        self.halt(Exception64(
            exception_code=code, exception_address=rip, program_counter=rip, number_parameters=1,
            first_chance=1,
        ))  # fmt: skip

    def silence(self, times: int = 1) -> None:
        """Do not read the socket any more."""
        self.deaf = True

    # Inside

    def _send(self, packet_type: PacketType, payload: bytes) -> None:
        self.session.send_packet(packet_type, payload, monotonic())

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            while not self._stop.is_set():
                now = monotonic()
                deadline = self.session.deadline()
                if deadline is not None and now >= deadline:
                    self.session.handle_timer(now)
                while not self._work.empty():
                    self._work.get()()
                self._flush()
                if selector.select(0.005) and not self.deaf:
                    self._receive()
                self._flush()
                with self._changed:
                    self._changed.notify_all()

    def _receive(self) -> None:
        try:
            data, address = self._sock.recvfrom(65536)
        except BlockingIOError:
            return
        self.session.receive(data, monotonic(), address)
        while (event := self.session.next_event()) is not None:
            match event:
                case BreakInReceived():
                    if not self.halted:
                        self.exception()
                case Acknowledged():
                    self.acknowledged += 1
                case PacketReceived(PacketType.STATE_MANIPULATE):
                    record = event.record()
                    assert isinstance(record, Manipulate)
                    self._manipulate(record)
                case PacketReceived(PacketType.DEBUG_IO):
                    answer = event.record()
                    assert isinstance(answer, GetString)
                    self.answers.append(answer.answer)
                case Connected():
                    pass

    def _flush(self) -> None:
        for data, _ in self.session.datagrams_to_send():
            if self._peer is None:
                self._sock.sendall(data)
            else:
                self._sock.sendto(data, self._peer)

    def _reply(self, record: Manipulate) -> None:
        self._send(PacketType.STATE_MANIPULATE, record.encode())

    def _manipulate(self, request: Manipulate) -> None:
        self.requests.append(request)
        match request:
            case GetVersion64():
                self._reply(replace(self.version, processor=request.processor))
            case ReadVirtualMemory():
                data = self.memory.read(request.address, min(request.count, 0x448))
                status = 0 if data else STATUS_UNSUCCESSFUL
                self._reply(replace(request, status=status, actual=len(data), data=data))
            case WriteVirtualMemory():
                done = self.memory.write(request.address, request.data)
                self._reply(replace(
                    request, status=0 if done else STATUS_UNSUCCESSFUL,
                    actual=request.count if done else 0, data=b"",
                ))  # fmt: skip
            case GetContext():
                self._reply(replace(request, status=0, data=self.context.encode()))
            case SetContext():
                self.context = Amd64Context.decode(request.data)
                self._reply(replace(request, status=0, data=b""))
            case WriteBreakPoint():
                handle = len(self.breakpoints) + 1
                self.breakpoints[request.address] = handle
                self._reply(replace(request, status=0, handle=handle))
            case RestoreBreakPoint():
                found = [at for at, handle in self.breakpoints.items() if handle == request.handle]
                for address in found:
                    del self.breakpoints[address]
                self._reply(replace(request, status=0 if found else STATUS_UNSUCCESSFUL))
            case Continue() | Continue2():
                self.continues.append(request)
                self.halted = False
                time = int.from_bytes(self.memory.read(KUSER + 8, 8), "little") + 10_000
                self.memory.write(KUSER + 8, time.to_bytes(8, "little"))
                if isinstance(request, Continue2) and request.trace_flag:
                    self.exception(0x80000004, rip=self.context.rip + 1)
                elif self.on_continue:
                    self.on_continue.pop(0)()
            case _:
                self._reply(replace(request, status=STATUS_UNSUCCESSFUL))
