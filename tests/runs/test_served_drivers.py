"""What lies in the guest in place of a driver that the debugger has; a target that does not ask for it."""

from __future__ import annotations

import pytest
from local_channel import LocalChannel
from run_doubles import ScriptedDebugger, ScriptedGuest

from harness.debuggers.native.servedfiles import MAX_KDNET_READ, ServedFiles
from harness.errors import GuestError
from harness.guests.base import Guest, SettlingGuest
from harness.guests.helper import HelperGuest
from harness.kd.fileio import CreateFile
from harness.runs.serveddrivers import STAND_IN, guest_of_served_drivers, map_drivers
from harness.runs.steps import GuestDriver

DRIVERS = (GuestDriver("bad", "bad.sys", b"MZ bad"), GuestDriver("bus", "bus.sys", b"MZ bus"))
NO_IMAGE = 0xC000007B


class StoringGuest(ScriptedGuest):
    """Keeps what is put in it; ``asks`` says what the target does before it loads a driver."""

    def __init__(self, files: ServedFiles, *, asks: bool) -> None:
        super().__init__(ScriptedDebugger())
        self.stored: dict[str, bytes] = {}
        self._files = files
        self._asks = asks

    def put(self, name: str, data: bytes) -> str:
        self.stored[name] = data
        return super().put(name, data)

    def load_driver(self, name: str, path: str) -> int:
        if self._asks:
            self._files.answer(CreateFile(data=path.encode("utf-16-le")))
        return super().load_driver(name, path)


class MapDebugger(ScriptedDebugger):
    def __init__(self) -> None:
        super().__init__()
        self.files = ServedFiles(MAX_KDNET_READ)


def made(*, asks: bool) -> tuple[StoringGuest, Guest]:
    debugger = MapDebugger()
    map_drivers(debugger, DRIVERS)
    inner = StoringGuest(debugger.files, asks=asks)
    return inner, guest_of_served_drivers(inner, debugger.files, DRIVERS)


def test_only_the_drivers_are_replaced_by_a_stand_in() -> None:
    inner, guest = made(asks=True)
    for name in ("bus.sys", "bad.sys", "actor.exe"):
        guest.put(name, b"MZ")
    assert inner.stored == {"bus.sys": STAND_IN, "bad.sys": STAND_IN, "actor.exe": b"MZ"}


def test_what_a_driver_answers_is_its_own_when_it_came_from_the_debugger() -> None:
    inner, guest = made(asks=True)
    assert guest.load_driver("bad", guest.put("bad.sys", b"MZ")) == 0
    inner.load_status = NO_IMAGE
    assert guest.load_driver("bad", guest.put("bad.sys", b"MZ")) == NO_IMAGE
    assert guest.unload_driver("bad") == 0


@pytest.mark.parametrize("status", [0, NO_IMAGE])
def test_a_target_that_does_not_ask_is_the_rig_s_failure(status: int) -> None:
    inner, guest = made(asks=False)
    inner.load_status = status
    with pytest.raises(GuestError, match=r"bad\.sys .* did not ask its debugger for it") as failed:
        guest.load_driver("bad", guest.put("bad.sys", b"MZ"))
    assert "without --kdfiles" in failed.value.hint


def test_a_service_that_the_debugger_has_nothing_for_is_the_guest_s() -> None:
    _, guest = made(asks=False)
    assert guest.load_driver("other", "C:\\other.sys") == 0


def test_it_settles_where_the_guest_can() -> None:
    inner, guest = made(asks=True)
    assert isinstance(guest, SettlingGuest)
    guest.settle(quiet=2.0, maximum=3.0)
    assert inner.calls == [("settle", "2.0", "3.0")]
    helper = HelperGuest(LocalChannel(), folder="C:\\procnotify")
    assert not isinstance(helper, SettlingGuest)
    served = guest_of_served_drivers(helper, ServedFiles(MAX_KDNET_READ), DRIVERS)
    assert not isinstance(served, SettlingGuest)
