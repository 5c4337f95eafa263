"""Scenarios that open a driver's device and ask it: the driver as it should be, and each of its twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver

NAMES = (
    *("ADD", "QUEUE", "RELEASE", "FORGET", "TRUST", "BEYOND", "KEEP_LOCK", "COMPLETE_TWICE", "MARK_PEB"),
    *("LOCK", "CANCEL", "UNLOCKED", "TWICE", "LEAVE_LINK"),
)


def code(name: str, method: str = "BUFFERED") -> str:
    function = 0x900 + NAMES.index(name)
    return f'"CTL_CODE(FILE_DEVICE_UNKNOWN, 0x{function:x}, METHOD_{method}, FILE_ANY_ACCESS)"'


CLEAN = rf"""
  - ioctl: {{device: $d, code: {code("ADD", "OUT_DIRECT")}, input: [{{hex: "01 ff"}}, {{text: a}}], length: 8,
             output: {{hex: "02 00 ??"}}, returned: 3}}
  - ioctl: {{device: $d, code: {code("ADD", "NEITHER")}, input: {{u32: 1}}, length: 4,
             output: {{u32: 0x01010102}}}}
  - ioctl: {{device: $d, code: {code("ADD", "NEITHER")}, input: {{address: 0x10, length: 4}}, length: 4,
             status: 998}}
  - read_device: {{device: $d, length: 3, output: {{text: rrr}}}}
  - write_device: {{device: $d, input: {{utf16: hello}}, returned: 10}}
  - ioctl: {{device: $d, code: {code("QUEUE")}, length: 8, pending: true}}
  - cancel_io: $d
  - await_io: {{device: $d, status: 995, returned: 0}}
  - ioctl: {{device: $d, code: {code("QUEUE")}, length: 8, pending: true}}
  - open_device: {{name: \\.\Transfers, as: other}}
  - ioctl: {{device: $other, code: {code("RELEASE")}}}
  - close_device: $other
  - await_io: {{device: $d, output: {{text: released}}}}
  - open_device: {{name: \\.\Nobody, status: 2}}
"""
OPENED = r"  - open_device: {name: \\.\Transfers, as: d}"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("transfers") / "transfers.sys"
    build_driver(Path(__file__).resolve().parents[1] / "virtual" / "transfers", Arch.X64, out)
    return out


def run(driver: Path, folder: Path, steps: str, *, debugger: str = "none") -> RunResult:
    scenario = folder / "device.yaml"
    order = "expect:\n  order:\n    - marker: {action: open-device, phase: end, status: 0}\n"
    scenario.write_text(
        f"scenario: device\nsummary: d.\nsteps:\n{steps.strip(chr(10))}\n{order}", encoding="utf-8"
    )
    with open_rig(
        machine="virtual", debugger=debugger, driver=driver, trace_folder=folder / "traces"
    ) as opened:
        return run_scenario(opened, load(scenario), seed=1)


@pytest.mark.parametrize("debugger", ["none", "native"])
def test_a_driver_that_answers_as_it_should_passes_and_what_is_left_open_is_closed(
    driver: Path, tmp_path: Path, debugger: str
) -> None:
    result = run(driver, tmp_path, f"{OPENED}\n{CLEAN}", debugger=debugger)
    assert (result.outcome, result.reason) == (Outcome.PASSED, "")


@pytest.mark.parametrize(
    ("step", "outcome", "reason"),
    [
        (f'ioctl: {{device: $d, code: {code("ADD")}, input: {{u8: 1}}, length: 1, output: {{u8: 1}}}}',
         Outcome.BROKEN, "the driver answered 1 bytes 02; the step wants 1 bytes 01"),
        (f'ioctl: {{device: $d, code: {code("ADD")}, input: {{u8: 1}}, length: 1, returned: 2}}',
         Outcome.BROKEN, "the driver returned 1 bytes; the step wants 2"),
        (f'ioctl: {{device: $d, code: {code("ADD")}, pending: true}}',
         Outcome.BROKEN, "succeeded; the step wants Win32 error 997"),
        ("ioctl: {device: $d, code: 0x222000}", Outcome.BROKEN, "ended with Win32 error 1 "),
        (r"open_device: \\.\Nobody", Outcome.BROKEN, "ended with Win32 error 2 "),
        (f'ioctl: {{device: $d, code: {code("FORGET")}}}',
         Outcome.BROKEN, "left an IRP_MJ_DEVICE_CONTROL request pending, which nobody completes"),
        (f'ioctl: {{device: $d, code: {code("TWICE")}}}', Outcome.BUGCHECK, "MULTIPLE_IRP_COMPLETE_REQUESTS"),
        (f'ioctl: {{device: $d, code: {code("BEYOND")}, length: 8}}', Outcome.BUGCHECK, "SPECIAL_POOL"),
        (f'ioctl: {{device: $d, code: {code("TRUST", "NEITHER")}, input: {{address: 0x10, length: 4}},'
         ' length: 4}',
         Outcome.BUGCHECK, "SYSTEM_SERVICE_EXCEPTION"),
        (f'ioctl: {{device: $d, code: {code("LEAVE_LINK")}}}\n  - close_device: $d\n  - unload_driver\n'
         '  - load_driver',
         Outcome.BROKEN, "did not load: NTSTATUS 0xc0000035"),
        ("unload_driver", Outcome.BROKEN, "did not unload: NTSTATUS 0x80000011"),
    ],
)  # fmt: skip
def test_each_twin_has_its_outcome_and_its_name(
    driver: Path, tmp_path: Path, step: str, outcome: Outcome, reason: str
) -> None:
    loads = "  - load_driver\n" if "load_driver" in step else ""
    result = run(driver, tmp_path, f"{loads}{OPENED}\n  - {step}")
    assert result.outcome is outcome and reason in result.reason
