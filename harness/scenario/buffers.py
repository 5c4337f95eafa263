"""The bytes that a step hands to a driver, and those that it wants back.

A mapping with one key, or a list of such, one behind the other::

    {hex: "01 00 00 ff"}   {text: hello}   {utf16: hello}   {u32: 7}   {zeros: 16}

Numbers are little-endian; texts have no terminating NUL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from harness.actions import MAX_BUFFER, NO_BUFFER
from harness.scenario.model import ExpectedBytes
from harness.yamlfile.nodes import ListNode, MapNode, Node, ScalarNode, Source

__all__ = ["FORMS", "MAX_ADDRESS", "WIDTHS", "read_buffer", "read_expected_bytes"]

WIDTHS: Final = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
"""Form → bytes of such a number."""
FORMS: Final = ("hex", "text", "utf16", *WIDTHS, "zeros")
"""The keys that such a mapping may have."""
_DIGITS: Final = re.compile(r"(?:[0-9a-fA-F]{2})*", re.ASCII)
_DIGITS_OR_ANY: Final = re.compile(r"(?:[0-9a-fA-F]{2}|\?\?)*", re.ASCII)
MAX_ADDRESS: Final = (1 << 64) - 1
_HEX_HINT: Final = 'write two digits a byte, in quotation marks: {hex: "01 00 ff"}'


def read_buffer(source: Source, node: Node | None, what: str) -> str:
    """A buffer as the helper's command line has it."""
    if node is None:
        return NO_BUFFER
    if isinstance(node, MapNode) and "address" in node.entries:
        entries = source.mapping(node, what, required=("address", "length"))
        address = source.integer(entries["address"], "address", minimum=0, maximum=MAX_ADDRESS)
        length = source.integer(entries["length"], "length", minimum=0, maximum=MAX_BUFFER)
        return f"@{address}:{length}"
    data = _read(source, node, what, any_byte=False)
    return data.data.hex() or NO_BUFFER


def read_expected_bytes(source: Source, node: Node, what: str) -> ExpectedBytes:
    """What an answer is to be; in ``hex`` ``??`` is any byte."""
    return _read(source, node, what, any_byte=True)


def _read(source: Source, node: Node, what: str, *, any_byte: bool) -> ExpectedBytes:
    items = source.list(node, what) if isinstance(node, ListNode) else (node,)
    parts = source.each(items, lambda item: _part(source, item, what, any_byte=any_byte))
    data = b"".join(part.data for part in parts)
    if len(data) > MAX_BUFFER:
        source.fail(node, f"{what} has {len(data)} bytes, and a buffer takes {MAX_BUFFER} at most")
    return ExpectedBytes(data, b"".join(part.mask for part in parts))


def _part(source: Source, node: Node, what: str, *, any_byte: bool) -> ExpectedBytes:
    if isinstance(node, ScalarNode):
        source.fail(
            node, f"{what} must say what kind of bytes it has", hint='{hex: "01 ff"} or {text: hello}'
        )
    form, value = source.single(node, what, FORMS)
    if form in WIDTHS:
        width = WIDTHS[form]
        number = source.integer(value, form, minimum=-(1 << 8 * width - 1), maximum=(1 << 8 * width) - 1)
        return _exactly((number % (1 << 8 * width)).to_bytes(width, "little"))
    if form == "zeros":
        return _exactly(bytes(source.integer(value, form, minimum=0, maximum=MAX_BUFFER)))
    if form == "hex":
        return _hex(source, value, any_byte=any_byte)
    encode: Callable[[str], bytes] = {"text": _utf8, "utf16": _utf16}[form]
    return _exactly(encode(source.text(value, form)))


def _hex(source: Source, node: Node, *, any_byte: bool) -> ExpectedBytes:
    text = node.value if isinstance(node, ScalarNode) else None
    if not isinstance(text, str):
        source.fail(node, "hex must be a text", hint=_HEX_HINT)
    digits = "".join(text.split())
    if not (_DIGITS_OR_ANY if any_byte else _DIGITS).fullmatch(digits):
        source.fail(node, f"'{text[:40]}' is not hexadecimal", hint=_HEX_HINT)
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    known = [pair != "??" for pair in pairs]
    data = bytes(int(pair, 16) if sure else 0 for pair, sure in zip(pairs, known, strict=True))
    return ExpectedBytes(data, bytes(0xFF if sure else 0 for sure in known))


def _exactly(data: bytes) -> ExpectedBytes:
    return ExpectedBytes(data, b"\xff" * len(data))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
