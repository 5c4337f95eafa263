"""What the model reports in which order and in whose context, whatever the seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from recorder import Recorder, Report

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.target import VirtualTarget


class Machine(NamedTuple):
    """A target and what it reported."""

    target: VirtualTarget
    recorder: Recorder

    def launch(self, program: str, *arguments: str) -> int:
        return int(self.target.act(["launch", program, *arguments], 1)["child_pid"])

    def settle(self) -> None:
        self.target.settle(300 * MILLISECOND, 60 * SECOND)

    def of(self, pid: int) -> list[Report]:
        return [report for report in self.recorder.reports if report.pid == pid]


def machine(seed: int) -> Machine:
    clock = Clock()
    recorder = Recorder(clock)
    return Machine(VirtualTarget(recorder, recorder, clock, seed=seed), recorder)


@pytest.fixture(params=range(6))
def booted(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine for each of some seeds."""
    yield machine(request.param)


def names(reports: list[Report], kind: str = "image_load") -> list[str]:
    return [report.image.rpartition("\\")[2] for report in reports if report.kind == kind and report.image]


def test_a_process_is_reported_by_its_creator_then_its_first_thread_then_its_own_images(
    booted: Machine,
) -> None:
    result = booted.target.act(["launch", "notepad.exe"], 7)
    booted.settle()
    reports = booted.of(int(result["child_pid"]))
    creator = (result["pid"], result["tid"])
    assert [report.kind for report in reports[:4]] == ["process_create", "thread_create"] + 2 * ["image_load"]
    assert reports[0].parent_pid == result["pid"]
    assert reports[0].context[:2] == reports[1].context[:2] == creator
    assert reports[1].tid == result["child_tid"]
    assert names(reports)[:4] == ["notepad.exe", "ntdll.dll", "kernel32.dll", "KernelBase.dll"]
    loaders = {report.context.pid for report in reports if report.kind == "image_load"}
    assert loaders == {result["child_pid"]}


def test_all_threads_exit_in_themselves_and_then_the_process_in_one_of_them(booted: Machine) -> None:
    pid = booted.launch("notepad.exe")
    booted.settle()
    booted.target.act(["terminate", str(pid), "9"], 2)
    reports = booted.of(pid)
    created = [report.tid for report in reports if report.kind == "thread_create"]
    exits = [report for report in reports if report.kind == "thread_exit"]
    assert sorted(report.tid for report in exits) == sorted(created)
    assert all(report.context[:2] == (pid, report.tid) for report in exits)
    assert reports[-1].kind == "process_exit"
    assert reports[-1].context.pid == pid
    assert reports[-1].context.tid in created
    assert booted.target.system.find_process(pid) is None


def test_the_model_reports_in_the_order_of_its_clock(booted: Machine) -> None:
    booted.launch("notepad.exe")
    booted.settle()
    times = [report.time for report in booted.recorder.reports]
    assert times == sorted(times)
    assert {report.context.cpu for report in booted.recorder.reports} == {0, 1}


def test_every_report_comes_from_a_living_thread_of_a_living_process(booted: Machine) -> None:
    for _ in range(3):
        pid = booted.launch("notepad.exe")
        booted.settle()
        booted.target.act(["create-remote-thread", str(pid)], 1)
        booted.target.act(["terminate", str(pid)], 2)
    boot = booted.target.system
    born: set[int] = set()
    gone: set[int] = set()
    for report in booted.recorder.reports:
        if report.kind == "thread_create":
            born.add(report.tid)
            gone.discard(report.tid)
        assert report.context.tid not in gone or report.kind == "process_exit"
        if report.kind == "thread_exit":
            gone.add(report.tid)
    assert born
    assert all(thread.alive for thread in boot.threads.values())


def test_a_remote_thread_is_created_by_the_other_process_and_exits_in_itself(booted: Machine) -> None:
    pid = booted.launch("notepad.exe")
    booted.settle()
    result = booted.target.act(["create-remote-thread", str(pid)], 3)
    created, ended = (report for report in booted.of(pid) if report.tid == result["new_tid"])
    assert created.kind == "thread_create"
    assert created.context[:2] == (result["pid"], result["tid"])
    assert (ended.kind, ended.context[:2]) == ("thread_exit", (pid, result["new_tid"]))


def test_a_thread_of_ones_own_is_created_in_the_caller(booted: Machine) -> None:
    result = booted.target.act(["create-thread"], 3)
    created, ended = (report for report in booted.recorder.reports if report.tid == result["new_tid"])
    assert created.context[:2] == (result["pid"], result["tid"])
    assert ended.context[:2] == (result["pid"], result["new_tid"])


def test_a_library_is_reported_once_however_often_it_is_loaded(booted: Machine) -> None:
    result = booted.target.act(["load-library", "probe.dll", "3"], 3)
    reports = booted.of(int(result["pid"]))
    assert names(reports).count("probe.dll") == 1
    loaded = next(report for report in reports if report.image and report.image.endswith("probe.dll"))
    assert f"0x{loaded.base:x}" == result["base"]
    prints = [report.image for report in booted.recorder.reports if report.kind == "print"]
    assert prints == [
        f"[actor] begin load-library id=3 pid={result['pid']}\n",
        f"[actor] dll attach pid={result['pid']}\n",
        f"[actor] end load-library id=3 pid={result['pid']} status=0\n",
        f"[actor] dll detach pid={result['pid']}\n",
    ]


