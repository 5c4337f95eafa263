"""The mined scenario: it passes on what it was mined from, and on nothing that breaks what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launches import launch, write_trace

from harness.errors import UsageError
from harness.events import ImageLoad
from harness.mining.relations import Miner, Relations
from harness.mining.roles import named
from harness.mining.scenariofile import scenario_text
from harness.mining.selection import Selection, parse_selections
from harness.outcome import Outcome
from harness.scenario import Scenario, parse
from harness.trace.sources import open_trace
from harness.verdict.instances import Instances
from harness.verdict.perinstance import judge_instances

IMAGE = parse_selections(["image=a.exe"])
IMAGES = ("b.dll", "c.dll", "d.dll", "e.dll", "f.dll")


def mined(lives: Sequence[str], selection: Selection = IMAGE) -> Scenario:
    miner = Miner()
    for words in lives:
        events, _ = named(launch(words), 1000)
        miner.add([(event.name, event.by) for event in events])
    return read(miner.relations(), selection)


def read(relations: Relations, selection: Selection) -> Scenario:
    text = scenario_text(relations, selection, longest=12_345_678)
    try:
        return parse(text, Path("mined.yaml"))
    except Exception:
        print(text)
        raise


def outcomes(scenario: Scenario, lives: Sequence[str]) -> list[Outcome]:
    events = [event for n, words in enumerate(lives) for event in launch(words, 1000 * (n + 1))]
    with TemporaryDirectory() as folder:
        path = write_trace(Path(folder) / "t.jsonl", events)
        judged = judge_instances(open_trace(path), scenario, IMAGE)
    assert judged.recording.outcome is Outcome.PASSED
    return [each.verdict.outcome for each in judged.instances]


@st.composite
def life(draw: st.DrawFn) -> str:
    """A launch that maps some images in some order, one of them twice at times, and makes some threads."""
    images = draw(st.permutations(IMAGES))[draw(st.integers(0, 3)) :]
    words = [*images, *(["b.dll"] if draw(st.integers(0, 3)) == 0 else [])]
    threads = draw(st.integers(0, 2))
    for _ in range(threads):
        words.insert(draw(st.integers(0, len(words))), "t")
    exits = draw(st.permutations([f"x{n + 1}" for n in range(threads + 1)]))
    return " ".join(["+ t a.exe", *words, *exits, "-"])


@settings(max_examples=10)  # a third of a second each
@given(st.lists(life(), min_size=1, max_size=4))
def test_it_passes_on_what_it_was_mined_from(lives: list[str]) -> None:
    assert set(outcomes(mined(lives), lives)) == {Outcome.PASSED}


BASE = ["+ t a.exe b.dll c.dll d.dll x1 -", "+ t a.exe b.dll d.dll c.dll x1 -"]


@pytest.mark.parametrize(
    ("lives", "other"),
    [
        (BASE, "+ t a.exe c.dll b.dll d.dll x1 -"),  # an order that always held
        (BASE, "+ t a.exe b.dll c.dll x1 -"),  # an event that all had
        (BASE, "+ t a.exe b.dll c.dll d.dll b.dll x1 -"),  # how often it came
        ([*BASE, "+ t a.exe b.dll e.dll c.dll d.dll x1 -"], "+ t a.exe e.dll b.dll c.dll d.dll x1 -"),
        (
            [*BASE, "+ t e.exe b.dll c.dll d.dll x1 -".replace("e.exe", "a.exe e.dll")],
            BASE[0].replace("x1", "e.dll x1"),
        ),
        (
            [*BASE, *[x.replace("x1", "e.dll f.dll x1") for x in BASE]],
            BASE[0].replace("x1", "f.dll e.dll x1"),
        ),
        (
            [*BASE, BASE[0].replace("x1", "e.dll x1"), BASE[0].replace("x1", "f.dll x1")],
            BASE[0].replace("x1", "e.dll f.dll x1"),
        ),
        (["+ t a.exe b.dll b.dll x1 -"], "+ t a.exe b.dll x1 -"),
        (["+ t a.exe b.dll b.dll x1 -"], "+ t a.exe b.dll b.dll b.dll x1 -"),
        (["+ t a.exe t b.dll x2 x1 -"], "+ t a.exe t b.dll x1 x2 -"),
    ],
)
def test_it_fails_on_what_breaks_an_invariant(lives: list[str], other: str) -> None:
    assert outcomes(mined(lives), [*lives, other]) == [Outcome.PASSED] * len(lives) + [Outcome.BROKEN]


@pytest.mark.parametrize(
    ("lives", "other"),
    [
        (BASE, BASE[0].replace("c.dll d.dll", "d.dll new.dll c.dll")),
        (
            [BASE[0], BASE[0].replace("b.dll c.dll", "e.dll b.dll e.dll c.dll")],
            BASE[0].replace("d.dll", "d.dll"),
        ),
        ([*BASE, BASE[0].replace("x1", "e.dll f.dll x1")], BASE[0].replace("x1", "e.dll x1")),
    ],
)
def test_it_says_nothing_that_was_not_found(lives: list[str], other: str) -> None:
    assert outcomes(mined(lives), [*lives, other]) == [Outcome.PASSED] * (len(lives) + 1)


def test_a_partial_order_that_no_list_shows_is_said_in_full() -> None:
    # b before d, c before d and e: the letter N.
    lives = [
        f"+ t a.exe {' '.join(f'{c}.dll' for c in order)} x1 -" for order in ("bcde", "cebd", "bced", "cbde")
    ]
    scenario = mined(lives)
    broken = [f"+ t a.exe {' '.join(f'{c}.dll' for c in order)} x1 -" for order in ("cdbe", "becd", "bdce")]
    assert outcomes(scenario, [*lives, *broken]) == [Outcome.PASSED] * 4 + [Outcome.BROKEN] * 3


def test_what_comes_very_often_may_come_more_often() -> None:
    lives = [f"+ t a.exe {'b.dll ' * count} x1 -" for count in (20, 20)]
    assert outcomes(mined(lives), [*lives, f"+ t a.exe {'b.dll ' * 30} x1 -"]) == [Outcome.PASSED] * 3
    assert outcomes(mined(lives), [f"+ t a.exe {'b.dll ' * 15} x1 -"]) == [Outcome.BROKEN]


def test_an_image_without_a_name_is_any_image(tmp_path: Path) -> None:
    events = launch("+ t a.exe b.dll c.dll x1 -")
    events[3] = ImageLoad(index=3, pid=1000, image=None, context_pid=1000, context_tid=1001)
    miner = Miner()
    found, _ = named(events, 1000)
    miner.add([(event.name, event.by) for event in found])
    scenario = read(miner.relations(), IMAGE)
    path = write_trace(tmp_path / "t.jsonl", events)
    assert judge_instances(open_trace(path), scenario, IMAGE).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "name",
    [
        "y" * 300 + ".dll",
        "a%23.dll",
        "$x.dll",
        "any",
        "null",
        "[a]*?.dll",
        "x y\"'.dll",
        "1e5",
        "0x10",
        "#.dll",
        "ü\x01.dll",
    ],
)
def test_a_hostile_name_means_itself(name: str) -> None:
    words = ["+", "t", "a.exe", name, "b.dll", "x1", "-"]
    scenario = read_words(words)
    patterns = str(scenario.expect)
    assert "image_load" in patterns
    with TemporaryDirectory() as folder:
        events = words_launch(words)
        path = write_trace(Path(folder) / "t.jsonl", events)
        judged = judge_instances(open_trace(path), scenario, IMAGE)
        swapped = [*words[:3], "b.dll", name, *words[5:]]
        other = write_trace(Path(folder) / "o.jsonl", words_launch(swapped))
        broken = judge_instances(open_trace(other), scenario, IMAGE)
    assert (judged.outcome, broken.outcome) == (Outcome.PASSED, Outcome.BROKEN)


def words_launch(words: Sequence[str]) -> list:  # type: ignore[type-arg]  # of events
    import msgspec

    events = launch(
        " ".join("image" if " " in word or (word[0] == "x" and word != "x1") else word for word in words)
    )
    return [
        msgspec.structs.replace(event, image=f"\\W\\{word}") if getattr(event, "image", None) else event
        for event, word in zip(events, words, strict=True)
    ]


def read_words(words: Sequence[str]) -> Scenario:
    miner = Miner()
    events, _ = named(words_launch(words), 1000)
    miner.add([(event.name, event.by) for event in events])
    return read(miner.relations(), IMAGE)


def test_many_images_in_any_order_are_more_than_one_list_may_hold() -> None:
    names = [f"i{n:03}.dll" for n in range(70)]
    lives = [f"+ t a.exe {' '.join(order)} x1 -" for order in (names, names[::-1])]
    assert outcomes(mined(lives), lives) == [Outcome.PASSED] * 2


def test_instances_that_share_nothing_give_no_scenario() -> None:
    miner = Miner()
    for words in ("+ a.exe", "+ b.exe"):
        events, _ = named(launch(words), None)
        miner.add([(event.name, event.by) for event in events])
    with pytest.raises(UsageError, match="share no event"):
        scenario_text(miner.relations(), parse_selections(["marker=a...b"]), longest=None)


def test_a_run_of_a_scenario_gives_an_order_without_steps(tmp_path: Path) -> None:
    events = [*launch("+ t a.exe b.dll x1 -"), *launch("+ t a.exe b.dll x1 -", 2000)]
    path = write_trace(tmp_path / "t.jsonl", events, scenario="two")
    selection = parse_selections(["scenario=two"])
    miner = Miner()
    for instance in Instances(selection).of(open_trace(path)):
        found, _ = named(instance.events, instance.pid)
        miner.add([(event.name, event.by) for event in found])
    scenario = read(miner.relations(), selection)
    assert (scenario.name, scenario.steps) == ("mined-two", ())
    assert judge_instances(open_trace(path), scenario, selection).outcome is Outcome.PASSED
    swapped = [*launch("+ t a.exe b.dll x1 -"), *launch("+ t b.dll a.exe x1 -", 2000)]
    other = write_trace(tmp_path / "o.jsonl", swapped, scenario="two")
    assert judge_instances(open_trace(other), scenario, selection).outcome is Outcome.BROKEN


def test_a_tree_is_launched_and_its_children_are_found(tmp_path: Path) -> None:
    child = launch("+ t c.exe x1 -", 2000, parent=1000)
    root = launch("+ t a.exe x1 -")
    path = write_trace(tmp_path / "t.jsonl", [*root[:3], *child, *root[3:]])
    selection = parse_selections(["tree=a.exe"])
    miner = Miner()
    for instance in Instances(selection).of(open_trace(path)):
        found, _ = named(instance.events, instance.pid)
        miner.add([(event.name, event.by) for event in found])
    scenario = read(miner.relations(), selection)
    assert judge_instances(open_trace(path), scenario, selection).outcome is Outcome.PASSED
    late = write_trace(tmp_path / "o.jsonl", [*root[:2], *child[:3], root[2], *child[3:], *root[3:]])
    assert judge_instances(open_trace(late), scenario, selection).outcome is Outcome.BROKEN
