"""A guest agent on TCP that answers what a test has it answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from harness.guests.channels.qga.channel import COMMANDS

Handler = Callable[[str, dict[str, Any]], bytes | None]
"""Takes a command and its arguments; what is sent, None: the connection ends."""


def returns(value: object) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def allows_all(command: str, arguments: dict[str, Any]) -> bytes:
    """What every agent answers."""
    if command == "guest-sync-delimited":
        return b"\xff" + returns(arguments["id"])
    assert command == "guest-info", command
    return returns({"supported_commands": [{"name": name, "enabled": True} for name in COMMANDS]})


class ScriptedAgent:
    """Answers on a loopback port; one client at a time, as QEMU's socket."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._server.getsockname()
        self.asked: list[str] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._client: socket.socket | None = None

    def __enter__(self) -> ScriptedAgent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._server, self._client):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._client, _ = self._server.accept()
                self.connections += 1
                with self._client, self._client.makefile("rb") as lines, suppress(OSError):
                    for line in lines:
                        question = json.loads(line.lstrip(b"\xff"))
                        self.asked.append(question["execute"])
                        answer = self._handler(question["execute"], question["arguments"])
                        if answer is None:
                            break
                        self._client.sendall(answer)
