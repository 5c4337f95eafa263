"""Driver files that are not trusted: each defect is one line, and nothing else comes out."""

from __future__ import annotations

import random
import struct

import pytest

from harness.errors import DriverFileError
from harness.toolchain import Arch, build_driver
from harness.virtual.kernel.kernel import check_driver_file
from harness.virtual.kernel.pe import read_driver, relocate


def test_a_good_driver(procnotify) -> None:
    image = read_driver(procnotify)
    assert check_driver_file(procnotify) == ()
    assert image.code_view is not None
    assert image.code_view.pdb.endswith(".pdb")
    assert {wanted.dll for wanted in image.imports} == {"ntoskrnl.exe"}
    assert all("w" not in s.protection or "x" not in s.protection for s in image.sections)


def test_relocation_moves_every_address(misbehave) -> None:
    image = read_driver(misbehave)
    base = 0xFFFFF803_44440000
    here, there = relocate(image, image.preferred_base), relocate(image, base)
    assert image.relocations
    for rva in image.relocations:
        (before,), (after,) = struct.unpack_from("<Q", here, rva), struct.unpack_from("<Q", there, rva)
        assert after - before == base - image.preferred_base


def header(data: bytes) -> int:
    return struct.unpack_from("<I", data, 0x3C)[0]


def changed(data: bytes, offset: int, value: bytes) -> bytes:
    at = header(data) + offset
    return data[:at] + value + data[at + len(value) :]


CASES = {
    "empty": (lambda d: b"", "not a PE image"),
    "text": (lambda d: b"#!/bin/sh\necho driver\n" * 20, "not a PE image"),
    "cut-in-the-headers": (lambda d: d[:100], "not a PE image"),
    "cut-in-a-section": (lambda d: d[: len(d) // 2], "cut off"),
    "arm64": (lambda d: changed(d, 4, b"\x64\xaa"), "built for ARM64"),
    "x86": (lambda d: changed(d, 4, b"\x4c\x01"), "built for x86"),
    "unknown-machine": (lambda d: changed(d, 4, b"\x34\x12"), "machine type 0x1234"),
    "user-mode": (lambda d: changed(d, 0x18 + 68, b"\x03\x00"), "for user mode"),
    "huge": (lambda d: changed(d, 0x18 + 56, b"\x00\x00\x00\x70"), "asks for"),
    "no-entry-point": (lambda d: changed(d, 0x18 + 16, bytes(4)), "no entry point"),
    "small-alignment": (lambda d: changed(d, 0x18 + 32, b"\x20\x00\x00\x00"), "aligned to 0x20"),
}


@pytest.mark.parametrize("name", CASES)
def test_defect(name, misbehave) -> None:
    damage, words = CASES[name]
    with pytest.raises(DriverFileError, match=words) as caught:
        check_driver_file(damage(misbehave))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


MISSING = {
    "nothing": (lambda d: d, ()),
    "a-misspelt-name": (lambda d: d.replace(b"DbgPrint\0", b"DbgPrimt\0"), ("DbgPrimt",)),
    "what-is-not-served": (lambda d: d.replace(b"KeBugCheckEx\0", b"CcCanIWrite\0\0"), ("CcCanIWrite",)),
}


@pytest.mark.parametrize("name", MISSING)
def test_imports_that_are_missing_are_named_and_refuse_nothing(name, misbehave) -> None:
    change, names = MISSING[name]
    assert check_driver_file(change(misbehave)) == names


def test_imports_of_another_module_are_named_with_it(misbehave) -> None:
    names = check_driver_file(misbehave.replace(b"ntoskrnl.exe\0", b"tdi.sys\0\0\0\0\0\0"))
    imports = read_driver(misbehave).imports
    assert names == tuple(sorted({f"tdi.sys!{wanted.name}" for wanted in imports}))


def test_a_driver_for_another_machine(tmp_path) -> None:
    source = tmp_path / "tiny.c"
    source.write_text(
        "#include <ntddk.h>\nNTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT a, PUNICODE_STRING b)\n"
        "{ (void)a; (void)b; return STATUS_SUCCESS; }\n",
        encoding="utf-8",
    )
    out = tmp_path / "tiny.sys"
    build_driver(source, Arch.X86, out)
    with pytest.raises(DriverFileError, match="built for x86, this target is x64"):
        check_driver_file(out.read_bytes())


def test_damaged_headers_are_refused_or_read_never_worse(procnotify) -> None:
    chance = random.Random(2026)
    end = header(procnotify) + 0x200
    for _ in range(300):
        damaged = bytearray(procnotify)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(0x3C, end)] = chance.randrange(256)
        try:
            image = read_driver(bytes(damaged))
        except DriverFileError:
            continue
        assert len(relocate(image, 0xFFFFF803_30000000)) == image.size
