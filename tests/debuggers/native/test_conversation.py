"""What two threads share: the inbox that the link's thread fills while the debugger's own looks into it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from harness.debuggers.base import PrintReceived
from harness.debuggers.native.conversation import Conversation
from harness.debuggers.native.inbox import Halt, InboxItem
from harness.debuggers.native.servedfiles import MAX_KDNET_READ, ServedFiles
from harness.debuggers.prompts import answer_prompt
from harness.kd.debugio import PrintString
from harness.kd.packets import PacketType
from harness.kd.statechange import Exception64

PRINT = PrintString.of(b"x")
PRINTS = 20_000


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_the_inbox_is_searched_while_it_grows() -> None:
    talk = Conversation(answer_prompt, ServedFiles(MAX_KDNET_READ))
    for _ in range(PRINTS):
        talk._on_record(PacketType.DEBUG_IO, PRINT)
    talk._on_halt(Exception64())
    searched, printed = threading.Event(), 0

    def link() -> None:
        nonlocal printed
        while not searched.is_set():
            talk._on_record(PacketType.DEBUG_IO, PRINT)
            printed += 1

    thread = threading.Thread(target=link)
    thread.start()
    try:
        assert talk.take_halt() is not None
        assert all(isinstance(item, PrintReceived) for item in talk.unread())
    finally:
        searched.set()
        thread.join()
    assert len(talk.unread()) == PRINTS + printed


def test_a_stop_that_was_taken_leaves_no_message_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Conversation(answer_prompt, ServedFiles(MAX_KDNET_READ))
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(talk.take_halt()))
    put = talk._put

    def put_slowly(item: InboxItem) -> None:
        taker.start()
        taker.join(timeout=0.2)  # it would have been here before the message, were it let in
        put(item)

    monkeypatch.setattr(talk, "_put", put_slowly)
    talk._on_halt(Exception64())
    taker.join()
    assert taken == [Exception64()]
    assert not [item for item in talk.unread() if isinstance(item, Halt)]
