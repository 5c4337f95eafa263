"""A recorded serial target played to a live debugger over TCP.

Plays what the target sent, in order, and waits where the target waited: for the ACK of each data packet, for
Continue after a state change, for the answer to a prompt. Replies that the recording holds answered another
debugger's questions; this one's questions are answered here, registers with the recorded ones.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from harness.debuggers.replay import read_chunks
from harness.kd.debugio import GetString, PrintString
from harness.kd.frames import BreakIn, Frame, Junk
from harness.kd.kdcom import Reader, frame_packet
from harness.kd.manipulate import (
    Continue,
    Continue2,
    GetContext,
    GetVersion64,
    Manipulate,
    ReadVirtualMemory,
    SetContext,
)
from harness.kd.packet_ids import KDCOM_FIRST, SYNC
from harness.kd.packets import Packet, PacketType
from harness.kd.registry import decode_payload
from harness.kd.statechange import Exception64, StateChange64

KERNEL_BASE = 0xFFFFFFFF80400000
TIMEOUT = 20.0


def target_frames(path: Path) -> list[Frame]:
    """What the target sent in a recorded session, frame by frame."""
    reader = Reader()
    return [frame for chunk in read_chunks(path) if chunk.from_target for frame in reader.feed(chunk.data)]


class ReplayPeer:
    """Serves one recording to one debugger.

    :param frames: what the target sent.
    :param twice: send every n-th data packet a second time, as a target does whose ACK came too late.
    :param hang_up: close the line after the last frame.
    """

    def __init__(self, frames: Iterable[Frame], *, twice: int = 0, hang_up: bool = False) -> None:
        self._frames = list(frames)
        self._hang_up = hang_up
        self._twice = twice
        self._contexts = deque(
            frame.payload
            for frame in self._frames
            if isinstance(frame, Packet) and frame.payload[:2] == b"\x32\x31"
        )
        self._server = socket.create_server(("127.0.0.1", 0))
        self._reader = Reader(break_ins=True)
        self._inbound: deque[Packet] = deque()
        self._pc = 0
        self._stops = 0
        self._next_id = KDCOM_FIRST
        self.texts: list[bytes] = []
        """What was printed and asked, once each."""
        self.answers: list[bytes] = []
        self.connection = f"com:ipport={self._server.getsockname()[1]},port=127.0.0.1"
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ReplayPeer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self._thread.join(timeout=TIMEOUT)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            with self._server.accept()[0] as self._line:
                self._line.settimeout(TIMEOUT)
                self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for number, frame in enumerate(self._frames):
                    self._play(number, frame)
                # The target runs on and says nothing more, but breaks in, until the debugger hangs up.
                while not self._hang_up and (data := self._line.recv(4096)):
                    if BreakIn() in self._reader.feed(data):
                        self._break_in()
        except (ConnectionError, EOFError):
            return  # the debugger went away: its test knows why
        except (AssertionError, OSError) as error:
            self.failure = error

    def _play(self, number: int, frame: Frame) -> None:
        if isinstance(frame, Junk):
            self._line.sendall(frame.data)
            return
        assert isinstance(frame, Packet), frame
        if frame.is_control or frame.packet_type is PacketType.STATE_MANIPULATE:
            return
        record = decode_payload(frame.packet_type, frame.payload)
        again = self._twice and number % self._twice == 0
        frame = frame._replace(packet_id=self._take_id() | frame.packet_id & SYNC)
        self._line.sendall(frame_packet(frame) * (2 if again else 1))
        match record:
            case PrintString():
                self.texts.append(record.text)
                self._await_ack(frame)
            case GetString():
                self.texts.append(record.prompt)
                self._await_ack(frame)
                answer = self._await_data(PacketType.DEBUG_IO)
                reply = decode_payload(answer.packet_type, answer.payload)
                assert isinstance(reply, GetString)
                self.answers.append(reply.answer)
            case StateChange64():
                if isinstance(record, Exception64):
                    self._pc = record.program_counter
                self._serve()

    def _break_in(self) -> None:
        self._stops += 1
        stop = Exception64(exception_code=0x80000003, program_counter=KERNEL_BASE, thread=self._stops)
        self._line.sendall(frame_packet(Packet(PacketType.STATE_CHANGE64, self._take_id(), stop.encode())))
        self._serve()

    def _await_ack(self, sent: Packet) -> None:
        while True:
            packet = self._next()
            if packet.packet_type is PacketType.ACKNOWLEDGE and packet.packet_id == sent.packet_id & ~SYNC:
                return
            assert packet.is_control, f"{packet} before the ACK of {sent}"

    def _await_data(self, packet_type: PacketType) -> Packet:
        while (packet := self._next()).is_control:
            pass
        assert packet.packet_type is packet_type, packet
        self._line.sendall(frame_packet(Packet(PacketType.ACKNOWLEDGE, packet.packet_id & ~SYNC)))
        return packet

    def _serve(self) -> None:
        """Answer requests until Continue."""
        while True:
            packet = self._await_data(PacketType.STATE_MANIPULATE)
            request = decode_payload(packet.packet_type, packet.payload)
            assert isinstance(request, Manipulate)
            if isinstance(request, Continue | Continue2):
                return
            reply = self._answer(request).encode()
            packet = Packet(PacketType.STATE_MANIPULATE, self._take_id(), reply)
            self._line.sendall(frame_packet(packet))

    def _take_id(self) -> int:
        """The id of the next packet: other questions are answered than in the recording."""
        taken = self._next_id
        self._next_id ^= 1
        return taken

    def _answer(self, request: Manipulate) -> Manipulate:
        match request:
            case GetVersion64():
                return replace(
                    request, status=0, major_version=15, minor_version=3790, protocol_version=6, flags=1,
                    machine_type=0x14C, kernel_base=KERNEL_BASE,
                )  # fmt: skip
            case GetContext() if self._contexts:
                return GetContext.decode(self._contexts.popleft())
            case SetContext():
                return replace(request, status=0, data=b"")
            case ReadVirtualMemory(address=address, count=1) if address == self._pc:
                return replace(request, status=0, actual=1, data=b"\xcc")
            case _:
                return replace(request, status=0xC0000001, data=b"")

    def _next(self) -> Packet:
        while not self._inbound:
            data = self._line.recv(65536)
            if not data:
                raise EOFError
            self._inbound.extend(frame for frame in self._reader.feed(data) if isinstance(frame, Packet))
        return self._inbound.popleft()
