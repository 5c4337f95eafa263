"""Small drivers of many styles, each with one fault: the right verdict on each, none on its mended twin."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.rig import KeptTraces
from harness.runs.runner import run_scenario
from harness.runs.trial import exercise
from harness.scenario import Scenario
from harness.toolchain import Arch, build_driver
from harness.trace.sources import open_trace
from harness.verdict.recording import judge_recording

HERE = Path(__file__).resolve().parent / "small"
SEEDS = range(1, int(os.environ.get("PROCNOTIFY_SEEDS", "1")) + 1)


class Expected(NamedTuple):
    outcome: Outcome
    rule: str
    call: str
    """Pattern of the place that the message names."""


B, C = Outcome.BROKEN, Outcome.BUGCHECK
FAULTS = {
    "keeps-callback": Expected(
        C, "UnloadCallbacks", r"\(TellsThread, .*\), from PsSet.* at .*\(DriverEntry,"
    ),
    "keeps-reference": Expected(B, "UnloadReferences", r"PsLookupProcessByProcessId at .*\(LooksUpProcess,"),
    "keeps-pool": Expected(B, "PoolTracking", r"1 pool .*ExAllocatePoolWithTag at .*\(AllocatesCounts,"),
    "fails-with-pool": Expected(B, "PoolTracking", r"DriverEntry failed: 1 pool .*\(AllocatesCounts,"),
    "keeps-handle": Expected(B, "UnloadHandles", r"ObOpenObjectByPointer at .*\(OpensSystem,"),
    "keeps-thread-handle": Expected(B, "UnloadHandles", r"PsCreateSystemThread at .*\(StartsShortThread,"),
    "keeps-device": Expected(B, "UnloadDevices", r"IoCreateDevice at .*\(MakesDevice,"),
    "keeps-link": Expected(B, "UnloadSymbolicLinks", "IoCreateSymbolicLink at keeps-link.sys"),
    "keeps-work-item": Expected(B, "UnloadWorkItems", r"IoAllocateWorkItem at .*\(AllocatesItem,"),
    "keeps-queued-work": Expected(C, "UnloadWorkItems", r"\(WorksLong, .* at .*\(KeepsQueue,"),
    "keeps-timer": Expected(C, "UnloadTimers", r"KeSetTimerEx at .*\(StartsTimer,"),
    "keeps-dpc": Expected(C, "UnloadDpcs", r"KeInsertQueueDpc at .*\(KeepsDpc,"),
    "keeps-thread": Expected(C, "UnloadThreads", r"\(Loops, .*SystemThread at .*\(StartsThread,"),
    "keeps-resource": Expected(B, "UnloadResources", "ExInitializeResourceLite at keeps-resource.sys"),
    "keeps-list": Expected(B, "UnloadLookasideLists", "ExInitializeLookasideListEx at keeps-list.sys"),
    "keeps-provider": Expected(B, "UnloadProviders", "EtwRegister at keeps-provider.sys"),
    "closes-twice": Expected(B, "KernelHandles", r"is closed to ZwClose at .*\(ClosesTwice,"),
    "keeps-file": Expected(B, "UnloadReferences", r"PsReferenceProcessFilePointer at .*\(ReferencesFile,"),
    "is-refused": Expected(B, "CallbackRefused", r"\(RegistersEx, .*0xc0000022 .*/INTEGRITYCHECK"),
    "removes-itself": Expected(B, "CallbackRemovesItself", r"by PsRemoveLoadImage.* at .*\(RemovesItself"),
    "waits-long": Expected(B, "CallbackWaitsLong", r"wait for 2\.5 s at .*\(Sleep,"),
    "touches-freed": Expected(
        C, "SpecialPool", r"reads .*allocated at .*\(TouchesFreed, .*freed at .*\(TouchesF"
    ),
    "looks-up-at-dispatch": Expected(B, "IrqlPsApcLte", r"at IRQL DISPATCH_LEVEL, .*\(LooksUpAtDispatch,"),
    "closes-under-mutex": Expected(B, "IrqlZwPassive", r"ZwClose at IRQL APC_LEVEL, .*\(ClosesUnderMutex,"),
    "reads-registry": Expected(B, "CallbackCallsRegistry", r"ZwOpenKey in its image .*\(ReadsRegistry"),
    "prints-kept-name": Expected(B, "CallbackKeepsArguments", r"returned, at .*\(PrintsKeptName,"),
    "reads-kept-name": Expected(C, "CallbackKeepsArguments", r"returned, instruction at .*\(ReadsKeptName,"),
    "stays-raised": Expected(C, "IrqlReturn", r"at IRQL 1, called at 0, .*\(StaysRaised,"),
    "stays-in-region": Expected(C, "CriticalRegions", r"\(StaysInRegion,"),
    "keeps-nodes": Expected(B, "PoolTracking", r"[1-9]\d pool allocations, .*\(operator new,"),
    "keeps-threads": Expected(B, "UnloadReferences", r"PsLookupThreadByThreadId at .*KeepsThreads::Thread,"),
    "keeps-monitor": Expected(B, "PoolTracking", r"1 pool allocation, .*\(operator new,"),
    "keeps-file-name": Expected(B, "UnloadFileNames", r"NameInformationUnsafe at .*\(KeepsFileName,"),
    "asks-at-dispatch": Expected(B, "IrqlFltApcLte", r"at IRQL DISPATCH_LEVEL, .*\(AsksAtDispatch,"),
    "keeps-filter": Expected(B, "UnloadFilters", r"1 registered minifilter, .*\(Filters,"),
    "keeps-port": Expected(B, "UnloadHandles", r"FltCreateCommunicationPort at .*\(Filters,"),
    "keeps-context": Expected(B, "UnloadContexts", r"FltAllocateContext at .*\(AttachesToDisks,"),
    "keeps-listed": Expected(B, "PoolTracking", r"7 pool allocations, .*\(ListsProcess,"),
    "remembers-name": Expected(B, "UnloadFileNames", r"1 reference to .*\(RemembersName, |FileName,"),
}
"""Driver → how it ends, which rule it breaks, and where."""
IN_FLT = (
    *("keeps-file-name", "releases-twice", "asks-at-dispatch", "keeps-filter", "keeps-port", "keeps-listed"),
    *("keeps-context", "remembers-name"),
)
IN_CPP = ("keeps-nodes", "keeps-threads", "keeps-monitor")
FAULTLESS = ("tells-all", *(f"{name}-mended" for name in FAULTS))
Runs = Callable[..., list[RunResult]]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """What ``try`` does with a driver."""
    return exercise()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Iterator[Runs]:
    """Runs a driver by its name with each of some seeds: each is a file under a name of its own."""
    folder = tmp_path_factory.mktemp("small")
    built = {
        language: build_driver(HERE / language, Arch.X64, folder / f"{language}.sys").path
        for language in ("c", "cpp", "flt")
    }

    def run(name: str, *seeds: int, keep_traces: KeptTraces = KeptTraces.ALL) -> list[RunResult]:
        plain = name.removesuffix("-mended")
        source = built["cpp" if plain in IN_CPP else "flt" if plain in IN_FLT else "c"]
        driver = folder / f"{name}.sys"
        for suffix in (".sys", ".pdb"):
            shutil.copyfile(source.with_suffix(suffix), driver.with_suffix(suffix))
        with open_rig(
            machine="virtual",
            debugger="none",
            driver=driver,
            trace_folder=folder / "traces",
            keep_traces=keep_traces,
        ) as rig:
            return [run_scenario(rig, scenario, seed=seed) for seed in seeds]

    yield run


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gets_its_outcome_and_its_rule_with_the_call(small: Runs, name: str) -> None:
    expected = FAULTS[name]
    (result,) = small(name, 1)
    assert result.outcome is expected.outcome, result.reason
    messages = [broken.message for broken in result.broken_rules if broken.rule == expected.rule]
    assert len(messages) == 1, result.broken_rules
    assert re.search(expected.call, messages[0]), messages[0]


def test_that_a_minifilter_is_called_for_no_file_is_a_note(small: Runs) -> None:
    result, without = *small("keeps-filter-mended", 1), *small("keeps-file-name-mended", 1)
    (said,) = (note for note in result.notes if "minifilter" in note)
    assert said == (
        "keeps-filter-mended.sys registered a minifilter, and the virtual target calls it for no operation on"
        " a file: IRP_MJ_CREATE"
    )
    assert result.limits == (said,) and without.limits == ()


def test_file_name_information_that_is_released_twice_stops_the_target(small: Runs) -> None:
    result, mended = *small("releases-twice", 1), *small("releases-twice-mended", 1)
    assert result.outcome is Outcome.BUGCHECK
    assert "FLTMGR_FILE_SYSTEM (0x0000000000000068, " in result.reason, result.reason
    assert mended.outcome is Outcome.PASSED, mended.reason


@pytest.mark.parametrize("name", FAULTLESS)
def test_what_is_right_breaks_nothing(small: Runs, name: str) -> None:
    for seed, result in zip(SEEDS, small(name, *SEEDS, keep_traces=KeptTraces.FAILED), strict=True):
        assert (result.outcome, result.broken_rules) == (Outcome.PASSED, ()), f"seed {seed}: {result.reason}"
        assert result.observed


def test_every_rule_that_is_switched_off_lets_its_driver_pass(small: Runs, scenario: Scenario) -> None:
    (recorded,) = small("keeps-reference", 1)
    assert recorded.trace is not None
    for off, outcome in (("UnloadReferences", Outcome.PASSED), ("PoolTracking", Outcome.BROKEN)):
        verdict = judge_recording(open_trace(recorded.trace), scenario.without_rules(frozenset({off})))
        assert verdict.outcome is outcome


def test_a_part_of_a_recording_is_held_to_what_the_driver_left_behind(
    small: Runs, scenario: Scenario
) -> None:
    (recorded,) = small("keeps-pool", 1)
    assert recorded.trace is not None
    verdict = judge_recording(open_trace(recorded.trace), scenario, last="begin launch")
    assert verdict.outcome is Outcome.BROKEN and "PoolTracking" in verdict.reason


def test_a_debugger_hears_of_the_same(scenario: Scenario, small: Runs, tmp_path: Path) -> None:
    (direct,) = small("keeps-pool", 1)
    assert direct.trace is not None
    driver = direct.trace.parents[2] / "keeps-pool.sys"
    with open_rig(machine="virtual", debugger="native", driver=driver, trace_folder=tmp_path) as rig:
        heard = run_scenario(rig, scenario, seed=1)
    assert heard.broken_rules == direct.broken_rules
    assert (heard.outcome, heard.reason) == (direct.outcome, direct.reason)
