"""A guest channel to a Windows of a few dictionaries: bcdedit, reg and certutil as far as preparation goes.

Wine, which is somebody else's Windows, has reg and none of the other two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from harness.guests.channels import ProgramResult

__all__ = ["WindowsGuest"]

_GUID = "{0cb3b571-2f2e-4343-a879-d86a476d7215}"
_ELEMENTS = {"debug": "260000a0", "testsigning": "16000049", "recoveryenabled": "16000009"}


class WindowsGuest:
    """What was done to it stands in its attributes.

    :param deaf: programs that say that all is well and do nothing.
    :param failing: programs that end with 1.
    """

    def __init__(self, *, deaf: Sequence[str] = (), failing: Sequence[str] = ()) -> None:
        self._deaf, self._failing = deaf, failing
        self.files: dict[str, bytes] = {}
        self.registry: dict[tuple[str, str], str] = {}
        self.boot_options: dict[str, str] = {}
        self.debugger: dict[str, str] = {"debugtype": "Local"}
        self.certificates: set[tuple[str, str]] = set()
        self.programs: list[tuple[str, ...]] = []

    def await_up(self, timeout: float) -> None:
        """It is."""

    def put(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def get(self, path: str, *, limit: int) -> bytes:
        return self.files[path]

    def close(self) -> None:
        """Nothing is held."""

    def run(self, argv: Sequence[str], *, timeout: float) -> ProgramResult:
        self.programs.append(tuple(argv))
        program, arguments = argv[0], list(argv[1:])
        if program in self._failing:
            return ProgramResult(1, b"Zugriff verweigert", b"")
        asked = arguments[0] in ("/enum", "query", "-store") or arguments == ["/dbgsettings"]
        if program in self._deaf and not asked:
            return ProgramResult(0, b"Der Vorgang wurde erfolgreich beendet.", b"")
        answer = {"bcdedit": self._bcdedit, "reg": self._reg, "certutil": self._certutil}.get(program)
        said = answer(arguments) if answer is not None else ""
        return (
            ProgramResult(1, b"", b"nicht gefunden") if said is None else ProgramResult(0, said.encode(), b"")
        )

    def _bcdedit(self, arguments: list[str]) -> str | None:
        match arguments:
            case ["/enum", "{current}", "/v"]:
                return f"Windows-Startladeprogramm\r\nBezeichner              {_GUID}\r\n"
            case ["/debug", state]:
                self._boot("debug", state)
            case ["/set", "{dbgsettings}", name, value]:
                self.debugger[name] = value
            case ["/set", *_, name, value]:
                self._boot(name, value)
            case ["/dbgsettings"]:
                return "".join(f"{name:24}{value}\r\n" for name, value in self.debugger.items())
            case ["/dbgsettings", kind, *values]:
                self.debugger = {"debugtype": kind, **dict(value.split(":") for value in values)}
            case _:
                return None
        return "Der Vorgang wurde erfolgreich beendet.\r\n"

    def _boot(self, name: str, value: str) -> None:
        self.boot_options[name] = value
        if name in _ELEMENTS:
            key = rf"HKLM\BCD00000000\Objects\{_GUID}\Elements\{_ELEMENTS[name]}"
            self.registry[key, "Element"] = f"REG_BINARY    {'01' if value == 'on' else '00'}"

    def _reg(self, arguments: list[str]) -> str | None:
        match arguments:
            case ["add", key, "/v", name, "/t", "REG_DWORD", "/d", value, "/f"]:
                self.registry[key, name] = f"REG_DWORD    0x{int(value):x}"
                return "Der Vorgang wurde erfolgreich beendet.\r\n"
            case ["query", key, "/v", name] if (key, name) in self.registry:
                return f"\r\n{key}\r\n    {name}    {self.registry[key, name]}\r\n\r\n"
        return None

    def _certutil(self, arguments: list[str]) -> str | None:
        match arguments:
            case ["-f", "-addstore", store, path]:
                thumbprint = hashlib.sha1(self.files[path], usedforsecurity=False).hexdigest()
                self.certificates.add((store, thumbprint))
                return "CertUtil: -addstore-Befehl wurde erfolgreich ausgeführt."
            case ["-store", store, thumbprint] if (store, thumbprint) in self.certificates:
                return "CertUtil: -store-Befehl wurde erfolgreich ausgeführt."
        return None
