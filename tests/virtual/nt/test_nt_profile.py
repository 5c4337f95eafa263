"""The packaged profile is what the recording says, and virtual launches keep what the recording kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from random import Random

import msgspec
import pytest
from recorder import Recorder, Report

from harness.errors import TraceError, UsageError
from harness.trace.sources.procmon import read_launches
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.nt.profile import Launch, Node, Variant, check_launch, draw, load_profile, profile_names
from harness.virtual.target import VirtualTarget
from tools.derive_profile import derive_launch, derive_profile

SEEDS = 40
"""Virtual launches compared with the 30 recorded ones."""


@pytest.fixture(scope="module")
def recording(shared_data: Path) -> Path:
    return shared_data / "procmon" / "win10-1903-x64-process-events.csv.xz"


def life(seed: int) -> list[str]:
    """One virtual notepad from launch to end, as event names; half of the lives see their window used after
    the idle pool threads have timed out, half before."""
    clock = Clock()
    recorder = Recorder(clock)
    target = VirtualTarget(recorder, recorder, clock, seed=seed)
    pid = int(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 60 * SECOND)
    if seed % 2:
        target.settle(70 * SECOND, 140 * SECOND)
    target.use_window(pid)
    target.settle(300 * MILLISECOND, 60 * SECOND)
    target.act(["terminate", str(pid)], 2)
    return names_of(recorder.reports, pid)


def names_of(reports: Iterable[Report], pid: int) -> list[str]:
    """What the recording's reader would call these reports."""
    names: list[str] = []
    ordinals: dict[int, int] = {}
    for report in reports:
        if report.pid != pid:
            continue
        if report.kind == "thread_create":
            ordinals[report.tid] = len(ordinals)
        if report.kind.startswith("thread"):
            names.append(f"{report.kind.removeprefix('thread_')} {ordinals[report.tid]}")
        elif report.kind == "image_load":
            assert report.image is not None
            name = "load " + report.image.rpartition("\\")[2]
            times = 1 + sum(earlier.partition("#")[0] == name for earlier in names)
            names.append(f"{name}#{times}" if times > 1 else name)
        else:
            names.append(report.kind)
    return names


def orders(launches: Sequence[Sequence[str]]) -> dict[tuple[str, str], Counter[bool]]:
    """For every pair of events, how often the first by name came first."""
    found: dict[tuple[str, str], Counter[bool]] = {}
    for names in launches:
        for one, other in combinations(names, 2):
            pair = (one, other) if one < other else (other, one)
            found.setdefault(pair, Counter())[pair == (one, other)] += 1
    return found


def test_the_packaged_profile_is_what_the_recording_gives(recording: Path) -> None:
    profile = load_profile("win10-1903")
    derived = derive_profile(
        recording, ["notepad.exe"], name=profile.name, build=profile.build, source=profile.source
    )
    assert msgspec.to_builtins(derived) == msgspec.to_builtins(profile)


def test_pairs_that_never_changed_order_in_the_recording_keep_it_in_virtual_launches(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = [
        ["process_create", *(event.id for event in launch.events), "process_exit"]
        for launch in read_launches(recording, "notepad.exe")
    ]
    assert len(recorded) == 30
    virtual = orders([life(seed) for seed in range(SEEDS)])
    in_all = {pair: seen for pair, seen in orders(recorded).items() if seen.total() == len(recorded)}
    constant = {pair: next(iter(seen)) for pair, seen in in_all.items() if len(seen) == 1}

    def figure(what: str, wanted: set[str]) -> tuple[int, int, int]:
        def is_wanted(pair: tuple[str, str]) -> bool:
            return all(name.split()[0] in wanted for name in pair)

        total = sum(map(is_wanted, in_all))
        kept = [pair for pair in constant if is_wanted(pair) and set(virtual[pair]) == {constant[pair]}]
        broken = [pair for pair in constant if is_wanted(pair) and pair not in kept]
        count = total, sum(map(is_wanted, constant)), len(kept)
        with capsys.disabled():
            print(
                f"\n{what}: {count[0]} pairs in all 30 recorded launches, {count[1]} constant there,"
                f" {count[2]} of {count[1]} kept in {SEEDS} virtual launches",
                end="",
            )
        assert not broken
        return count

    assert figure("images", {"load"}) == (780, 779, 779)
    everything = {"load", "create", "exit", "process_create", "process_exit"}
    total, unchanged, kept = figure("images, threads and exits", everything)
    assert (total, kept) == (1431, unchanged)
    assert virtual[("load WinTypes.dll", "load mpr.dll")].keys() == {True, False}


def short_life(seed: int) -> list[str]:
    """One virtual notepad that nobody uses, from its creation to the exit of its last thread."""
    recorder = Recorder(Clock())
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=seed)
    pid = int(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(300 * MILLISECOND, 60 * SECOND)
    target.act(["terminate", str(pid)], 2)
    return [name for name in names_of(recorder.reports, pid) if name != "process_exit"]


def test_a_pair_has_one_order_here_where_it_has_one_in_the_recording_and_there_alone(recording: Path) -> None:
    virtual = [short_life(seed) for seed in range(110)]
    happens = set.intersection(*map(set, virtual))
    virtual = [[name for name in names if name in happens] for names in virtual]
    recorded = [
        [name for name in ("process_create", *(event.id for event in launch.events)) if name in happens]
        for launch in read_launches(recording, "notepad.exe")
    ]
    there, here = orders(recorded), orders(virtual)
    assert there.keys() == here.keys()
    constant = {pair for pair, seen in there.items() if len(seen) == 1}
    assert (len(there), len(constant)) == (1326, 1302)
    assert {pair for pair in constant if here[pair].keys() == there[pair].keys()} == constant
    assert {pair for pair, seen in here.items() if len(seen) == 1} == constant, "the other 24 are mixed"


def test_every_event_of_the_recording_happens_in_some_virtual_launch(recording: Path) -> None:
    seen = Counter(event.id for launch in read_launches(recording, "notepad.exe") for event in launch.events)
    virtual = {name for seed in range(SEEDS) for name in life(seed)}
    assert {name for name, count in seen.items() if count > 1} <= virtual


def test_two_launches_give_the_common_order_and_the_rest_stays_free(tmp_path: Path) -> None:
    csv = tmp_path / "two.csv"
    csv.write_text(
        PROCMON_HEAD
        + launch_rows(8, ["x.exe", "a.dll", "b.dll"])
        + launch_rows(9, ["x.exe", "b.dll", "a.dll"]),
        encoding="utf-8",
    )
    launch = derive_launch(read_launches(csv, "x.exe"))
    after = {node.id: node.after for node in launch.nodes}
    assert after["load a.dll"] == after["load b.dll"] == ["load x.exe"]
    assert after["load x.exe"] == ["create 0"]
    assert set(after["exit 0"]) == {"load a.dll", "load b.dll"}
    assert launch.variants == [Variant(2, [])]


def long_life(seed: int) -> frozenset[str]:
    """What happens in one virtual notepad that is there as long as the longest recorded one."""
    recorder = Recorder(Clock())
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=seed)
    pid = int(target.act(["launch", "notepad.exe"], 1)["child_pid"])
    target.settle(140 * SECOND, 140 * SECOND)
    target.act(["terminate", str(pid)], 2)
    return frozenset(name for name in names_of(recorder.reports, pid) if not name.startswith("process"))


