"""Two drivers in the manner of other people's, in C and in C++: what they import is served, and they run."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import ListedDebugger

from harness.toolchain import Arch, build_driver
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.kernel.kernel import Kernel, check_driver_file
from harness.virtual.kernel.pe import read_driver
from harness.virtual.target import VirtualTarget

STYLES = Path(__file__).resolve().parents[1] / "styles"

FREQUENT = [
    "CmRegisterCallbackEx",
    "CmUnRegisterCallback",
    "DbgPrintEx",
    "ExAcquireFastMutex",
    "ExAcquireResourceExclusiveLite",
    "ExAcquireRundownProtection",
    "ExAllocatePoolWithTag",
    "ExDeleteLookasideListEx",
    "ExDeleteNPagedLookasideList",
    "ExDeleteResourceLite",
    "ExFreePool",
    "ExFreePoolWithTag",
    "ExInitializeLookasideListEx",
    "ExInitializeNPagedLookasideList",
    "ExInitializeResourceLite",
    "ExReleaseFastMutex",
    "ExReleaseResourceLite",
    "ExReleaseRundownProtection",
    "ExWaitForRundownProtectionRelease",
    "FsRtlIsNameInExpression",
    "IoAllocateMdl",
    "IoCreateDevice",
    "IoCreateSymbolicLink",
    "IoDeleteDevice",
    "IoDeleteSymbolicLink",
    "IoFreeMdl",
    "IoGetCurrentProcess",
    "IofCompleteRequest",
    "KeAcquireSpinLockRaiseToDpc",
    "KeEnterCriticalRegion",
    "KeInitializeApc",
    "KeInitializeEvent",
    "KeInsertQueueApc",
    "KeLeaveCriticalRegion",
    "KeReleaseSpinLock",
    "KeSetEvent",
    "KeStackAttachProcess",
    "KeUnstackDetachProcess",
    "KeWaitForMultipleObjects",
    "KeWaitForSingleObject",
    "MmCopyVirtualMemory",
    "MmGetSystemRoutineAddress",
    "MmMapLockedPagesSpecifyCache",
    "MmProbeAndLockPages",
    "MmUnlockPages",
    "ObOpenObjectByPointer",
    "ObQueryNameString",
    "ObReferenceObjectByHandle",
    "ObRegisterCallbacks",
    "ObUnRegisterCallbacks",
    "ObfDereferenceObject",
    "PsCreateSystemThread",
    "PsGetCurrentProcessId",
    "PsGetCurrentProcessWow64Process",
    "PsGetProcessImageFileName",
    "PsGetProcessPeb",
    "PsGetProcessSectionBaseAddress",
    "PsIsProtectedProcess",
    "PsLookupProcessByProcessId",
    "PsProcessType",
    "PsRemoveCreateThreadNotifyRoutine",
    "PsRemoveLoadImageNotifyRoutine",
    "PsSetCreateProcessNotifyRoutineEx",
    "PsSetCreateThreadNotifyRoutine",
    "PsSetLoadImageNotifyRoutine",
    "PsTerminateSystemThread",
    "RtlEqualUnicodeString",
    "SeLocateProcessImageName",
    "ZwClose",
    "ZwCreateFile",
    "ZwOpenKey",
    "ZwQuerySystemInformation",
    "ZwQueryValueKey",
    "ZwReadFile",
    "ZwWriteFile",
    "__C_specific_handler",
    "_strlwr",
    "_vsnwprintf",
    "_wcslwr",
    "memcpy_s",
    "wcscpy_s",
    "wcsncat",
    "wcsncpy_s",
]
"""What a survey of notify drivers found most often."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The drivers by their names."""
    folder, found = tmp_path_factory.mktemp("styles"), dict[str, bytes]()
    for source in sorted(STYLES.iterdir()):
        out = folder / f"{source.stem}.sys"
        build_driver(source, Arch.X64, out, integrity_check=True)
        found[source.stem] = out.read_bytes()
    return found


def run(name: str, driver: bytes, *, seed: int = 1) -> list[str]:
    """What it prints while notepad runs, another process creates a thread in it, and it ends."""
    debugger, clock = ListedDebugger(), Clock()
    target = VirtualTarget(Kernel(debugger, clock, verifier=True), debugger, clock, seed=seed)
    assert target.load_driver(name, target.put(f"{name}.sys", driver)) == 0
    pid = str(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 20 * SECOND)
    assert target.act(["create-remote-thread", pid], 2)["status"] == 0
    assert target.act(["terminate", pid], 3)["status"] == 0
    target.settle(300 * MILLISECOND, 20 * SECOND)
    assert target.unload_driver(name) == 0
    lines = b"".join(debugger.prints).decode("cp1252").splitlines()
    return [line for line in lines if line.startswith(name)]


def test_they_import_what_is_imported_most_and_lack_nothing(built: dict[str, bytes]) -> None:
    imported = {found.name for driver in built.values() for found in read_driver(driver).imports}
    assert {name for name in FREQUENT if name not in imported} == set()
    assert {name: check_driver_file(driver) for name, driver in built.items()} == {
        "monitor": (),
        "watcher": (),
    }


def test_the_c_driver_sees_the_program_and_writes_its_log(built: dict[str, bytes]) -> None:
    assert run("watcher", built["watcher"]) == [
        "watcher: start=3 protected=1 query=1",
        "watcher: notepad.exe! same=1 peb=1 14=notepad.exe",
        "watcher: log 1 threads 1 images 1",
    ]


def test_the_cpp_driver_keeps_its_events_until_it_goes(built: dict[str, bytes]) -> None:
    assert run("monitor", built["monitor"]) == [
        "monitor: 0 \\Device\\Monitor",
        "monitor: first image 0 2 5a4d 5a4d",
        "monitor: start notepad.exe",
        "monitor: end notepad.exe",
        "monitor: all=1 remote=1 apcs=1",
    ]
