"""Sysmon's log in each form: the same events, damage at every place, nothing hostile followed."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from evtx_file import evtx_file
from hypothesis import given
from hypothesis import strategies as st
from sysmon_records import LOG, SYSMON, flat, nested, winlogbeat, xml

from harness.errors import TraceError
from harness.events import Event, ImageLoad, ProcessCreate, ProcessExit, ThreadCreate
from harness.trace.sources import open_trace
from harness.trace.sources.sysmon import SysmonJson, SysmonTrace, SysmonXml

SECOND = 10_000_000
NOON = 134_168_400_000_000_000
"""2026-03-01 12:00:00 UTC in 100 ns units since 1601."""
IMAGE = "C:\\a & b.exe"
EVENTS: list[Event] = [
    ProcessCreate(index=0, pid=8, parent_pid=4, image=IMAGE, time=NOON + 10_000, witness="monitor"),
    ImageLoad(index=1, pid=8, image="C:\\ä.dll", witness="monitor"),
    ThreadCreate(index=2, pid=8, tid=40, creating_pid=12, time=NOON + 3 * SECOND // 2, witness="monitor"),
    ImageLoad(index=3, pid=8, image="C:\\late.dll", witness="monitor"),
    ProcessExit(index=4, pid=8, image=IMAGE, time=NOON + 2 * SECOND, witness="monitor"),
]
LEFT_OUT = {
    "records of Microsoft-Windows-Security-Auditing": 1,
    "event 10": 1,
    "places of image loads that were written late": 1,
}


def lines(form: Callable[..., str]) -> bytes:
    return "".join(form(record) + "\n" for record in LOG).encode()


def rooted(encoding: str = "utf-8", declaration: str = "<?xml version='1.0' encoding='utf-8'?>") -> bytes:
    return f"{declaration}\r\n<Events>{''.join(map(xml, LOG))}</Events>\r\n".encode(encoding)


FORMS = {
    "flat": lines(flat),
    "nested": lines(nested),
    "winlogbeat": lines(winlogbeat),
    "gzip": gzip.compress(lines(flat)),
    "xml without a root": lines(xml),
    "xml": rooted(),
    "xml in utf-16": rooted("utf-16", "<?xml version='1.0' encoding='utf-16'?>"),
}


EVTX = evtx_file(LOG)


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_each_form_has_the_same_events(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any name"
    path.write_bytes(data)
    holds_the_log(path)


@pytest.mark.usefixtures("import_extra")
def test_an_event_log_has_the_same_events(tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_bytes(EVTX)
    holds_the_log(path)


def holds_the_log(path: Path) -> None:
    source = open_trace(path)
    assert isinstance(source, SysmonTrace)
    for _ in range(2):
        assert list(source) == EVENTS
    assert source.footer is not None
    assert source.footer.left_out == LEFT_OUT
    assert (source.damage, source.header.unordered) == ("", ("image_load",))


@pytest.mark.parametrize("data", [FORMS["flat"], FORMS["xml"], FORMS["xml without a root"]])
def test_cut_anywhere_it_gives_a_part_and_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    whole = data.rstrip()
    for size in range(220, len(whole), 19):
        path.write_bytes(data[:size])
        source = open_trace(path)
        events = list(source)
        assert events == EVENTS[: len(events)]
        between = data[:size].rstrip().endswith((b"}", b"</Event>")) and data is not FORMS["xml"]
        assert bool(source.damage) != between


@given(noise=st.binary(max_size=100), place=st.integers(0, 2000), form=st.sampled_from(sorted(FORMS)))
def test_noise_never_raises_what_nobody_foresaw(
    noise: bytes, place: int, form: str, tmp_path_factory
) -> None:  # type: ignore[no-untyped-def]
    data = FORMS[form]
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(data[:place] + noise + data[place + len(noise) :])
    try:
        events = list(open_trace(path))
    except TraceError:
        return
    assert [event.index for event in events] == list(range(len(events)))


@pytest.mark.usefixtures("import_extra")
@given(noise=st.binary(min_size=1, max_size=40), place=st.integers(8, 9000))
def test_noise_in_an_event_log_never_raises_what_nobody_foresaw(
    noise: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(EVTX[:place] + noise + EVTX[place + len(noise) :])
    try:
        events = list(open_trace(path))
    except TraceError:
        return
    assert [event.index for event in events] == list(range(len(events)))


@pytest.mark.usefixtures("import_extra")
def test_an_event_log_that_is_cut_or_damaged_is_no_whole_one(tmp_path: Path) -> None:
    data = EVTX
    path = tmp_path / "x"
    for size in (5000, 6000):
        path.write_bytes(data[:size])
        source = open_trace(path)
        assert list(source) == []
        assert "cut off: 0 chunks where 1 belong" in source.damage
    path.write_bytes(data[:5500] + b"\xff" * 40 + data[5540:])
    source = open_trace(path)
    events = list(source)
    assert events == EVENTS[: len(events)]
    assert source.damage


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(EVTX)
    monkeypatch.setitem(sys.modules, "evtx", None)
    with pytest.raises(TraceError, match=r"evtx, which is not installed; .* 'procnotify\[import\]'"):
        list(open_trace(path))


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>"
HOSTILE = [
    (f"<Events>{xml(LOG[0])}</Events>{LAUGHS}", "damaged"),
    (f"{LAUGHS}<Events>{xml(LOG[0])}</Events>", "damaged"),
    ("<Event>" + "<a>" * 40, "more than 16 elements within one another"),
    ("<Event><System>" + "a" * (1 << 21), "a record of more than 1048576 characters"),
    ("<Event a='" + "a" * (1 << 21), "a record of more than 1048576 characters"),
    (xml((SYSMON, 1, 1, {"Image": "x" * 70_000})), "Image has more than 65536 characters"),
    (xml((SYSMON, 1, 1, {"ProcessId": "-1"})), "ProcessId is '-1', which is no number"),
    (
        xml((SYSMON, 5, 1, {"ProcessId": "1", "Image": "x", "UtcTime": "2026-13-01 00:00:00.000"})),
        "which is no time",
    ),
    (xml((SYSMON, 8, 1, {"TargetProcessId": "1"})), "event 8 has no NewThreadId"),
    (xml(LOG[-1]) + xml(LOG[0]), "record 10 stands behind 16; export with the oldest first"),
    ("<Event><System><Provider Name='x'/></System></Event>", "the record has no EventID"),
]


@pytest.mark.parametrize(("text", "words"), HOSTILE)
def test_what_no_log_has_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x"
    path.write_text(text, encoding="utf-8")
    source = SysmonXml(path)
    assert len(list(source)) <= 1
    assert words in source.damage


def test_of_two_computers_the_first_ones_events_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("\n".join([flat(LOG[0]), flat(LOG[0], "OTHER"), flat(LOG[-1])]), encoding="utf-8")
    source = SysmonJson(path)
    assert [type(event) for event in source] == [ProcessCreate, ProcessExit]
    assert source.footer is not None
    assert source.footer.left_out == {"records of the computer OTHER": 1}


def test_a_line_that_is_no_record_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(f"{flat(LOG[0])}\n\n[1]\n{flat(LOG[-1])}\n", encoding="utf-8")
    source = SysmonJson(path)
    assert len(list(source)) == 1
    assert f"{path}:3: damaged: " in source.damage
    path.write_text(f'{flat(LOG[0])}\n{{"a":1}}\n', encoding="utf-8")
    assert len(list(source)) == 1
    assert f"{path}:2: it is no record of an event log" in source.damage
