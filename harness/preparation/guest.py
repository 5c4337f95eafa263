"""A preparation done through a guest channel: files put, commands run, each step checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from harness.errors import GuestError
from harness.guests.channels import GuestChannel
from harness.guests.helper import HelperGuest
from harness.preparation.steps import BootElement, PreparationStep

__all__ = ["COMMAND_SECONDS", "check_step", "prepare_guest"]

COMMAND_SECONDS: Final = 60.0
"""For one command of Windows."""
_AS_ADMINISTRATOR: Final = "does the guest channel run as an administrator?"
_CURRENT_ENTRY: Final = ("bcdedit", "/enum", "{current}", "/v")
_GUID: Final = re.compile(r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}", re.IGNORECASE)


def prepare_guest(
    channel: GuestChannel,
    steps: Sequence[PreparationStep],
    files: Mapping[str, bytes],
    *,
    folder: str,
    say: Callable[[str], None],
) -> None:
    """Do every step, and check it.

    :param files: what the steps name in ``files``, by name.
    :param folder: the guest's, where they go.
    :param say: told each step before it is done.
    :raises GuestError: a command failed, or what it set is not set; with the step's title.
    """
    guest = HelperGuest(channel, folder=folder)  # which makes a folder that is missing
    for number, step in enumerate(steps, start=1):
        say(f"{number} of {len(steps)}: {step.title}")
        for name in step.files:
            guest.put(name, files[name])
        for argv in step.commands:
            _run(channel, argv, step.title)
        check_step(channel, step)


def check_step(channel: GuestChannel, step: PreparationStep) -> None:
    """Look whether what a step sets is set.

    :raises GuestError: it is not.
    """
    for check in step.checks:
        title = f"{step.title}: looking whether {check.what}"
        if isinstance(check, BootElement):
            found = _boot_element(channel, check, title)
        else:
            found = check.expected.search(_run(channel, check.argv, title)) is not None
        if not found:
            raise GuestError(f"{title}: it is not so", hint=_AS_ADMINISTRATOR)


def _boot_element(channel: GuestChannel, check: BootElement, title: str) -> bool:
    entry = _GUID.search(_run(channel, _CURRENT_ENTRY, title))
    if entry is None:
        raise GuestError(f"{title}: bcdedit does not tell which boot entry is the current one")
    key = rf"HKLM\BCD00000000\Objects\{entry[0]}\Elements\{check.element:08x}"
    value = re.search(r"REG_BINARY\s+(00|01)\s", _run(channel, ("reg", "query", key, "/v", "Element"), title))
    return value is not None and (value[1] == "01") is check.value


def _run(channel: GuestChannel, argv: Sequence[str], title: str) -> str:
    """What the command printed, on either stream."""
    result = channel.run(argv, timeout=COMMAND_SECONDS)
    output = (result.stdout + b"\n" + result.stderr).decode("utf-8", "replace")
    if result.exit_code != 0:
        said = " ".join(output.split())[:200] or "it said nothing"
        raise GuestError(
            f"{title}: '{argv[0]} {argv[1]}' ended with {result.exit_code} in the guest: {said}",
            hint=_AS_ADMINISTRATOR,
        )
    return output
