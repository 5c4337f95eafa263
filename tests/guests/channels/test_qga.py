"""What is the guest agent's own: in step with it whatever it says, and what it must allow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guest_servers import AgentServer
from hypothesis import given
from hypothesis import strategies as st
from scripted_agent import ScriptedAgent, allows_all, returns

from harness.errors import GuestError, ProcnotifyError, TargetLost
from harness.guests.channels.qga import QgaChannel
from harness.guests.channels.qga.answers import MAX_ANSWER, AnswerStream, NotAnAnswerError
from harness.guests.channels.qga.link import AgentLink

stale = st.lists(st.binary(max_size=40) | st.sampled_from([b'\xff{"return": 6}\n', returns(7), b"\xff"]))


@given(stale, st.integers(8, 2**48), st.lists(st.integers(1, 30)))
def test_nothing_that_came_before_is_taken_for_the_answer(
    before: list[bytes], number: int, cuts: list[int]
) -> None:
    stream = AnswerStream()
    stream.begin_sync(number)
    data = b"".join(before) + b"\xff" + returns(number) + returns("fresh")
    answers = []
    while data:
        size = cuts.pop() if cuts else len(data)
        piece, data = data[:size], data[size:]
        answer = stream.feed(piece)
        while answer is not None:
            answers.append(answer)
            answer = stream.feed(b"")
    assert answers == [{"return": None}, {"return": "fresh"}]
    assert not stream.pending


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\n", "no JSON"),
        (b"hello\n", "b'hello', which is no JSON"),
        (b"[" * 5000 + b"\n", "no JSON"),
        (b"[1]\n", "no answer"),
        (b'{"event": 1}\n', "no answer"),
        (b"\xff\xff\n", "no JSON"),
        (b"x" * 101, "without an end in 100 bytes"),
    ],
)
def test_a_line_that_is_no_answer(line: bytes, words: str) -> None:
    with pytest.raises(NotAnAnswerError) as refused:
        AnswerStream(limit=100).feed(line)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 300


def test_the_longest_answer_is_one() -> None:
    line = b'{"return": "' + b"x" * 86 + b'"}'
    assert len(line) == 100
    assert AnswerStream(limit=100).feed(line + b"\n") is not None
    assert AnswerStream(limit=100).feed(line) is None


def talks(command: str, answer: bytes | None):
    """Answers one command with what it is given, and others as an agent does."""

    def handler(asked: str, arguments: dict[str, Any]) -> bytes | None:
        return answer if asked == command else allows_all(asked, arguments)

    return handler


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            b"\x00\x01 garbage\n",
            TargetLost,
            "answered guest-exec with b'\\x00\\x01 garbage', which is no JSON",
        ),
        (b"y" * (MAX_ANSWER + 1), TargetLost, f"without an end in {MAX_ANSWER} bytes"),
        (None, TargetLost, "ended the connection before it answered guest-exec"),
        (b"", TargetLost, "did not answer guest-exec within 0.5 s"),
        (b'{"return": {', TargetLost, "did not answer guest-exec within 0.5 s"),
        (returns({}), GuestError, "answered guest-exec with None for a number"),
        (returns([]), GuestError, "answered guest-exec with None for a number"),
        (returns({"pid": "4"}), GuestError, "answered guest-exec with '4' for a number"),
        (b'{"error": {"desc": "not today"}}\n', GuestError, "refused guest-exec: not today"),
        (b'{"error": 3}\n', GuestError, "refused guest-exec: 3"),
    ],
    ids=[
        "garbage",
        "over-long",
        "end",
        "silence",
        "half",
        "nothing",
        "list",
        "text",
        "refusal",
        "odd refusal",
    ],
)
def test_an_agent_that_answers_nonsense(answer: bytes | None, error: type, words: str) -> None:
    with ScriptedAgent(talks("guest-exec", answer)) as agent:
        channel = QgaChannel(agent.address, timeout=10 if answer and len(answer) > 1000 else 0.5)
        with pytest.raises(ProcnotifyError) as refused:
            channel.run(["x"], timeout=5)
        assert type(refused.value) is error
        assert words in str(refused.value)
        assert len(str(refused.value)) < 400
        channel.await_up(10)  # and it is in step again, on a new connection where the old one was of no use
        channel.close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "answered guest-exec-status with {}"),
        ({"exited": 1}, "answered guest-exec-status with {'exited': 1}"),
        ({"exited": True}, "with None for a number"),
        ({"exited": True, "exitcode": 0, "out-data": "?"}, "'?', which is no base64"),
        ({"exited": True, "exitcode": 0, "err-data": 5}, "5, which is no base64"),
        ({"exited": True, "exitcode": 0, "out-truncated": True}, "x printed more than the guest agent keeps"),
    ],
)
def test_a_program_whose_end_is_told_as_nonsense(status: dict[str, object], words: str) -> None:
    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        match command:
            case "guest-exec":
                return returns({"pid": 4})
            case "guest-exec-status":
                return returns(status)
            case _:
                return allows_all(command, arguments)

    with ScriptedAgent(handler) as agent:
        channel = QgaChannel(agent.address)
        with pytest.raises(GuestError) as refused:
            channel.run(["x"], timeout=5)
        assert words in str(refused.value)
        channel.close()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"exitcode": 3}, 3),
        ({"exitcode": -1073741819}, 0xC000_0005),
        ({"signal": 11}, 128 + 11),
        ({"signal": -1073741819}, 0xC000_0005),
        ({"signal": 0xC000_0005}, 0xC000_0005),
    ],
)
def test_exit_codes_of_both_kinds_of_guests(end: dict[str, int], code: int) -> None:
    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        match command:
            case "guest-exec":
                return returns({"pid": 4})
            case "guest-exec-status":
                return returns({"exited": True} | end)
            case _:
                return allows_all(command, arguments)

    with ScriptedAgent(handler) as agent:
        channel = QgaChannel(agent.address)
        assert channel.run(["x"], timeout=5).exit_code == code
        channel.close()


def test_windows_own_programs_end_and_move_what_is_windows() -> None:
    ran: list[list[str]] = []

    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        match command:
            case "guest-exec":
                ran.append([arguments["path"], *arguments["arg"]])
                return returns({"pid": len(ran)})
            case "guest-exec-status":
                lasting = ran[arguments["pid"] - 1][0].endswith("actor.exe") and len(ran) < 3
                return returns({"exited": False} if lasting else {"exited": True, "exitcode": 0})
            case "guest-file-open":
                return returns(9)
            case "guest-file-write":
                return returns({"count": 2, "eof": False})
            case "guest-file-flush" | "guest-file-close":
                return returns({})
            case _:
                return allows_all(command, arguments)

    with ScriptedAgent(handler) as agent:
        channel = QgaChannel(agent.address)
        channel.put(r"C:\a b\x.sys", b"MZ")
        with pytest.raises(GuestError, match="it was ended"):
            channel.run([r"C:\actor.exe", "sleep", "9"], timeout=0.01)
        assert ran == [
            ["cmd.exe", "/d", "/c", "move", "/y", r"C:\a b\x.sys.part", r"C:\a b\x.sys"],
            [r"C:\actor.exe", "sleep", "9"],
            ["taskkill.exe", "/f", "/t", "/pid", "2"],
        ]
        with pytest.raises(GuestError, match="has & in it"):
            channel.put(r"C:\a&b", b"")
        channel.close()


def test_a_file_without_an_end_is_not_read_for_ever() -> None:
    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        match command:
            case "guest-file-open":
                return returns(1)
            case "guest-file-read":
                return returns({"count": 4, "buf-b64": "", "eof": False})
            case "guest-file-close":
                return returns({})
            case _:
                return allows_all(command, arguments)

    with ScriptedAgent(handler) as agent:
        channel = QgaChannel(agent.address)
        assert channel.get("/x", limit=100) == b""
        assert agent.asked[-1] == "guest-file-close"
        channel.close()


def test_a_write_that_gets_nowhere_is_a_refusal_and_its_file_is_removed() -> None:
    ran: list[list[str]] = []

    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        match command:
            case "guest-file-open":
                return returns(1)
            case "guest-file-write":
                return returns({"count": 0, "eof": False})
            case "guest-file-close":
                return returns({})
            case "guest-exec":
                ran.append([arguments["path"], *arguments["arg"]])
                return returns({"pid": 1})
            case "guest-exec-status":
                return returns({"exited": True, "exitcode": 0})
            case _:
                return allows_all(command, arguments)

    with ScriptedAgent(handler) as agent:
        channel = QgaChannel(agent.address)
        with pytest.raises(GuestError, match=r"wrote 0 of 1 bytes to /x\.part"):
            channel.put("/x", b"x")
        assert ran == [["rm", "-f", "--", "/x.part"]]
        channel.close()


def test_an_answer_that_comes_late_is_nobodys() -> None:
    late: list[bytes] = []

    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        if command == "guest-ping":
            late.append(returns("late"))
            return b""
        if late:
            return late.pop() + allows_all(command, arguments)
        return allows_all(command, arguments)

    with ScriptedAgent(handler) as agent:
        link = AgentLink(agent.address)
        with pytest.raises(TargetLost, match="did not answer guest-ping"):
            link.call("guest-ping", timeout=0.2)
        assert "supported_commands" in link.call("guest-info", timeout=10)
        assert agent.connections == 1
        link.close()


def test_who_does_not_answer_is_connected_to_anew() -> None:
    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        return b"" if server.connections < 3 else allows_all(command, arguments)

    with ScriptedAgent(handler) as server:
        link = AgentLink(server.address)
        for _ in range(2):
            with pytest.raises(TargetLost, match="did not answer guest-sync-delimited"):
                link.synchronise(0.1)
        link.synchronise(10)
        assert server.connections == 3
        link.close()


def test_what_nobody_asked_for_is_nobodys() -> None:
    def handler(command: str, arguments: dict[str, Any]) -> bytes:
        answer = allows_all(command, arguments)
        return answer + returns("too much") if command == "guest-info" else answer

    with ScriptedAgent(handler) as agent:
        link = AgentLink(agent.address)
        for _ in range(3):
            assert "supported_commands" in link.call("guest-info", timeout=10)
        assert agent.asked.count("guest-sync-delimited") == 3
        link.close()


def test_an_agent_that_stands_still_is_lost_and_in_step_again_once_it_goes_on(agent: AgentServer) -> None:
    agent.start()
    channel = QgaChannel(agent.where, timeout=0.3)
    channel.await_up(10)
    agent.freeze()
    with pytest.raises(TargetLost, match="did not answer guest-exec within"):
        channel.run(["echo", "stale"], timeout=10)
    with pytest.raises(TargetLost, match=r"no guest agent answered at .* within 0\.5 s"):
        channel.await_up(0.5)
    agent.thaw()
    channel.await_up(30)
    assert channel.run(["echo", "fresh"], timeout=10).stdout == b"fresh\n"
    channel.close()


def test_an_agent_that_forbids_programs_is_told_from_one_that_is_not_there(agent: AgentServer) -> None:
    agent.start(options=("-b", "guest-exec,guest-file-open"))
    channel = agent.channel()
    with pytest.raises(
        GuestError, match=r"does not allow guest-exec, guest-file-open; take them off block-rpcs"
    ):
        channel.await_up(30)
    with pytest.raises(GuestError, match="guest-exec has been disabled"):
        channel.run(["true"], timeout=10)
    channel.close()


def test_what_another_client_left_unread_is_not_ours(agent: AgentServer) -> None:
    agent.start()
    first = AgentLink(agent.where, number=lambda: 77)
    first.synchronise(10)
    assert first._socket is not None
    question = {"execute": "guest-file-open", "arguments": {"path": "/dev/zero", "mode": "rb"}}
    first._socket.sendall(json.dumps(question).encode() + b"\n")
    first.close()
    channel = agent.channel()
    assert channel.run(["echo", "ours"], timeout=10).stdout == b"ours\n"
    channel.close()
