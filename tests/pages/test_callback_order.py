"""The figures of docs/callback-order.md are those of the recording that it names."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner
from reader import ROOT

from harness.cli import cli

PAGE = (ROOT / "docs" / "callback-order.md").read_text(encoding="utf-8")
FIRST = [
    *("process_create", "thread_create:thread1", "image_load:notepad.exe", "image_load:ntdll.dll"),
    *("image_load:kernel32.dll", "image_load:kernelbase.dll"),
]


def test_what_was_observed_is_what_is_mined(shared_data: Path) -> None:
    recording = shared_data / "procmon" / "win10-1903-x64-process-events.csv.xz"
    mined = CliRunner().invoke(cli, ["mine", str(recording), "--select", "image=notepad.exe"])
    launches, events, same, pairs, unseen = re.findall(
        r"(\d+) instances .*\n\n(\d+) events in all of them; ([\d,]+) of ([\d,]+) pairs .*\n"
        r".* at most ([\d.]+) %",
        mined.output,
    )[0]
    assert f"there are {launches} launches" in PAGE
    assert f"{events} events of each" in PAGE
    assert f"{same} of the {pairs} pairs" in PAGE
    assert f"- {int(pairs.replace(',', '')) - int(same.replace(',', ''))} pairs came in both orders" in PAGE
    assert f"at most {unseen} % of all others" in PAGE
    order = re.findall(r"^  ((?:process|thread|image)_\S+)", mined.output, re.MULTILINE)
    assert order[: len(FIRST)] == FIRST


def test_each_fact_that_is_called_documented_has_a_page_of_microsoft_s() -> None:
    documented = PAGE.partition("## What is documented")[2].partition("\n## ")[0]
    rows = [line for line in documented.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 5
    assert [row for row in rows if "(https://learn.microsoft.com/windows" not in row] == []
