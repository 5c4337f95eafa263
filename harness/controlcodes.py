"""I/O control codes, written as in a driver's header: a number, or the macro CTL_CODE spelled out.

Source: Microsoft, *Defining I/O Control Codes*, *Specifying Device Types*; the numbers are winioctl.h's.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ACCESSES", "DEVICE_TYPES", "METHODS", "control_code"]

_DEVICE_NAMES: Final = (
    *("BEEP", "CD_ROM", "CD_ROM_FILE_SYSTEM", "CONTROLLER", "DATALINK", "DFS", "DISK", "DISK_FILE_SYSTEM"),
    *("FILE_SYSTEM", "INPORT_PORT", "KEYBOARD", "MAILSLOT", "MIDI_IN", "MIDI_OUT", "MOUSE"),
    *("MULTI_UNC_PROVIDER", "NAMED_PIPE", "NETWORK", "NETWORK_BROWSER", "NETWORK_FILE_SYSTEM", "NULL"),
    *("PARALLEL_PORT", "PHYSICAL_NETCARD", "PRINTER", "SCANNER", "SERIAL_MOUSE_PORT", "SERIAL_PORT"),
    *("SCREEN", "SOUND", "STREAMS", "TAPE", "TAPE_FILE_SYSTEM", "TRANSPORT", "UNKNOWN", "VIDEO"),
    *("VIRTUAL_DISK", "WAVE_IN", "WAVE_OUT", "8042_PORT", "NETWORK_REDIRECTOR", "BATTERY", "BUS_EXTENDER"),
    *("MODEM", "VDM", "MASS_STORAGE", "SMB", "KS", "CHANGER", "SMARTCARD", "ACPI", "DVD"),
    *("FULLSCREEN_VIDEO", "DFS_FILE_SYSTEM", "DFS_VOLUME", "SERENUM", "TERMSRV", "KSEC", "FIPS"),
)
DEVICE_TYPES: Final = {f"FILE_DEVICE_{name}": number for number, name in enumerate(_DEVICE_NAMES, 1)}
METHODS: Final = {
    "METHOD_BUFFERED": 0,
    "METHOD_IN_DIRECT": 1,
    "METHOD_OUT_DIRECT": 2,
    "METHOD_NEITHER": 3,
}
ACCESSES: Final = {
    "FILE_ANY_ACCESS": 0,
    "FILE_SPECIAL_ACCESS": 0,
    "FILE_READ_ACCESS": 1,
    "FILE_READ_DATA": 1,
    "FILE_WRITE_ACCESS": 2,
    "FILE_WRITE_DATA": 2,
}
_MACRO: Final = re.compile(r"CTL_CODE\s*\(([^()]*)\)", re.ASCII)
_NUMBER: Final = re.compile(r"(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})[uU]?[lL]?", re.ASCII)
_MAX_TYPE, _MAX_FUNCTION = 0xFFFF, 0xFFF
_MAX_CODE: Final = 0xFFFF_FFFF


def control_code(text: str) -> int:
    """The code that a text stands for: ``0x222000``, ``CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED,
    FILE_READ_ACCESS | FILE_WRITE_ACCESS)``.

    :raises ValueError: it is none; the text says why.
    """
    macro = _MACRO.fullmatch(text.strip())
    if macro is None:
        return _value(text, {}, _MAX_CODE, "a number or CTL_CODE(type, function, method, access)")
    words = macro[1].split(",")
    if len(words) != 4:
        raise ValueError(f"CTL_CODE takes device type, function, method and access, not {len(words)} words")
    device = _value(words[0], DEVICE_TYPES, _MAX_TYPE, "a device type")
    function = _value(words[1], {}, _MAX_FUNCTION, "a function")
    method = _value(words[2], METHODS, max(METHODS.values()), "a method")
    access = 0
    for word in words[3].split("|"):
        access |= _value(word, ACCESSES, 3, "an access")
    return device << 16 | access << 14 | function << 2 | method


def _value(word: str, names: dict[str, int], maximum: int, what: str) -> int:
    word = word.strip()
    if word in names:
        return names[word]
    number = _NUMBER.fullmatch(word)
    if number is None:
        known = f"; known are {', '.join(names)}" if 0 < len(names) < 10 else ""
        raise ValueError(f"'{word[:40]}' is not {what}{known}")
    value = int(number[1], 16 if number[1][:2] in ("0x", "0X") else 10)
    if value > maximum:
        raise ValueError(f"{word} is not {what}: at most 0x{maximum:x}")
    return value
