"""What a Windows that has started says about its own kernel debugging, by way of a guest channel.

Sources: the value ``SystemStartOptions`` holds the loader's options of this start; the key of the service
``kdnet`` tells whether KDNET could use its network card (Microsoft, *Setup and Boot Event Collection*,
troubleshooting of the connection).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from harness.errors import GuestError
from harness.guests.channels import GuestChannel

__all__ = ["StartedWindows", "inspect_windows"]

COMMAND_SECONDS: Final = 60.0
"""For one command in the guest."""
_CONTROL: Final = r"HKLM\SYSTEM\CurrentControlSet\Control"
_KDNET: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\kdnet"


@dataclass(frozen=True)
class StartedWindows:
    """How Windows was started."""

    options: tuple[str, ...]
    """Of its loader, as ``DEBUG`` or ``DEBUGPORT=NET``, in capitals."""
    kdnet_status: int | None
    """0: KDNET has its network card; another number: why it has not. None: KDNET says nothing."""
    kdnet_words: str
    """The same in KDNET's words."""

    @property
    def debugging(self) -> bool:
        """Whether the kernel debugger is on."""
        return any(option.partition("=")[0] in ("DEBUG", "DEBUGPORT") for option in self.options)

    @property
    def test_signing(self) -> bool:
        """Whether drivers that are signed with a test certificate load."""
        return "TESTSIGNING" in self.options


def inspect_windows(channel: GuestChannel) -> StartedWindows:
    """Ask the registry of a guest.

    :raises GuestError: it does not say how it was started.
    """
    options = _value(channel, _CONTROL, "SystemStartOptions")
    if options is None:
        raise GuestError(
            f"the guest's registry has no SystemStartOptions in {_CONTROL}", hint="is the guest a Windows?"
        )
    status = _value(channel, _KDNET, "KdInitStatus")
    number = int(status, 16) if status is not None and re.fullmatch(r"0x[0-9a-f]{1,8}", status) else None
    return StartedWindows(
        tuple(word.lstrip("/").upper() for word in options.split()),
        number,
        _value(channel, _KDNET, "KdInitErrorString") or "",
    )


def _value(channel: GuestChannel, key: str, name: str) -> str | None:
    """What ``reg query`` shows behind the value's type; None where there is no such value."""
    result = channel.run(("reg", "query", key, "/v", name), timeout=COMMAND_SECONDS)
    if result.exit_code != 0:
        return None
    text = result.stdout.decode("utf-8", "replace")
    found = re.search(rf"^\s+{re.escape(name)}\s+REG_\w+[ \t]*(.*)$", text, re.MULTILINE)
    return None if found is None else found[1].strip()[:500]