def test_the_recorded_sets_of_events_happen_as_often_as_in_the_recording(recording: Path) -> None:
    recorded = Counter(
        frozenset(event.id for event in launch.events) for launch in read_launches(recording, "notepad.exe")
    )
    assert sorted(recorded.values()) == [1, 5, 6, 7, 11]
    lives = 240
    virtual = Counter(long_life(seed) for seed in range(lives))
    assert virtual.keys() == recorded.keys()
    for events, count in recorded.items():
        share = count / 30
        spread = 3 * (share * (1 - share) / lives) ** 0.5
        assert abs(virtual[events] / lives - share) <= spread


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PID,Operation\n1,x\n", "no column"),
        ('"Time of Day"', "no column"),
    ],
)
def test_a_foreign_csv_is_refused(tmp_path: Path, text: str, words: str) -> None:
    csv = tmp_path / "foreign.csv"
    csv.write_text(text, encoding="utf-8")
    with pytest.raises(TraceError, match=words):
        read_launches(csv, "x.exe")


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    csv = tmp_path / "damaged.csv"
    csv.write_text(
        PROCMON_HEAD + launch_rows(8, ["x.exe"]).replace("Image Base: 0x1000", "Image Base: none"),
        encoding="utf-8",
    )
    with pytest.raises(TraceError, match=r"damaged\.csv:4: no image base"):
        read_launches(csv, "x.exe")


def test_a_program_nobody_launched_is_refused(tmp_path: Path) -> None:
    csv = tmp_path / "empty.csv"
    csv.write_text(PROCMON_HEAD, encoding="utf-8")
    with pytest.raises(TraceError, match="no complete launch"):
        derive_launch(read_launches(csv, "x.exe"))


def test_an_unknown_profile_lists_the_known_ones() -> None:
    assert profile_names() == ["win10-1903"]
    with pytest.raises(UsageError, match="known profiles: win10-1903"):
        load_profile("win95")


@pytest.mark.parametrize(
    "node",
    [
        Node("a", "create", {}, (0, 0, 0, 0, 0), after=["b"]),
        Node("a", "create", {}, (5, 4, 4, 4, 4)),
        Node("a", "create", {}, (-1, 0, 0, 0, 0)),
    ],
)
def test_a_profile_that_cannot_be_is_refused(node: Node) -> None:
    with pytest.raises(UsageError):
        check_launch(Launch("x", 1, [node], [], (0, 0, 0, 0, 0), 1))


def test_drawn_durations_keep_the_quantiles() -> None:
    delay = (10, 100, 200, 400, 90_000)
    drawn = sorted(draw(delay, Random(seed)) for seed in range(4_000))
    assert drawn[0] >= 100
    assert drawn[-1] <= 900_000
    assert 1_800 < drawn[2_000] < 2_200
    assert 900 < drawn[1_000] < 1_100


PROCMON_HEAD = '"Time of Day","Process Name","PID","Operation","Path","Detail","TID","Parent PID"\n'


def launch_rows(pid: int, images: list[str]) -> str:
    """Procmon rows of one launch of ``x.exe`` with one thread, in the second after 7 that its PID says."""
    rows = [("Process Start", "", ""), ("Thread Create", "", f"Thread ID: {pid}1")]
    rows += [("Load Image", rf"C:\{name}", "Image Base: 0x1000, Image Size: 0x1000") for name in images]
    rows += [("Thread Exit", "", f"Thread ID: {pid}1, User Time: 0"), ("Process Exit", "", "Exit Status: 0")]
    return "".join(
        f'"7:00:{pid:02}.{number:07} AM","x.exe","{pid}","{operation}","{path}","{detail}","{pid}1","4"\n'
        for number, (operation, path, detail) in enumerate(rows)
    )
