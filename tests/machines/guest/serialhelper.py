"""The serial channel's end in the Linux guest, as ``actor.exe serve`` is in a Windows.

``python serialhelper.py DEVICE``
"""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
import time
import tty
from pathlib import Path

from serial_guest import Refused, SerialGuest

from harness.guests.channels.serial.operations import PIECE, VERSION, Operation, ProgramState

ERROR_FILE_NOT_FOUND = 2
ERROR_INVALID_FUNCTION = 1
ERROR_DISK_FULL = 112
FILETIME_OF_1970 = 116_444_736_000_000_000
"""In units of 100 ns since 1601."""


class LinuxPerformer:
    """Does what a host asks for.

    :param folder: for the outputs of the latest program.
    """

    def __init__(self, folder: Path = Path("/run")) -> None:
        self._folder = folder
        self._outputs = (folder / "helper.stdout", folder / "helper.stderr")
        self._text = bytearray()
        self._put = bytearray()
        self._path = ""
        self._got = b""
        self._program: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0

    def __call__(self, operation: int, payload: bytes) -> bytes:
        match operation:
            case Operation.HELLO:
                self.__init__(self._folder)  # a new session finds nothing of the one before
                return struct.pack("<II", VERSION, os.getpid())
            case Operation.PING:
                return payload
            case Operation.CLOCK:
                now = time.time_ns() // 100 + FILETIME_OF_1970
                return struct.pack("<QI", now, time.monotonic_ns() // 1_000_000 & 0xFFFF_FFFF)
            case Operation.TEXT:
                self._text[number(payload) :] = payload[4:]
                return b""
            case Operation.RUN:
                return self._run(self._taken_text(), number(payload) / 1000)
            case Operation.WAIT:
                return self._wait(number(payload) / 1000)
            case Operation.OUTPUT:
                return read_piece(self._outputs[number(payload)], number(payload[4:]))
            case Operation.PUT:
                self._path, self._put = self._taken_text(), bytearray()
                return b""
            case Operation.PUT_PIECE:
                self._put[number(payload) :] = payload[4:]
                return b""
            case Operation.STORE:
                self._store()
                return b""
            case Operation.GET:
                return self._get(self._taken_text())
            case Operation.GET_PIECE:
                return self._got[number(payload) :][:PIECE]
        raise Refused(ERROR_INVALID_FUNCTION)

    def _taken_text(self) -> str:
        text, self._text = self._text.decode("utf-8", "surrogateescape"), bytearray()
        return text

    def _run(self, line: str, seconds: float) -> bytes:
        try:
            with self._outputs[0].open("wb") as stdout, self._outputs[1].open("wb") as stderr:
                self._program = subprocess.Popen(words_of(line), stdout=stdout, stderr=stderr)
        except OSError:
            raise Refused(ERROR_FILE_NOT_FOUND) from None
        self._deadline = time.monotonic() + seconds
        return struct.pack("<I", self._program.pid)

    def _wait(self, seconds: float) -> bytes:
        program, state = self._program, ProgramState.ENDED
        if program is None:
            raise Refused(ERROR_INVALID_FUNCTION)
        try:
            program.wait(min(seconds, max(self._deadline - time.monotonic(), 0)))
        except subprocess.TimeoutExpired:
            state = ProgramState.RUNS
            if time.monotonic() >= self._deadline:
                program.kill()
                program.wait()
                state = ProgramState.TERMINATED
        lengths = [path.stat().st_size for path in self._outputs]
        code = program.returncode or 0
        if code < 0:  # a signal, told as a shell tells it
            code = 128 - code
        return struct.pack("<6I", state, code, lengths[0], 0, lengths[1], 0)

    def _store(self) -> None:
        path = Path(self._path)
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_bytes(self._put)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            full = error.errno in (errno.EFBIG, errno.ENOSPC)
            raise Refused(ERROR_DISK_FULL if full else ERROR_FILE_NOT_FOUND) from None

    def _get(self, path: str) -> bytes:
        try:
            self._got = Path(path).read_bytes()
        except OSError:
            raise Refused(ERROR_FILE_NOT_FOUND) from None
        return struct.pack("<Q", len(self._got))


def words_of(line: str) -> list[str]:
    """The words of a command line, by the rules of Microsoft's C runtime."""
    words: list[str] = []
    word, quoted = None, False
    for found in re.finditer(r'(\\*)"|(\\+|[^\\" \t]+)|[ \t]', line):
        before, plain = found.groups()
        if before is not None:
            word = (word or "") + "\\" * (len(before) // 2)
            if len(before) % 2:
                word += '"'
            else:
                quoted = not quoted
        elif plain is not None or quoted:
            word = (word or "") + found[0]
        elif word is not None:
            words.append(word)
            word = None
    return words if word is None else [*words, word]


def read_piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def number(payload: bytes) -> int:
    """The first one in a payload."""
    found: int = struct.unpack_from("<I", payload)[0]
    return found


def main() -> None:
    device = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(device)
    guest = SerialGuest(LinuxPerformer())
    while data := os.read(device, 4096):
        answer = guest.receive(data)
        while answer:
            answer = answer[os.write(device, answer) :]


if __name__ == "__main__":
    main()
