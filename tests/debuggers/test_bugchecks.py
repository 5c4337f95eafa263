"""Which image a bugcheck points at, and which instruction in it."""

from __future__ import annotations

import pytest

from harness.debuggers.base import BugcheckSeen, Module
from harness.debuggers.bugchecks import CrashEvidence

KERNEL = Module("ntoskrnl.exe", 0xFFFFF800_10000000, 0x100000)
BAD = Module("bad.sys", 0xFFFFF800_30000000, 0x4000)
GOOD = Module("good.sys", 0xFFFFF800_40000000, 0x4000)
SHORT = Module("short.sys", 0xFFFFFFFF_F8A00000, 0x4000)
WILD, AT, IN_GOOD = 0xFFFF8000_12345678, BAD.base + 0x103F, GOOD.base + 0x20


@pytest.mark.parametrize(
    ("code", "parameters", "module", "offset"),
    [
        (0x50, (WILD, 2, AT, 2), "bad.sys", 0x103F),
        (0x1E, (0xC0000005, AT, 0, 0), "bad.sys", 0x103F),
        (0x7E, (0xC0000005, AT, WILD, WILD), "bad.sys", 0x103F),
        (0xD1, (WILD, 2, 0, AT), "bad.sys", 0x103F),
        (0xFC, (AT, 0, 0, 0), "bad.sys", 0x103F),
        # Its own memory, written to by nobody knows which instruction.
        (0xBE, (AT, 0, 0, 0), "bad.sys", None),
        # The kernel's instruction, for a driver that is known by another parameter.
        (0x50, (AT, 2, KERNEL.base + 0x10, 2), "bad.sys", None),
        (0x0A, (WILD, 2, 0, KERNEL.base + 0x10), "ntoskrnl.exe", 0x10),
        # Nowhere in any image, and a code of which nothing is known.
        (0x50, (WILD, 2, WILD, 2), None, None),
        (0xDEAD, (AT, 0, 0, 0), "bad.sys", None),
        # The banner of a 32-bit target does not extend the sign.
        (0xD1, (0x10, 2, 0, 0xF8A01234), "short.sys", 0x1234),
        (0xD1, (WILD, 2, 0, BAD.base + BAD.size), None, None),
    ],
)
def test_the_image_and_the_instruction_at_fault(
    code: int, parameters: tuple[int, int, int, int], module: str | None, offset: int | None
) -> None:
    evidence = CrashEvidence()
    evidence.see_modules([KERNEL, BAD, GOOD, SHORT])
    seen = evidence.bugcheck(code, parameters, kernel_base=KERNEL.base)
    assert seen == BugcheckSeen(code, parameters, module, offset)
    assert BugcheckSeen.of(seen.error()) == seen
    assert ("instruction at" in str(seen.error())) is (offset is not None)


def test_the_instruction_of_another_image_than_the_kernel_names_is_not_told() -> None:
    evidence = CrashEvidence()
    evidence.see_modules([KERNEL, BAD, GOOD])
    evidence.see_print("*** Fatal System Error: 0x000000d1\n (0x0,0x2,0x0,0x0)\nDriver at fault: bad.sys.\n")
    here = evidence.bugcheck(0xD1, (WILD, 2, 0, AT), kernel_base=KERNEL.base)
    there = evidence.bugcheck(0xD1, (WILD, 2, 0, IN_GOOD), kernel_base=KERNEL.base)
    assert (here.module, here.offset) == ("bad.sys", 0x103F)
    assert (there.module, there.offset) == ("bad.sys", None)
