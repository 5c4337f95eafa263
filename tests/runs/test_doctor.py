"""The doctor on real targets with one broken link each: it names that one, and nothing is left halted."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_drivers import make_driver
from windows_guest import WindowsGuest

import harness.runs.opening
from harness.cli import cli
from harness.errors import GuestError
from harness.guests.base import Guest
from harness.guests.helper import HelperGuest
from harness.machines.base import BootOptions
from harness.machines.virtual import VirtualMachine
from harness.preparation.started import inspect_windows
from harness.runs.doctor import ChainLink

CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control"
KDNET = r"HKLM\SYSTEM\CurrentControlSet\Services\kdnet"
DRIVER = """
#include <ntddk.h>
{before}
NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Path);
    {body}
}}
"""
UNLOAD = "static VOID Unload(PDRIVER_OBJECT Driver) { UNREFERENCED_PARAMETER(Driver); }"
PRINT = 'DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "hello\\n");'


def examined(*words: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Exit code, and link → state, evidence and hint."""
    done = CliRunner().invoke(cli, ["doctor", *words, "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    links = json.loads(done.stdout)["links"]
    assert [link["link"] for link in links] == [link.name.lower() for link in ChainLink]
    return done.return_value, {
        link["link"]: (link["state"], link["evidence"], link["hint"]) for link in links
    }


def broken(found: dict[str, tuple[str, str, str]]) -> tuple[str, str, str]:
    """The one that is broken, with evidence and hint; all before it hold, all behind it were not reached."""
    names, states = list(found), [state for state, *_ in found.values()]
    at = states.index("broken")
    assert set(states[:at]) <= {"sound", "not asked"} and set(states[at + 1 :]) <= {"not reached"}
    return names[at], *found[names[at]][1:]


@pytest.mark.parametrize("debugger", ["native", "pykd"])
def test_a_sound_machine(debugger: str, request: pytest.FixtureRequest) -> None:
    if debugger == "pykd":
        request.getfixturevalue("pykd")
    code, found = examined("virtual", "--debugger", debugger)
    assert code == 0
    assert {name: state for name, (state, *_) in found.items() if state != "sound"} == {
        "settings": "not asked"
    }
    assert "build 18362" in found["connection"][1]
    assert found["prints"][1].startswith("[procnotify] DriverEntry")
    assert "it broke in and continued" in found["release"][1]


def test_a_port_that_somebody_has() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        code, found = examined("virtual", "--connection", f"net:port={port},key=1.2.3.4")
    name, evidence, _ = broken(found)
    assert (code, name) == (3, "port")
    assert str(port) in evidence


@pytest.mark.parametrize(
    ("body", "before", "code", "link", "words"),
    [
        ("return STATUS_UNSUCCESSFUL;", "", 1, "driver", "did not load: NTSTATUS 0xc0000001"),
        (f"{PRINT} return STATUS_SUCCESS;", "", 1, "unload", "did not unload"),
        (
            "Driver->DriverUnload = Unload; return STATUS_SUCCESS;",
            UNLOAD,
            3,
            "prints",
            "nothing was heard of it",
        ),
        (
            'Driver->DriverUnload = Unload; DbgPrint("hello\\n"); return STATUS_SUCCESS;',
            UNLOAD,
            3,
            "prints",
            "0xf",
        ),
        ("*(volatile int *)0 = 1; return STATUS_SUCCESS;", "", 4, "driver", "bugchecked"),
    ],
)
def test_a_driver_that_is_the_broken_link(
    body: str, before: str, code: int, link: str, words: str, tmp_path: Path
) -> None:
    make_driver(DRIVER.format(before=before, body=body), tmp_path)
    found_code, found = examined("virtual", "--driver", str(tmp_path / "made.sys"))
    name, *told = broken(found)
    assert (found_code, name) == (code, link)
    assert words in " ".join(told)


class VirtualWindows(VirtualMachine):
    """The virtual target beside a guest channel to a Windows that tells how it was started."""

    registry: dict[tuple[str, str], str]

    def guest(self) -> Guest:
        windows = WindowsGuest()
        windows.registry |= self.registry
        return HelperGuest(windows, folder=r"C:\procnotify")


@pytest.mark.parametrize(
    ("registry", "words"),
    [
        ({}, "no SystemStartOptions"),
        ({(CONTROL, "SystemStartOptions"): "REG_SZ     NOEXECUTE=OPTIN"}, "without kernel debugging"),
        (
            {
                (CONTROL, "SystemStartOptions"): "REG_SZ     DEBUG",
                (KDNET, "KdInitStatus"): "REG_DWORD    0xc0000182",
                (KDNET, "KdInitErrorString"): "REG_SZ    no supported card",
            },
            "0xc0000182 no supported card",
        ),
    ],
)
def test_a_windows_that_nobody_can_debug(
    registry: dict[tuple[str, str], str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[VirtualWindows] = []

    class Machine(VirtualWindows):
        def start(self, boot: BootOptions) -> None:
            super().start(boot)
            started.append(self)

    Machine.registry = registry
    monkeypatch.setattr(harness.runs.opening, "open_machine", lambda name: Machine())
    code, found = examined("any")
    name, evidence, _ = broken(found)
    assert (code, name) == (3, "settings")
    assert words in evidence
    assert started[0].pid is None  # it was stopped, and its process is gone


@pytest.mark.parametrize(
    ("options", "debugging", "test_signing"),
    [
        (" TESTSIGNING  NOEXECUTE=OPTIN  DEBUG", True, True),
        ("/DEBUGPORT=COM1 /noexecute=optin", True, False),
        ("nodebug testsigning", False, True),
        ("", False, False),
    ],
)
def test_how_windows_was_started(options: str, debugging: bool, test_signing: bool) -> None:
    windows = WindowsGuest()
    windows.registry[CONTROL, "SystemStartOptions"] = f"REG_SZ    {options}"
    windows.registry[KDNET, "KdInitStatus"] = "REG_DWORD    0x0"
    found = inspect_windows(windows)
    assert (found.debugging, found.test_signing, found.kdnet_status) == (debugging, test_signing, 0)


def test_a_system_that_has_no_registry() -> None:
    with pytest.raises(GuestError, match="is the guest a Windows"):
        inspect_windows(WindowsGuest(failing=["reg"]))


@pytest.mark.parametrize(
    ("words", "told"), [(["virtual", "--debugger", "none"], "no chain"), (["nope"], "nope")]
)
def test_wrong_input(words: list[str], told: str) -> None:
    done = CliRunner().invoke(cli, ["doctor", *words], standalone_mode=False)
    assert told in str(done.exception)
    assert getattr(done.exception, "exit_code", None) == 2