def test_a_freed_library_is_gone_without_a_report(booted: Machine) -> None:
    result = booted.target.act(["free-library", "probe.dll"], 3)
    prints = [report.image for report in booted.recorder.reports if report.kind == "print"]
    assert prints[1:3] == [
        f"[actor] dll attach pid={result['pid']}\n",
        f"[actor] dll detach pid={result['pid']}\n",
    ]
    assert len(prints) == 4


def test_an_injected_library_is_loaded_in_the_new_thread_of_the_other_process(booted: Machine) -> None:
    pid = booted.launch("notepad.exe")
    booted.settle()
    result = booted.target.act(["inject", str(pid), "probe.dll"], 3)
    reports = booted.of(pid)
    created = next(report for report in reports if report.tid == result["new_tid"])
    loaded = next(report for report in reports if report.image and report.image.endswith("probe.dll"))
    assert created.context.pid == result["pid"]
    assert loaded.context[:2] == (pid, result["new_tid"])
    assert reports.index(created) < reports.index(loaded)


def test_a_32_bit_process_has_two_ntdlls_and_the_libraries_of_wow64(booted: Machine) -> None:
    pid = booted.launch(r"C:\Windows\SysWOW64\notepad.exe")
    booted.settle()
    loads = [report for report in booted.of(pid) if report.kind == "image_load"]
    paths = [(report.image or "").removeprefix(r"\Device\HarddiskVolume3\Windows") for report in loads]
    assert paths[:8] == [
        r"\SysWOW64\notepad.exe",
        r"\System32\ntdll.dll",
        r"\SysWOW64\ntdll.dll",
        r"\System32\wow64.dll",
        r"\System32\wow64win.dll",
        r"\System32\wow64cpu.dll",
        r"\SysWOW64\kernel32.dll",
        r"\SysWOW64\KernelBase.dll",
    ]
    below = {path for path, report in zip(paths, loads, strict=True) if report.base >= 1 << 32}
    assert below == {r"\System32\ntdll.dll", r"\System32\wow64.dll", r"\System32\wow64win.dll"}


def test_images_of_one_process_do_not_overlap(booted: Machine) -> None:
    pid = booted.launch(r"C:\Windows\SysWOW64\notepad.exe")
    booted.launch("rundll32.exe")
    booted.settle()
    for process in booted.target.system.processes.values():
        spans = sorted((image.base, image.base + image.size) for image in process.mapped.values())
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        assert all(start % 0x10000 == 0 for start, _ in spans)
    assert booted.target.system.find_process(pid) is not None


def test_a_library_lies_at_the_same_base_in_every_process_of_a_boot(booted: Machine) -> None:
    for _ in range(2):
        booted.launch("notepad.exe")
    booted.settle()
    bases: dict[str, set[int]] = {}
    for report in booted.recorder.reports:
        if report.kind == "image_load" and report.image:
            bases.setdefault(report.image, set()).add(report.base)
    assert all(len(found) == 1 for found in bases.values())


def test_two_processes_starting_at_once_interleave() -> None:
    booted = machine(3)
    first, second = booted.launch("notepad.exe"), booted.launch("notepad.exe")
    booted.settle()
    loads = [report.pid for report in booted.recorder.reports if report.kind == "image_load"]
    both = [pid for pid in loads if pid in (first, second)]
    changes = sum(one != other for one, other in itertools.pairwise(both))
    assert changes > 5


def test_the_end_is_reported_in_another_thread_than_the_last_one_now_and_then() -> None:
    """As in 11 of 30 recorded launches: a thread reports its exit before it counts itself out."""
    last = 0
    for seed in range(30):
        booted = machine(seed)
        pid = booted.launch("notepad.exe")
        booted.settle()
        booted.target.act(["terminate", str(pid)], 2)
        reports = booted.of(pid)
        last += reports[-1].context.tid == reports[-2].tid
    assert 10 <= last < 30


def test_a_process_that_is_ended_in_its_start_reports_no_image_afterwards(booted: Machine) -> None:
    pid = booted.launch("notepad.exe")
    booted.target.act(["terminate", str(pid)], 2)
    kinds = [report.kind for report in booted.of(pid)]
    first_exit = kinds.index("thread_exit")
    assert set(kinds[first_exit:]) == {"thread_exit", "process_exit"}
    booted.settle()
    assert kinds == [report.kind for report in booted.of(pid)]


def test_ids_are_reused_over_thirty_launches(booted: Machine) -> None:
    for _ in range(30):
        pid = booted.launch("notepad.exe")
        booted.settle()
        booted.target.act(["terminate", str(pid)], 2)
    reports = booted.recorder.reports
    pids = [report.pid for report in reports if report.kind == "process_create"]
    everything = pids + [report.tid for report in reports if report.kind == "thread_create"]
    assert len(pids) == 90
    assert len(set(pids)) < len(pids)
    assert all(number % 4 == 0 for number in everything)


def test_background_threads_come_and_go_in_other_processes(booted: Machine) -> None:
    booted.target.settle(60 * SECOND, 60 * SECOND)
    kinds = [report.kind for report in booted.recorder.reports]
    assert 40 < kinds.count("thread_create") < 160
    assert kinds.count("thread_exit") > 30
    assert "process_create" not in kinds


def test_the_background_maps_an_image_without_a_name_soon(booted: Machine) -> None:
    booted.target.settle(5 * SECOND, 5 * SECOND)
    loads = [report for report in booted.recorder.reports if report.kind == "image_load"]
    assert loads[0].image is None
    assert loads[0].base > 0
