"""Exports found in a mapped image: the virtual kernel's (PE32+), a small PE32, and damaged ones."""

from __future__ import annotations

import struct

import pytest
from memory_image import MemoryImage

from harness.breakpoints.clientid import CODE_BYTES, loaded_field
from harness.breakpoints.exports import MAX_NAMES, ExportTable
from harness.breakpoints.registrations import REGISTRATIONS
from harness.errors import RigError
from harness.kd.contexts import MACHINE_AMD64, MACHINE_I386
from harness.virtual.cpu.kernel_image import build_kernel_image
from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.windows.symbols18362 import ETHREAD

BASE = 0x8040_0000
NAMES = [b"Alpha", b"Beta", b"BetaEx", b"Gamma", b"Omega" * 30]
DIRECTORY = 0x1000


def kernel() -> MemoryImage:
    image = build_kernel_image(tuple(sorted(EXPORTS)), ())
    return MemoryImage({address: data for address, data, _ in image.sections})


def small_image(*, names: list[bytes] = NAMES, forwarded: bytes = b"") -> bytearray:
    """A PE32 image as it is mapped: the name number n is the function at 0x4000 + 0x10 * n."""
    image = bytearray(0x3000)
    image[:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, 0x80)
    image[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", image, 0x98, 0x10B)
    struct.pack_into("<II", image, 0x98 + 0x60, DIRECTORY, 0x1000)
    count = len(names)
    functions, name_table, ordinals, strings = 0x1100, 0x1200, 0x1300, 0x1400
    struct.pack_into("<5I", image, DIRECTORY + 20, count, count, functions, name_table, ordinals)
    for number, name in enumerate(names):
        at = DIRECTORY + 0x800 if name == forwarded else 0x4000 + 0x10 * number
        struct.pack_into("<I", image, functions + 4 * (count - 1 - number), at)
        struct.pack_into("<I", image, name_table + 4 * number, strings)
        struct.pack_into("<H", image, ordinals + 2 * number, count - 1 - number)
        image[strings : strings + len(name) + 1] = name + b"\0"
        strings += len(name) + 1
    return image


def test_every_registering_export_of_the_virtual_kernel_is_found() -> None:
    image = build_kernel_image(tuple(sorted(EXPORTS)), ())
    memory = kernel()
    table = ExportTable(memory.read, image.base)
    found = {export.name: table.find(export.name) for export in REGISTRATIONS}
    assert found == {export.name: image.symbols.get(export.name) for export in REGISTRATIONS}
    assert found["PsSetCreateProcessNotifyRoutineEx2"] is not None
    assert memory.reads < 400, "names are looked up, not all read"


def test_the_kernels_own_code_tells_where_a_thread_has_its_client_id() -> None:
    image = build_kernel_image(tuple(sorted(EXPORTS)), ())
    table = ExportTable(kernel().read, image.base)
    fields = []
    for name in ("PsGetThreadProcessId", "PsGetThreadId"):
        function = table.find(name)
        assert function is not None
        fields.append(loaded_field(kernel().read, function, MACHINE_AMD64))
    assert fields == [ETHREAD.offset("Cid"), ETHREAD.offset("Cid") + 8]


@pytest.mark.parametrize(
    ("machine", "code", "offset"),
    [
        (MACHINE_AMD64, "48 8b 81 78 04 00 00 c3", 0x478),
        (MACHINE_AMD64, "48 8b 89 78 04 00 00 c3", None),
        (MACHINE_AMD64, "48 8b 81 00 00 10 00 c3", None),
        (MACHINE_I386, "8b ff 55 8b ec 8b 45 08 8b 80 20 02 00 00 5d c2 04 00", 0x220),
        (MACHINE_I386, "55 8b ec 8b 4d 08 8b 81 20 02 00 00 5d c2 04 00", 0x220),
        (MACHINE_I386, "b8 01 00 00 00 c2 04 00", None),
        (0xAA64, "00 00 00 00", None),
    ],
)
def test_the_field_that_a_function_loads(machine: int, code: str, offset: int | None) -> None:
    memory = MemoryImage({0x1000: bytes.fromhex(code).ljust(CODE_BYTES, b"\xcc")})
    assert loaded_field(memory.read, 0x1000, machine) == offset


@pytest.mark.parametrize("number", range(4))
def test_a_name_of_a_32_bit_image(number: int) -> None:
    table = ExportTable(MemoryImage({BASE: bytes(small_image())}).read, BASE)
    assert table.find(NAMES[number].decode()) == BASE + 0x4000 + 0x10 * number


@pytest.mark.parametrize("name", ["", "Aleph", "BetaE", "BetaExx", "Zeta"])
def test_a_name_that_is_not_there(name: str) -> None:
    assert ExportTable(MemoryImage({BASE: bytes(small_image())}).read, BASE).find(name) is None


def test_a_forwarded_name_is_no_address() -> None:
    image = bytes(small_image(forwarded=b"Beta"))
    assert ExportTable(MemoryImage({BASE: image}).read, BASE).find("Beta") is None


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, b"XX", "no image is mapped"),
        (0x3C, struct.pack("<I", 0x100000), "no image is mapped"),
        (0x80, b"NE\0\0", "no headers"),
        (0x98, b"\0\0", "no headers"),
        (0x98 + 0x60, bytes(8), "exports nothing"),
        (0x98 + 0x60, b"\xff" * 8, "exports nothing"),
        (DIRECTORY + 24, struct.pack("<I", MAX_NAMES + 1), "damaged"),
        (DIRECTORY + 28, b"\xff" * 4, "damaged"),
    ],
)
def test_what_is_no_image_with_exports(at: int, value: bytes, says: str) -> None:
    image = small_image()
    image[at : at + len(value)] = value
    with pytest.raises(RigError, match=says):
        ExportTable(MemoryImage({BASE: bytes(image)}).read, BASE)


def test_a_name_that_lies_far_away_is_damage() -> None:
    image = small_image()
    image[0x1200 : 0x1200 + 4 * len(NAMES)] = b"\xff" * 4 * len(NAMES)
    with pytest.raises(RigError, match="damaged"):
        ExportTable(MemoryImage({BASE: bytes(image)}).read, BASE).find("Beta")
