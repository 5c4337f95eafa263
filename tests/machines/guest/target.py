"""The virtual target in the Linux guest, asked by the guest helper over a Unix socket.

``python target.py SOCKET HOSTIP CONNECTION``: dials the debugger at that address, or offers a serial port. A
target that bugchecked or hangs answers nobody, as a computer would.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from harness.virtual.control import ControlServer
from harness.virtual.process import TargetProcess

QUIET = 300 * 10_000
LONGEST = 10_000 * 10_000
"""Of target time, in its units of 100 ns."""
MAX_REQUEST = 1 << 16


class Refused(Exception):
    """The target says no."""


class Target:
    """The control calls of a target in this process."""

    def __init__(self) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self.process = TargetProcess(ControlServer(os.fdopen(requests, "rb"), os.fdopen(answers, "wb")))
        self._lines = os.fdopen(self._answers, "rb")
        self._numbers = itertools.count(1)

    def call(self, call: str, /, **args: Any) -> dict[str, Any]:
        request = {"id": next(self._numbers), "call": call, "args": args}
        rest = json.dumps(request).encode() + b"\n"
        while rest:
            rest = rest[os.write(self._requests, rest) :]
        answer = json.loads(self._lines.readline())
        if "error" not in answer:
            return answer["result"]
        error = answer["error"]
        if error["kind"] in ("bugcheck", "hang", "dead"):
            print(f"target: {error}", flush=True)
            threading.Event().wait()
        raise Refused(f"{call}: {error['message']}")


class Helper:
    """What the guest helper's command line does to the target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._paths: dict[str, str] = {}
        """Of files in this guest → in the target's file system."""

    def run(self, words: list[str]) -> dict[str, Any]:
        match words:
            case ["start", name, path]:
                status = self._target.call("load_driver", name=name, path=self._inside(path))["status"]
                return {"action": "start", "id": 0, "pid": 4, "status": win32(status)}
            case ["stop", name]:
                status = self._target.call("unload_driver", name=name)["status"]
                return {"action": "stop", "id": 0, "pid": 4, "status": win32(status)}
            case ["--id", step, *argv]:
                return self._target.call("act", argv=[self._inside(word) for word in argv], step=int(step))
        raise Refused(f"{words} is no command line of the guest helper")

    def go_on(self) -> None:
        """Let what an action has begun come to rest: a computer does that by itself while nobody asks."""
        self._target.call("settle", quiet=QUIET, max=LONGEST)

    def _inside(self, word: str) -> str:
        """The path in the target of a file in this guest, which is put there; any other word as it is."""
        if not word.startswith("/") or not Path(word).is_file():
            return word
        data = base64.b64encode(Path(word).read_bytes()).decode()
        return self._target.call("put", name=Path(word).name, data=data)["path"]


def win32(status: int) -> int:
    """A Win32 error that the host's side takes back to this NTSTATUS."""
    known = {0xC000_0001: 31, 0xC000_0022: 5, 0xC000_0017: 8, 0xC000_0034: 2, 0xC000_0010: 1052}
    status &= 0xFFFF_FFFF
    return known.get(status, 31) if status & 0x8000_0000 else 0


def serve(helper: Helper, path: str) -> None:
    """Answer one guest helper after the other."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                request = b""
                while len(request) < MAX_REQUEST and (part := connection.recv(MAX_REQUEST)):
                    request += part
                try:
                    answer = helper.run([word.decode() for word in request.split(b"\0")[:-1]])
                    connection.sendall(json.dumps(answer).encode() + b"\n")
                except Refused as refusal:
                    print(f"target: {refusal}", flush=True)
                    continue
            helper.go_on()


def main() -> None:
    target = Target()
    path, host, connection = sys.argv[1:]

    def boot_and_serve() -> None:
        target.call(
            "boot",
            seed=1,
            profile="win10-1903",
            policy="default",
            processors=2,
            print_masks={},
            connection=connection,
            hostip=host,
        )
        serve(Helper(target), path)

    threading.Thread(target=boot_and_serve, daemon=True).start()
    target.process.run()


if __name__ == "__main__":
    main()
