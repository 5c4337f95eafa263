"""The page in a browser: what only one shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from browser import Browser, Page, started
from judged_runs import rejudged
from recordings import HOSTILE, events_of, generated, life, numbered, page_of, reported

from harness.events import Event, ImageLoad, Print

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
BAD = numbered([*(line for pid in range(304, 504, 8) for line in life(pid)), *life(200, exits=False)])
GOOD = numbered(life(200))
IN_VIEW = """(() => {{
  const box = document.querySelector({selector!r}).getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight
    && box.left >= 0 && box.right <= innerWidth;
}})()"""
LIT = """(() => {
  const canvas = document.querySelector("canvas");
  const dots = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(dots.buffer)).size;
})()"""


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str]) -> Iterator[Browser]:
    with started(program("chromium")) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that, whatever a test did with it, complained of nothing and asked nothing of a network."""
    page = browser.page()
    yield page
    assert page.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    assert page.told("Page.javascriptDialogOpening") == []
    requests = page.told("Network.requestWillBeSent")
    assert requests and all(told["request"]["url"].startswith("file:") for told in requests)
    assert len({told["request"]["url"].partition("#")[0] for told in requests}) == 1


def written(folder: Path, text: str) -> Path:
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def red(folder: Path) -> str:
    """The page of two runs that failed and one that passed."""
    bad = reported(folder, BAD)
    runs = [bad, replace(bad, seed=2), reported(folder, GOOD, seed=3)]
    return page_of(runs, events_of(BAD))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_broke_is_in_view_and_the_next_is_a_key_away(
    page: Page, tmp_path: Path, size: dict[str, int]
) -> None:
    page.open(written(tmp_path, red(tmp_path)), **size)
    assert page.run("document.documentElement.scrollWidth") <= size["width"]
    assert page.run(IN_VIEW.format(selector=".faulty"))
    assert "PID(200) was terminated" in page.run("document.querySelector('.told').textContent")
    assert page.run(LIT) > 5
    assert page.run("document.querySelector('.where').textContent") == "1 of 4"
    for place in ("2 of 4", "3 of 4"):
        page.press("n")
        page.until(f"document.querySelector('.where').textContent === {place!r}")
    assert page.run("document.getElementById('run-2').querySelector('details').open")
    assert page.run(IN_VIEW.format(selector="#run-2 h2"))
    assert page.run("document.activeElement.textContent").startswith(
        "When a process ends, every thread seen created in it has ended; but process 200 ends"
    )
    page.press("p")
    page.until("document.querySelector('.where').textContent === '2 of 4'")
    assert page.run("document.documentElement.scrollWidth") <= size["width"]


def test_the_timeline_answers_the_hand_and_the_keys(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, red(tmp_path)), **DESKTOP)
    told = "document.querySelector('.told').textContent"
    page.run("document.querySelector('canvas').focus()")
    page.press("Home")
    assert page.run(told).startswith("event 0 · process_create · a.exe 304")
    page.press("ArrowRight")
    assert page.run(told).startswith("event 1 · thread_create")
    line = "figures.get('1').line"
    page.press("0")
    before = page.run(f"{line}.scale")
    page.press("+")
    assert page.run(f"{line}.scale") == pytest.approx(before * 1.5)
    page.press("0")
    place = page.run(
        f"""(() => {{
          const box = document.querySelector('canvas').getBoundingClientRect();
          const line = {line};
          const at = 2;
          return [box.left + (line.x[at] - line.left) * line.scale,
                  box.top + RULER - line.viewport.scrollTop + line.lanes.middleOf(line.events.lane[at])];
        }})()"""
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    assert page.run("!document.querySelector('.tip').hidden")
    assert BAD[2] in page.run("document.querySelector('.tip').textContent")
    # The table has the same, and filters it.
    page.run("document.querySelector('.all-events summary').click()")
    page.until("document.querySelector('.all-events table')")
    table = "document.querySelector('.all-events table')"
    assert page.run(f"{table}.getAttribute('aria-rowcount')") == str(len(BAD) + 1)
    assert 20 < page.run(f"{table}.rows.length") < 60
    page.run(
        """(() => {
          const words = document.querySelector('.all-events input');
          words.value = 'pid(200)';
          words.dispatchEvent(new Event('input'));
        })()"""
    )
    rows = page.run("[...document.querySelectorAll('.all-events code')].map((code) => code.textContent)")
    assert rows == [line for line in BAD if "PID(200)" in line]


def test_runs_are_found_by_their_result_and_by_what_is_said_of_them(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, red(tmp_path)), "#run-3", **DESKTOP)
    assert page.run("document.querySelector('#run-3 details').open")
    for field, value, hidden in (
        ("outcome", "passed", [True, True, False]),
        ("outcome", "", [False, False, False]),
        ("words", "SEED 2", [True, False, True]),
        ("words", "eJ", [True, True, True]),  # the columns of every timeline begin so
    ):
        page.run(f"{field}.value = {value!r}; {field}.dispatchEvent(new Event('input'))")
        found = page.run("[...document.querySelectorAll('article')].map((one) => one.hidden)")
        assert found == hidden


