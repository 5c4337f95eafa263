"""ntoseye, a KDNET debugger written by others in Rust, as :mod:`main` wants a debugger. Linux and macOS.

Source: the type stub ``_ntoseye.pyi`` of ntoseye 0.52. It needs the kernel's PDB for much of what it offers;
here it is only asked for what it can tell without one. So it reports no images as they come and go, and of a
bugcheck in an image that is gone it cannot name the image.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
import threading
import time
from typing import Any, Callable  # noqa: UP035 - the same types as in the other engines

import ntoseye
from engine import DEBUGGER_EXCEPTIONS, Engine, Refused

POLL = 0.005
"""Seconds of waiting for a stop between two looks at what the target has printed."""
BIND_SECONDS = 5.0
"""After this long the port counts as bound; a target calls again every three seconds anyway."""
HANDSHAKE_SECONDS = 24 * 3600
"""The harness has a deadline of its own and kills this process."""
SHARED_DATA = 0xFFFFF780_00000000
"""KUSER_SHARED_DATA (Microsoft, ntddk.h), and in it:"""
INTERRUPT_TIME, BUILD_NUMBER, PROCESSOR_COUNT = 0x08, 0x260, 0x3C0
MACHINE_TYPES = {"AMD64": 0x8664, "ARM64": 0xAA64}
MAX_MODULES = 2048
MODULE_READINGS = 3
"""How often the list of loaded images is read until it has one: the kernel is always in it."""
MAX_EXPORTS = 65536
BASE, NAME, ENTRY_SIZE = 0x30, 0x58, 0x68
"""KLDR_DATA_TABLE_ENTRY on 64-bit kernels."""


class NtoseyeEngine(Engine):
    """See :class:`engine.Engine`."""

    def __init__(self, emit: Callable[..., None]) -> None:
        self._emit = emit
        self._debugger: Any = None
        self._stop: Any = None
        self._seen = 0
        self._base = 0

    def attach(self, connection: str) -> dict[str, Any]:
        """See :class:`engine.Engine`; KDNET only."""
        transport, _, rest = connection.partition(":")
        options = dict(part.split("=", 1) for part in rest.split(","))
        if transport != "net" or set(options) != {"port", "key"}:
            raise Refused("the connection must be net:port=N,key=w.x.y.z")
        threading.Thread(target=self._announce, args=(int(options["port"]),), daemon=True).start()
        try:
            self._debugger = ntoseye.attach(
                backend="kdnet",
                connect="0.0.0.0:" + options["port"],
                key=options["key"],
                kd_handshake_timeout=HANDSHAKE_SECONDS,
            )
            said = self._debugger.command("vertarget")
        except ntoseye.NtoseyeError as error:
            raise Refused(_words(error)) from None
        facts = dict(re.findall(r"^\s*(\S+)\s+(\S+)", said, re.MULTILINE))
        try:
            self._base = int(facts["kernel"], 16)
        except (KeyError, ValueError):
            raise Refused("ntoseye does not say where the kernel is: " + " ".join(said.split())) from None
        return {
            "build": self._number(SHARED_DATA + BUILD_NUMBER, 4) & 0xFFFF,
            "machine_type": MACHINE_TYPES.get(facts.get("arch", ""), 0),
            "processors": self._number(SHARED_DATA + PROCESSOR_COUNT, 4),
            "kernel_base": self._base,
            "version": "ntoseye " + facts.get("ntoseye", "of unknown version"),
        }

    def wait(self) -> bool:
        """See :class:`engine.Engine`."""
        try:
            stop = self._debugger.run(timeout=POLL, disposition=self._disposition())
            while stop is None or stop.kind == "reload":
                self._drain()
                if stop is None:
                    stop = self._debugger.wait(timeout=POLL)
                else:
                    self._base = stop.reload.kernel_base or self._base
                    self._emit("rebooted")
                    stop = self._debugger.run(timeout=POLL)
        except ntoseye.NtoseyeError as error:
            self._emit("output", text=_words(error))
            return False
        self._drain()
        self._stop = stop
        return True

    def settle(self) -> None:
        """See :class:`engine.Engine`. A break-in leaves nothing in ntoseye."""

    def stop(self) -> dict[str, Any]:
        """See :class:`engine.Engine`."""
        stop = self._stop
        found = {
            "code": 0,
            "address": stop.rip or 0,
            "first_chance": True,
            "bugcheck": None,
            "break_in": stop.kind == "interrupt",
            "command": False,
            "kind": stop.kind,
        }
        if stop.kind == "exception":
            found["code"] = stop.exception.code
            found["first_chance"] = stop.exception.first_chance is not False
        elif stop.kind in ("breakpoint", "interrupt", "bugcheck"):
            found["code"] = 0x80000003
        found["bugcheck"] = self.bugcheck()
        return found

    def break_in(self) -> None:
        """See :class:`engine.Engine`."""
        try:
            self._debugger.interrupt()
        except ntoseye.NtoseyeError as error:
            raise Refused(_words(error)) from None

    def answer(self, text: str) -> None:
        """See :class:`engine.Engine`. ntoseye answers prompts itself, with nothing, and announces none."""

    def execute(self, command: str) -> tuple[str, bool]:
        """See :class:`engine.Engine`."""
        try:
            output = str(self._debugger.command(command))
        except ntoseye.NtoseyeError as error:
            return _words(error) + "\n", True
        return output, output.startswith("error:")

    def gone(self) -> bool:
        """See :class:`engine.Engine`; ntoseye waits for the target to come back."""
        return False

    def bugcheck(self) -> list[int] | None:
        """See :class:`engine.Engine`."""
        stop = self._debugger.stop
        if stop is None or stop.kind != "bugcheck" or stop.bugcheck is None:
            return None
        return [stop.bugcheck.code, *stop.bugcheck.parameters]

    def modules(self) -> list[list[Any]]:
        """See :class:`engine.Engine`. Walks PsLoadedModuleList, which the kernel exports."""
        said = "the list of loaded images is empty"
        for _ in range(MODULE_READINGS):
            try:
                if found := self._loaded_images(self._export("PsLoadedModuleList")):
                    return found
            except Refused as refusal:
                said = str(refusal)
        raise Refused(
            f"ntoseye finds no image, not even the kernel at 0x{self._base:x} ({said}): break in again, "
            "or use another debugger"
        )

    def _loaded_images(self, head: int) -> list[list[Any]]:
        found: list[list[Any]] = []
        link = self._number(head, 8) if head else 0
        while link not in (0, head) and len(found) < MAX_MODULES:
            entry = self._read(link, ENTRY_SIZE)
            length, _, buffer = struct.unpack_from("<HH4xQ", entry, NAME)
            name = self._read(buffer, min(length, 1024)).decode("utf-16-le", "replace") if buffer else ""
            base, size = struct.unpack_from("<Q8xI", entry, BASE)
            found.append([name, base, size])
            (link,) = struct.unpack_from("<Q", entry)
        return found

    def interrupt_time(self) -> int | None:
        """See :class:`engine.Engine`."""
        try:
            return self._number(SHARED_DATA + INTERRUPT_TIME, 8)
        except Refused:
            return None

    def clear_breakpoints(self) -> None:
        """See :class:`engine.Engine`."""
        self.execute("bc *")

    def let_go(self) -> None:
        """See :class:`engine.Engine`."""
        try:
            self._debugger.close()
        except ntoseye.NtoseyeError as error:
            raise Refused("ntoseye did not let the target go: " + _words(error)) from None

    def _announce(self, port: int) -> None:
        """Say ``listening`` once somebody has the port: the system refuses datagrams to a free one."""
        deadline = time.monotonic() + BIND_SECONDS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", port))
            probe.settimeout(0.01)
            while time.monotonic() < deadline:
                try:
                    probe.send(b"")
                    probe.recv(1)
                except TimeoutError:
                    break
                except OSError as error:
                    if error.errno != errno.ECONNREFUSED:
                        break
        self._emit("listening")

    def _drain(self) -> None:
        page = self._debugger.debug_log(since=self._seen)
        if page.dropped:
            self._emit("lost", text="ntoseye had no room for some lines and dropped them")
        for line in page.lines:
            self._emit("print", text=(line.text + "\n").encode("utf-8").decode("latin-1"))
        self._seen = page.next_seq
        for notice in self._debugger.notices():
            self._emit("output", text=str(notice.text))

    def _disposition(self) -> str | None:
        """What becomes of the exception that the target stands at."""
        stop = self._debugger.stop
        foreign = (
            stop is not None and stop.kind == "exception" and stop.exception.code not in DEBUGGER_EXCEPTIONS
        )
        return "not_handled" if foreign else None

    def _export(self, wanted: str) -> int:
        """Address of what the kernel exports by this name, 0 when it does not (Microsoft, PE Format)."""
        optional = self._number(self._base + 0x3C, 4) + 24
        directory = self._number(self._base + optional + 112, 4)
        count, functions, names, ordinals = struct.unpack("<4I", self._read(self._base + directory + 24, 16))
        if count > MAX_EXPORTS:
            return 0
        low, high = 0, count
        while low < high:  # the names are sorted
            middle = (low + high) // 2
            at = self._number(self._base + names + 4 * middle, 4)
            name = self._read(self._base + at, 64).split(b"\0")[0].decode("ascii", "replace")
            if name == wanted:
                ordinal = self._number(self._base + ordinals + 2 * middle, 2)
                return self._base + self._number(self._base + functions + 4 * ordinal, 4)
            low, high = (middle + 1, high) if name < wanted else (low, middle)
        return 0

    def _number(self, address: int, size: int) -> int:
        return int.from_bytes(self._read(address, size), "little")

    def _read(self, address: int, size: int) -> bytes:
        try:
            data = bytes(self._debugger.memory.read(address, size))
        except ntoseye.NtoseyeError as error:
            raise Refused(_words(error)) from None
        if len(data) != size:
            raise Refused(f"ntoseye reads {len(data)} of {size} bytes at 0x{address:x}")
        return data


def _words(error: Exception) -> str:
    return " ".join(str(error).split())
