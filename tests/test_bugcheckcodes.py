"""What a bugcheck is called."""

from __future__ import annotations

import re

from harness.bugcheckcodes import BUGCHECK_NAMES, bugcheck_words


def test_names_are_names_and_each_is_one_code_s() -> None:
    assert all(re.fullmatch("[A-Z][A-Z0-9_]+", name) for name in BUGCHECK_NAMES.values())
    assert len(set(BUGCHECK_NAMES.values())) == len(BUGCHECK_NAMES)


def test_words() -> None:
    assert bugcheck_words(0xD1, (0, 2, 0, 0x1234), "bad.sys") == (
        "0x000000d1 DRIVER_IRQL_NOT_LESS_OR_EQUAL (0x0000000000000000, 0x0000000000000002, "
        "0x0000000000000000, 0x0000000000001234) in bad.sys"
    )
    assert bugcheck_words(0xD1, (0, 2, 0, 0x1234), "bad.sys", 0x10).endswith(
        " in bad.sys, instruction at bad.sys+0x10"
    )
    assert bugcheck_words(0xDEADDEAD, (0, 0, 0, 0), None).startswith("0xdeaddead (0x0")
