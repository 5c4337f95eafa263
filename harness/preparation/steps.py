"""The steps of a preparation: commands of Windows, and how each is checked afterwards.

Every command may be given again and again. What a check looks at is never words that Windows translates: exit
codes, registry values, and the names and numbers of boot settings.

Sources: BCDEdit's pages in Microsoft's driver documentation (``/debug``, ``/dbgsettings``, ``/set``);
*Reading and Filtering Debugging Messages*; *Enforcing Kernel-Mode Signature Verification in Kernel Debugging
Mode* (``DebugFlags``); element types of boot configuration data, BcdLibraryElementTypes
and BcdOSLoaderElementTypes in Microsoft's BCD reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.preparation.settings import GuestSettings, NetworkDebugging

__all__ = ["CERTIFICATE", "HELPER", "BootElement", "OutputCheck", "PreparationStep", "preparation_steps"]

HELPER: Final = "actor.exe"
CERTIFICATE: Final = "procnotify.cer"

_CONTROL: Final = r"HKLM\SYSTEM\CurrentControlSet\Control"
_PRINT_FILTER: Final = rf"{_CONTROL}\Session Manager\Debug Print Filter"
_CODE_INTEGRITY: Final = rf"{_CONTROL}\CI"
_CRASH_CONTROL: Final = rf"{_CONTROL}\CrashControl"

KERNEL_DEBUGGER: Final = 0x260000A0
"""BcdOSLoaderBoolean_KernelDebuggerEnabled"""
TEST_SIGNING: Final = 0x16000049
"""BcdLibraryBoolean_AllowPrereleaseSignatures"""
BLOCK_UNSIGNED: Final = 0x10
"""The kernel ignores an attached debugger and blocks unsigned drivers."""


@dataclass(frozen=True)
class OutputCheck:
    """One command, and what its output must hold."""

    argv: tuple[str, ...]
    expected: re.Pattern[str]
    """Found in what the command prints, when it has ended with 0."""
    what: str
    """Of what is looked for, for the message; never a key."""


@dataclass(frozen=True)
class BootElement:
    """A boolean of the running system's boot entry, which is looked up in the registry: BCDEdit prints it in
    the language of the system."""

    element: int
    value: bool
    what: str


@dataclass(frozen=True)
class PreparationStep:
    """One thing that is set."""

    title: str
    commands: tuple[tuple[str, ...], ...]
    checks: tuple[OutputCheck | BootElement, ...] = ()
    files: tuple[str, ...] = ()
    """Names of the files that the commands need in the guest's folder."""


def preparation_steps(settings: GuestSettings) -> tuple[PreparationStep, ...]:
    """Everything that makes a guest as ``settings`` say, in the order in which it is done."""
    return tuple(_steps(settings))


def _steps(settings: GuestSettings) -> Iterator[PreparationStep]:
    yield _debugging(settings)
    signing = settings.test_signing
    yield PreparationStep(
        f"test signing {_on(signing)}",
        (("bcdedit", "/set", "testsigning", _on(signing)),),
        (BootElement(TEST_SIGNING, signing, f"testsigning is {_on(signing)}"),),
    )
    flags = BLOCK_UNSIGNED if settings.honest_signing else 0
    yield PreparationStep(
        f"signatures are checked under a debugger, {_on(settings.honest_signing)}",
        (_set_dword(_CODE_INTEGRITY, "DebugFlags", flags),),
        (_dword_is(_CODE_INTEGRITY, "DebugFlags", flags),),
    )
    yield PreparationStep(
        "Windows stays where it bugchecked, and does not repair itself",
        (
            _set_dword(_CRASH_CONTROL, "AutoReboot", 0),
            ("bcdedit", "/set", "{current}", "recoveryenabled", "off"),
            ("bcdedit", "/set", "{current}", "bootstatuspolicy", "ignoreallfailures"),
        ),
        (_dword_is(_CRASH_CONTROL, "AutoReboot", 0),),
    )
    if settings.print_masks:
        masks = settings.print_masks.items()
        yield PreparationStep(
            "the print filter lets the drivers' prints pass",
            tuple(_set_dword(_PRINT_FILTER, name, mask) for name, mask in masks),
            tuple(_dword_is(_PRINT_FILTER, name, mask) for name, mask in masks),
        )
    if settings.certificate is not None:
        yield _certificate(settings, settings.certificate)
    if settings.serve_port is not None:
        helper = rf"{settings.folder}\{HELPER}"
        yield PreparationStep(
            f"the guest helper serves {settings.serve_port}",
            ((helper, "serve", settings.serve_port, "--install"),),
            files=(HELPER,),
        )


def _debugging(settings: GuestSettings) -> PreparationStep:
    kd = settings.debugging
    if isinstance(kd, NetworkDebugging):
        title = f"kernel debugging over the network, by {kd.host_ip}:{kd.port}"
        key = kd.key.format()
        values = [kd.host_ip, str(kd.port), key]
        commands: list[tuple[str, ...]] = [
            ("bcdedit", "/dbgsettings", "net", f"hostip:{kd.host_ip}", f"port:{kd.port}", f"key:{key}")
        ]
        if kd.bus_params is not None:
            commands.append(("bcdedit", "/set", "{dbgsettings}", "busparams", kd.bus_params))
            values.append(kd.bus_params)
        told = "the debugger's address, port and key are there"
    else:
        title = f"kernel debugging over COM{kd.port} at {kd.baud} baud"
        values = [str(kd.port), str(kd.baud)]
        commands = [("bcdedit", "/dbgsettings", "serial", f"debugport:{kd.port}", f"baudrate:{kd.baud}")]
        told = "the serial port and its speed are there"
    every = "".join(rf"(?=.*\s{re.escape(value)}(?:\s|$))" for value in values)
    return PreparationStep(
        title,
        (("bcdedit", "/debug", "on"), *commands),
        (
            BootElement(KERNEL_DEBUGGER, True, "debug is on"),
            OutputCheck(("bcdedit", "/dbgsettings"), re.compile(every, re.DOTALL), told),
        ),
    )


def _certificate(settings: GuestSettings, certificate: bytes) -> PreparationStep:
    path = rf"{settings.folder}\{CERTIFICATE}"
    thumbprint = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    stores = ("Root", "TrustedPublisher")
    return PreparationStep(
        "the certificate of who signs the drivers is trusted",
        tuple(("certutil", "-f", "-addstore", store, path) for store in stores),
        tuple(
            OutputCheck(
                ("certutil", "-store", store, thumbprint), re.compile(""), f"the certificate is in {store}"
            )
            for store in stores
        ),
        (CERTIFICATE,),
    )


def _on(value: bool) -> str:
    return "on" if value else "off"


def _set_dword(key: str, name: str, value: int) -> tuple[str, ...]:
    return ("reg", "add", key, "/v", name, "/t", "REG_DWORD", "/d", str(value), "/f")


def _dword_is(key: str, name: str, value: int) -> OutputCheck:
    expected = re.compile(rf"\s{re.escape(name)}\s+REG_DWORD\s+0x0*{value:x}\s", re.IGNORECASE)
    return OutputCheck(("reg", "query", key, "/v", name), expected, f"{name} is 0x{value:x}")
