"""Published drivers that Microsoft's compilers built, executed as they are.

They are no part of the project: the Python packages that bring them are taken from ``PROCNOTIFY_WHEELS``
(CONTRIBUTING.md), and only the virtual target executes them.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pefile
import pytest
from booted import Booted

from harness.api import Series, run
from harness.errors import DriverFileError, MissingImport
from harness.events import Stop
from harness.outcome import Outcome
from harness.signing import verify_driver
from harness.signing.certificate import make_certificate
from harness.trace import TraceReader
from harness.virtual.kernel.loadconfig import DEFAULT_COOKIE

GZIP = b"\x1f\x8b\x08"


@pytest.fixture(scope="module")
def windivert(wheel: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of Visual C++ 14: security cookie, control-flow guard, KMDF and WFP; signed by Microsoft too."""
    with zipfile.ZipFile(wheel("pydivert")) as files:
        member = next(name for name in files.namelist() if name.endswith("/WinDivert64.sys"))
        return Path(files.extract(member, tmp_path_factory.mktemp("windivert")))


@pytest.fixture(scope="module")
def winring(wheel: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of Visual C++ 8: a WDM driver with a device, and __try in functions of its own."""
    with zipfile.ZipFile(wheel("HardwareMonitor")) as files:
        member = next(name for name in files.namelist() if name.endswith("/LibreHardwareMonitorLib.dll"))
        library = files.read(member)
    driver = tmp_path_factory.mktemp("winring") / "WinRing0x64.sys"
    (data,) = [resource for resource in resources(library) if is_winring(resource)]
    driver.write_bytes(data)
    return driver


def resources(library: bytes) -> list[bytes]:
    """What is compressed in a file."""
    found = []
    for place in re.finditer(re.escape(GZIP), library):
        try:
            found.append(
                zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(library[place.start() :], 1 << 20)
            )
        except zlib.error:
            continue
    return found


def is_winring(data: bytes) -> bool:
    if data[:2] != b"MZ" or "WinRing0_1_2_0".encode("utf-16-le") not in data:
        return False
    with pefile.PE(data=data, fast_load=True) as image:
        return bool(image.FILE_HEADER.Machine == pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_AMD64"])


def asked(driver: Path, folder: Path, *requests: str) -> Series:
    """A run in which the driver's device is asked."""
    steps = [r"open_device: {name: '\\.\WinRing0_1_2_0', as: d}", *requests, "close_device: $d"]
    text = "".join(f"  - {step}\n" for step in steps)
    scenario = folder / "asked.yaml"
    scenario.write_text(
        f"scenario: asked\nsummary: The device is asked.\nobserve: true\nsteps:\n{text}", encoding="utf-8"
    )
    return run(scenario, driver=driver, debugger="none", trace_dir=folder / "traces")


def test_requests_are_answered_and_nothing_is_left_behind(winring: Path, tmp_path: Path) -> None:
    """Its version, 1.2.0.5, and how many have opened it."""
    (result,) = asked(
        winring,
        tmp_path,
        "ioctl: {device: $d, code: 0x9C402000, length: 4, output: {u32: 0x01020005}}",
        "ioctl: {device: $d, code: 0x9C402004, length: 4, output: {u32: 1}}",
    ).results
    assert (result.outcome, result.broken_rules) == (Outcome.PASSED, ())


def test_a_fault_is_handled_by_the_compilers_scope_table(winring: Path, tmp_path: Path) -> None:
    """A performance counter that no processor has is read in a __try, and ERROR_GEN_FAILURE is the answer."""
    (result,) = asked(
        winring,
        tmp_path,
        "ioctl: {device: $d, code: 0x9C40208C, input: {u32: 0xffff}, length: 8, status: 31}",
    ).results
    assert (result.outcome, result.broken_rules) == (Outcome.PASSED, ())
    assert result.trace is not None
    (stop,) = [event for event in TraceReader(result.trace) if isinstance(event, Stop)]
    assert (stop.module, stop.first_chance) == ("WinRing0x64.sys", True)


def test_a_call_of_what_the_target_lacks_says_nothing_of_the_driver(winring: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingImport) as lacking:
        asked(winring, tmp_path, "ioctl: {device: $d, code: 0x9C406144, input: {zeros: 8}, length: 4}")
    told = str(lacking.value)
    assert "WinRing0x64.sys calls HalGetBusDataByOffset, which the virtual target lacks" in told
    assert told.endswith("missing as well: HalSetBusDataByOffset, MmMapIoSpace, MmUnmapIoSpace")


def test_the_cookie_is_set_and_the_entry_runs_as_far_as_the_framework(windivert: Path) -> None:
    image = windivert.read_bytes()
    with pefile.PE(data=image) as file:
        cookie = file.DIRECTORY_ENTRY_LOAD_CONFIG.struct.SecurityCookie - file.OPTIONAL_HEADER.ImageBase
        assert file.get_qword_at_rva(cookie) == DEFAULT_COOKIE
    booted = Booted()
    with pytest.raises(MissingImport, match=r"WinDivert64\.sys calls wdfldr\.sys!WdfVersionBind") as lacking:
        booted.load(image, "WinDivert64.sys")
    assert lacking.value.name == "wdfldr.sys!WdfVersionBind"
    base = next(module.base for module in booted.kernel.modules if module.name == "WinDivert64.sys")
    held = booted.kernel.memory.u64(base + cookie)
    assert held != DEFAULT_COOKIE and held >> 48 == 0


def test_a_published_signature_is_read(
    windivert: Path, tmp_path: Path, program: Callable[[str], str]
) -> None:
    program("osslsigncode")
    other = make_certificate(datetime.now(UTC))
    with pytest.raises(
        DriverFileError, match=r"was signed by .*/CN=Microsoft Windows Hardware Compatibility Publisher, whom"
    ):
        verify_driver(windivert, other)
    altered = tmp_path / "altered.sys"
    shutil.copyfile(windivert, altered)
    with altered.open("r+b") as file:
        file.seek(0x500)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(DriverFileError, match="was altered after it was signed"):
        verify_driver(altered, other)