def test_dark_and_light_are_the_systems_until_somebody_chooses(page: Page, tmp_path: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    path = written(tmp_path, red(tmp_path))
    page.open(path, **DESKTOP)
    light = page.run(ground)
    page.open(path, **DESKTOP, dark=True)
    dark = page.run(ground)
    assert dark != light
    page.run("document.getElementById('theme').click()")
    assert page.run(ground) == light


def test_hostile_names_stay_text(page: Page, tmp_path: Path) -> None:
    events: list[Event] = []
    for name in HOSTILE:
        events.append(ImageLoad(index=len(events), pid=200, image=name, line=f"[x] {name}"))
        events.append(Print(index=len(events), line=name))
    run = rejudged(reported(tmp_path, BAD), reason=" ".join(HOSTILE[:5]), notes=HOSTILE)
    page.open(written(tmp_path, page_of([run], events)), **PHONE)
    page.run("document.querySelector('.all-events').open = true")
    page.until("document.querySelector('.all-events table')")
    assert page.run("document.querySelectorAll('.all-events tbody tr').length") == len(events)
    assert page.run("document.scripts.length") == 2
    assert page.run("document.querySelectorAll('img, svg, iframe, b, object, link').length") == 0
    assert page.run("document.documentElement.scrollWidth") <= PHONE["width"]
    shown = page.run("[...document.querySelectorAll('.all-events code')].map((code) => code.textContent)")
    assert shown[1] == "<script>alert(1)</script>"
    assert shown[11] == "\\u202egpj.exe"


TENFOLD = """(async () => {
  const figure = figures.get('1');
  const columns = await unpack(figure.figure.querySelector("script").textContent);
  const [events, lanes] = [columns.kind.length, columns.lanes.name.length];
  const ten = (values, further = (value) => value) =>
    Array.from({ length: 10 }, (_, turn) => values.map((value) => further(value, turn))).flat();
  const tid = sums(columns.tid);
  Object.assign(columns, {
    index: ten(columns.index, () => 1), kind: ten(columns.kind),
    label: ten(columns.label), cpu: ten(columns.cpu),
    time: ten(columns.time), tid: ten(tid).map((id, at, all) => id - (at ? all[at - 1] : 0)),
    lane: ten(columns.lane, (lane, turn) => lane + turn * lanes),
  });
  columns.lines.of = ten(columns.lines.of);
  const later = (at, turn) => (at < 0 ? at : at + turn * events);
  const { name, depth, from, to } = columns.lanes;
  columns.lanes = { name: ten(name), depth: ten(depth), from: ten(from, later), to: ten(to, later) };
  figure.events = new Events(columns);
  figure.events.marks = new Map();
  figure.line.viewport.replaceChildren();
  const line = new Timeline(figure.line.viewport, figure.events, () => {});
  line.resize();
  let marks = 0;
  const { fillRect } = line.pen;
  line.pen.fillRect = function (...where) { marks += 1; return fillRect.apply(this, where); };
  const found = [];
  for (const chosen of [null, new Set([0]), new Set([1, lanes + 1])]) {
    line.choose(chosen);
    for (const scale of [0, 1, 30]) {
      line.scale = scale;
      line.clamp();
      marks = 0;
      paint(line);
      found.push(marks);
    }
  }
  return [line.events.length, line.lanes.positions.length, found];
})()"""
"""A timeline of ten times the events of the page's, each ten times with lanes of its own; how many there are,
how many lanes, and how many rectangles are drawn at several scales."""


def test_a_hundred_thousand_events_are_drawn_a_mark_a_pixel(page: Page, tmp_path: Path) -> None:
    events = list(islice(generated(10_000), 10_000))
    page.open(written(tmp_path, page_of([reported(tmp_path, GOOD)], events)), **DESKTOP)
    number, lanes, drawn = page.run(TENFOLD)
    assert (number, lanes) == (100_000, 10 * 1001)
    # A dozen of lanes is in view, each with at most a few marks a pixel; not all events.
    assert all(5 < marks < 15 * DESKTOP["width"] for marks in drawn)
