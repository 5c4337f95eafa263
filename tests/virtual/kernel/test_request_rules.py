"""What a dispatch routine answers, and how much a completed request gives back: the rules about both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.runner import run_scenario
from harness.scenario.load import parse
from harness.toolchain import Arch, build_driver

DRIVER = """#include <ntddk.h>

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\\\Device\\\\Answers");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\\\DosDevices\\\\Answers");
static PDEVICE_OBJECT Device;
static PIO_WORKITEM Item;

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID NTAPI Later(PDEVICE_OBJECT Object, PVOID Irp)
{
    UNREFERENCED_PARAMETER(Object);
    Complete(Irp, STATUS_SUCCESS, 8);
}

static NTSTATUS NTAPI Opens(PDEVICE_OBJECT Object, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Object);
    return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Answers(PDEVICE_OBJECT Object, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Object);
    switch ((IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode >> 2) & 0xFF) {
    case 0:
        return Complete(Irp, STATUS_SUCCESS, 8);
    case 1: /* completed before it returns */
        IoMarkIrpPending(Irp);
        Complete(Irp, STATUS_SUCCESS, 8);
        return STATUS_PENDING;
    case 2: /* completed by somebody else */
        IoMarkIrpPending(Irp);
        IoQueueWorkItem(Item, Later, DelayedWorkQueue, Irp);
        return STATUS_PENDING;
    case 3: /* an error gives nothing back, whatever its information says */
        return Complete(Irp, STATUS_INVALID_PARAMETER, 4096);
    case 4:
        Complete(Irp, STATUS_SUCCESS, 8);
        return STATUS_PENDING;
    case 5:
        IoQueueWorkItem(Item, Later, DelayedWorkQueue, Irp);
        return STATUS_PENDING;
    case 6:
        IoMarkIrpPending(Irp);
        return Complete(Irp, STATUS_SUCCESS, 8);
    case 7:
        Complete(Irp, STATUS_SUCCESS, 8);
        return STATUS_INVALID_PARAMETER;
    case 8:
        return STATUS_SUCCESS;
    case 9:
        return Complete(Irp, STATUS_SUCCESS, 9);
    case 10:
        return Complete(Irp, STATUS_BUFFER_OVERFLOW, 4096);
    default:
        return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    IoFreeWorkItem(Item);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Path);
    Driver->DriverUnload = Unload;
    Driver->MajorFunction[IRP_MJ_CREATE] = Driver->MajorFunction[IRP_MJ_CLOSE] = Opens;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Answers;
    IoCreateDevice(Driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    Item = IoAllocateWorkItem(Device);
    return IoCreateSymbolicLink(&Link, &Name);
}
"""
SCENARIO = """
scenario: answers
summary: One request.
observe: true
steps:
  - load_driver
  - open_device: {{name: \\\\.\\Answers, as: d}}
  - ioctl: {{device: $d, code: "CTL_CODE(FILE_DEVICE_UNKNOWN, {function}, METHOD_BUFFERED, FILE_ANY_ACCESS)",
            input: {{hex: "01"}}, length: 8{status}}}
  - close_device: $d
  - unload_driver
"""
ERROR_INVALID_PARAMETER, ERROR_MORE_DATA = 87, 234
Rules = Callable[[int, int], tuple[Outcome, list[tuple[str, str]]]]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rules]:
    """The outcome of one control code that ends with a Win32 status, and the rules that it breaks."""
    folder = tmp_path_factory.mktemp("answers")
    source = folder / "answers.c"
    source.write_text(DRIVER, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, folder / "answers.sys").path

    def ask(way: int, status: int = 0) -> tuple[Outcome, list[tuple[str, str]]]:
        expected = f", status: {status}" if status else ""
        text = SCENARIO.format(function=0x800 + way, status=expected)
        scenario = parse(text, folder / "answers.yaml")
        traces = folder / "traces"
        with open_rig(machine="virtual", debugger="none", driver=driver, trace_folder=traces) as rig:
            result = run_scenario(rig, scenario, seed=1)
        return result.outcome, [(broken.rule, broken.message) for broken in result.broken_rules]

    yield ask


@pytest.mark.parametrize(("way", "status"), [(0, 0), (1, 0), (2, 0), (3, ERROR_INVALID_PARAMETER)])
def test_right_answers_break_nothing(rules: Rules, way: int, status: int) -> None:
    assert rules(way, status) == (Outcome.PASSED, [])


@pytest.mark.parametrize(
    ("way", "status", "rule", "says"),
    [
        (4, 0, "MarkIrpPending2", r"answers STATUS_PENDING to .* IRP_MJ_DEVICE_CONTROL, by .*\(Answers,"),
        (5, 0, "MarkIrpPending2", r"answers STATUS_PENDING to .* not mark pending.*\(Answers,"),
        (6, 0, "MarkIrpPending", r"answers 0x00000000 to a request that it marked pending.*\(Answers,"),
        (
            7,
            ERROR_INVALID_PARAMETER,
            "DispatchStatus",
            r"0xc000000d .* completed with 0x00000000.*\(Answers,",
        ),
        (8, 0, "IrpProcessingComplete", r"answers 0x00000000 .* neither completed nor .*\(Answers,"),
        (9, 0, "IrpInformation", r"9 bytes of information, .* has 8: .*, at answers.sys\+"),
        (10, ERROR_MORE_DATA, "IrpInformation", r"4096 bytes of information, .* has 8: .*, at answers.sys\+"),
    ],
)
def test_a_wrong_answer_breaks_its_rule(rules: Rules, way: int, status: int, rule: str, says: str) -> None:
    outcome, broken = rules(way, status)
    assert outcome is Outcome.BROKEN
    assert [name for name, _ in broken] == [rule], broken
    assert re.search(says, broken[0][1]), broken
