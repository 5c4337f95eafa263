"""A preparation through a guest channel: every step is done, checked, and may be done again."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from windows_guest import WindowsGuest

from harness.errors import GuestError
from harness.kd.kdnet import Key
from harness.preparation import GuestSettings, NetworkDebugging, SerialDebugging, preparation_steps
from harness.preparation.guest import check_step, prepare_guest

KEY = "1a.2b.3c.4d"
CERTIFICATE = b"0\x82 a certificate"
FILES = {"actor.exe": b"MZ helper", "procnotify.cer": CERTIFICATE}
SETTINGS = GuestSettings(
    NetworkDebugging("10.0.2.2", 50000, Key.parse(KEY), "0.25.0"),
    certificate=CERTIFICATE,
    serve_port="COM2",
)


def prepare(guest: WindowsGuest, settings: GuestSettings = SETTINGS) -> list[str]:
    said: list[str] = []
    prepare_guest(guest, preparation_steps(settings), FILES, folder=settings.folder, say=said.append)
    return said


def test_the_guest_is_as_the_settings_say() -> None:
    guest = WindowsGuest()
    said = prepare(guest)
    assert guest.debugger == {
        "debugtype": "net", "hostip": "10.0.2.2", "port": "50000", "key": KEY, "busparams": "0.25.0",
    }  # fmt: skip
    assert guest.boot_options == {
        "debug": "on", "testsigning": "on", "recoveryenabled": "off", "bootstatuspolicy": "ignoreallfailures",
    }  # fmt: skip
    control = r"HKLM\SYSTEM\CurrentControlSet\Control"
    assert guest.registry[rf"{control}\CrashControl", "AutoReboot"] == "REG_DWORD    0x0"
    assert guest.registry[rf"{control}\Session Manager\Debug Print Filter", "DEFAULT"] == "REG_DWORD    0xf"
    thumbprint = hashlib.sha1(CERTIFICATE).hexdigest()
    assert guest.certificates == {("Root", thumbprint), ("TrustedPublisher", thumbprint)}
    assert (r"C:\procnotify\actor.exe", "serve", "COM2", "--install") in guest.programs
    assert guest.files[r"C:\procnotify\actor.exe"] == FILES["actor.exe"]
    assert [line.split(":")[0] for line in said] == [f"{number} of 7" for number in range(1, 8)]


@pytest.mark.parametrize(("honest", "flags"), [(True, "0x10"), (False, "0x0")])
def test_an_attached_debugger_hides_a_missing_signature_or_not(honest: bool, flags: str) -> None:
    guest = WindowsGuest()
    prepare(guest, replace(SETTINGS, honest_signing=not honest))
    prepare(guest, replace(SETTINGS, honest_signing=honest))
    assert guest.registry[r"HKLM\SYSTEM\CurrentControlSet\Control\CI", "DebugFlags"].split()[1] == flags


def test_it_may_be_done_again_and_changes_what_changed() -> None:
    guest = WindowsGuest()
    prepare(guest)
    prepare(guest)
    prepare(guest, replace(SETTINGS, debugging=SerialDebugging(1), test_signing=False))
    assert guest.debugger == {"debugtype": "serial", "debugport": "1", "baudrate": "115200"}
    assert guest.boot_options["testsigning"] == "off"


@pytest.mark.parametrize(
    ("deaf", "words"),
    [
        ("bcdedit", "kernel debugging over the network"),
        ("reg", "DebugFlags"),
        ("certutil", "certificate"),
    ],
)
def test_what_was_not_set_is_found_whatever_the_program_said(deaf: str, words: str) -> None:
    with pytest.raises(GuestError, match=words) as refused:
        prepare(WindowsGuest(deaf=[deaf]))
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("failing", ["bcdedit", "reg", "certutil", r"C:\procnotify\actor.exe"])
def test_a_command_that_fails_ends_it_with_what_it_said(failing: str) -> None:
    with pytest.raises(GuestError) as refused:
        prepare(WindowsGuest(failing=[failing]))
    text = str(refused.value)
    assert f"'{failing} " in text and "ended with 1 in the guest: Zugriff verweigert" in text
    assert "administrator" in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hostip", "10.0.2.3"),
        ("port", "50001"),
        ("key", "1a.2b.3c.4e"),
        ("key", f"{KEY}x"),
        ("busparams", "0.3.0"),
    ],
)
def test_another_value_in_the_debugger_settings_is_seen(name: str, value: str) -> None:
    guest = WindowsGuest()
    prepare(guest)
    guest.debugger[name] = value
    (step, *_) = preparation_steps(SETTINGS)
    with pytest.raises(GuestError, match="address, port and key"):
        check_step(guest, step)


@pytest.mark.parametrize("wanted", [True, False])
def test_test_signing_that_is_the_other_way_is_seen(wanted: bool) -> None:
    settings = replace(SETTINGS, test_signing=wanted)
    guest = WindowsGuest()
    prepare(guest, settings)
    guest.run(["bcdedit", "/set", "testsigning", "off" if wanted else "on"], timeout=1)
    with pytest.raises(GuestError, match="testsigning is"):
        check_step(guest, preparation_steps(settings)[1])


def test_a_mask_that_only_begins_alike_is_seen() -> None:
    guest = WindowsGuest()
    prepare(guest)
    key = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Debug Print Filter"
    guest.registry[key, "DEFAULT"] = "REG_DWORD    0xff"
    step = next(step for step in preparation_steps(SETTINGS) if "print filter" in step.title)
    with pytest.raises(GuestError, match="DEFAULT is 0xf"):
        check_step(guest, step)
