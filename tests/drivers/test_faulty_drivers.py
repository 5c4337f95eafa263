"""Each faulty driver, executed: it does wrong what its file says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from harness.errors import DriverBugcheck, DriverHang
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.resources import driver_sources
from harness.toolchain import Arch, build_driver, default_actor
from harness.trace.loss import LossCounter
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.interfaces import ImageModule
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget

HERE = Path(__file__).resolve().parent
EXPECTED = yaml.safe_load((HERE / "expected.yaml").read_text(encoding="utf-8"))
CODES = {name: row["bugcheck"] for name, row in EXPECTED.items() if "bugcheck" in row}
SEED = 1


class Printer:
    """A debugger that keeps what is printed and lets everything go on."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def print_string(self, text: bytes, cpu: int) -> None:
        self.texts.append(text.decode("utf-8"))

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """The list of modules is of no interest here."""

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """The bugcheck that follows says it."""
        return False

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        """The kernel raises it as well."""

    def poll(self) -> None:
        """Nobody breaks in."""


class Life(NamedTuple):
    """What one driver did from load to a while after unload."""

    events: tuple[Event, ...]
    helper: int
    child: int
    child_thread: int
    end: DriverBugcheck | DriverHang | None


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Life]:
    """Runs a driver (``ours`` is the correct one) through the same steps as all others, once."""
    out = tmp_path_factory.mktemp("faulty") / "faulty.sys"

    @cache
    def run(name: str) -> Life:
        folder = driver_sources() / "procnotify" if name == "ours" else HERE / name
        return _live(build_driver(folder, Arch.X64, out).path.read_bytes())

    return run


def _live(image: bytes) -> Life:
    """A launch, a terminate, a while of other processes' life, and one more program after unload."""
    printer, clock = Printer(), Clock()
    target = VirtualTarget(Kernel(printer, clock, processors=2), printer, clock, seed=SEED)
    actor = default_actor()
    for built in (actor.exe, actor.probe):
        target.put(built.path.name, built.path.read_bytes())
    launched: dict[str, int | str] = {"pid": 0, "child_pid": 0, "child_tid": 0}
    end: DriverBugcheck | DriverHang | None = None
    try:
        assert target.load_driver("faulty", target.put("faulty.sys", image)) == 0
        launched = target.act(["launch", "notepad.exe"], 1)
        target.settle(300 * MILLISECOND, 20 * SECOND)
        target.act(["terminate", str(launched["child_pid"])], 2)
        for _ in range(20):
            target.settle(SECOND, 5 * SECOND)
        assert target.unload_driver("faulty") == 0
        target.act(["exit", "0"], 3)
    except (DriverBugcheck, DriverHang) as error:
        end = error
    lines = EventAssembler(builtin_grammar())
    events = [event for text in printer.texts for event in lines.feed(text)] + lines.flush()
    return Life(tuple(events), *(int(launched[key]) for key in ("pid", "child_pid", "child_tid")), end)


def is_complete(life: Life) -> bool:
    """No line is proved missing by the driver's own numbers and totals."""
    loss = LossCounter()
    for event in life.events:
        loss.add(event)
    return loss.report().complete


def images_of_child(life: Life) -> list[str]:
    found = [e for e in life.events if isinstance(e, ImageLoad) and e.pid == life.child and e.image]
    return [event.image.rpartition("\\")[2].lower() for event in found if event.image]


def of(life: Life, kind: type[Event]) -> list[Event]:
    return [event for event in life.events if isinstance(event, kind)]


def test_the_correct_driver_ends_well(live) -> None:
    life = live("ours")
    assert life.end is None
    assert is_complete(life)
    assert images_of_child(life)[:2] == ["notepad.exe", "ntdll.dll"]
    assert any(event.image is None for event in of(life, ImageLoad))


@pytest.mark.parametrize("name", sorted(CODES))
def test_bugchecks(live, name: str) -> None:
    end = live(name).end
    assert isinstance(end, DriverBugcheck)
    assert end.code == CODES[name]
    assert end.module == "faulty.sys"


def test_a_callback_that_never_returns_is_a_hang_at_its_address(live) -> None:
    end = live("loops_forever").end
    assert isinstance(end, DriverHang)
    assert "faulty.sys+0x" in end.message
    assert len(of(live("loops_forever"), ProcessCreate)) == 1


def test_dropped_lines_are_proved_by_their_numbers(live) -> None:
    life = live("drops_every_tenth_line")
    assert life.end is None
    assert not is_complete(life)
    numbers = [event.seq for event in life.events if event.seq is not None]
    assert set(range(1, max(numbers) + 1)) - set(numbers) == set(range(10, max(numbers) + 1, 10))


def test_thread_exits_are_missing_without_a_gap(live) -> None:
    life = live("never_prints_thread_exits")
    assert is_complete(life)
    assert of(life, ThreadExit) == []
    assert of(life, ProcessExit) != []
    assert len(of(life, ThreadCreate)) == len(of(live("ours"), ThreadCreate))


def test_parent_and_child_have_changed_places(live) -> None:
    life = live("swaps_parent_and_child")
    pairs = [(event.parent_pid, event.pid) for event in of(life, ProcessCreate)]
    assert (life.child, life.helper) in pairs
    assert (life.helper, life.child) not in pairs


def test_the_creator_is_named_as_owner(live) -> None:
    life = live("reports_creator_as_owner")
    first = next(event for event in of(life, ThreadCreate) if event.tid == life.child_thread)
    assert first.pid == life.helper


def test_images_are_late_although_the_numbers_rise(live) -> None:
    life = live("prints_image_late")
    assert is_complete(life)
    numbers = [event.seq for event in life.events if event.seq is not None]
    assert all(before < after for before, after in pairwise(numbers))
    assert images_of_child(life)[:2] == ["ntdll.dll", "notepad.exe"]
