"""``procnotify learn``: write the line grammar of a driver from what it prints."""

from __future__ import annotations

import re
from pathlib import Path

import click

from harness.cli._options import json_option, print_json
from harness.errors import DriverBugcheck, DriverHang, MissingImport, UsageError
from harness.files import cannot_write, write_whole
from harness.grammars.read import ENCODINGS
from harness.learning import Learnt, learn
from harness.report.text import one_line
from harness.runs.hearing import hear
from harness.runs.opening import read_checked_driver, read_driver
from harness.runs.sources import with_all_names, with_sources
from harness.toolchain import default_actor, default_driver
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.kernel.loader import check_driver_file

__all__ = ["CHECKED", "command"]

CHECKED = 3
"""Seeds on which what was learnt on the first is checked."""
_NOTHING = 1


@click.command(short_help="write the line grammar of a driver from what it prints")
@click.argument("driver", type=click.Path(path_type=Path), metavar="DRIVER.SYS")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the grammar file goes. Without it to standard output.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help=f"Seed of the run that is learnt from; it is checked on the next {CHECKED}.",
)
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS, case_sensitive=False),
    default="utf-8",
    show_default=True,
    metavar="NAME",
    help="The code page in which the driver prints.",
)
@json_option
def command(driver: Path, out: Path | None, force: bool, seed: int, encoding: str, as_json: bool) -> int:
    """Write the line grammar of DRIVER.SYS: which lines it prints, and what each part of them is.

    The driver runs on the virtual target, every print let through, while programs are launched and ended,
    threads made, libraries and a driver loaded. Each of its lines is compared with the callback call in which
    it was printed. A part of a line is a field where it agrees with that field in every line of all seeds and
    no other field does; whatever is not known is a comment in the file ("# not known: ...").

    \b
    Examples:
      procnotify learn mydriver.sys
      procnotify learn mydriver.sys --out mydriver.lines.yaml
      procnotify run scenarios --driver mydriver.sys --lines mydriver.lines.yaml

    \b
    Exit codes:
      0  learnt, and read back on every seed
      1  no line is known to report a callback, or the driver hangs; nothing is written
      2  the command line or the driver file is wrong, or the driver used what the virtual target lacks
      3  the rig failed
      4  the driver brought the target down
    """
    if out is not None and out.exists() and not force:
        raise UsageError(f"there is a {out} already", hint="--force writes over it")
    learnt = _learn(driver, seed, encoding.lower())
    code = 0 if learnt.entries else _NOTHING
    if learnt.entries and out is not None:
        try:
            write_whole(out, learnt.text.encode("utf-8"))
        except OSError as error:
            raise cannot_write(out, error, hint="choose another --out") from None
    elif learnt.entries and not as_json:
        click.echo(learnt.text, nl=False)
    _tell(learnt, out)
    if as_json:
        print_json(
            exit_code=code,
            driver=driver,
            written=out if learnt.entries else None,
            grammar=learnt.text if learnt.entries else None,
            forms=[entry._asdict() for entry in learnt.entries],
            not_known=learnt.doubts,
            calls=learnt.calls,
            read=learnt.read,
            complete=learnt.complete,
        )
    return code


def _learn(path: Path, seed: int, encoding: str) -> Learnt:
    driver = read_checked_driver(path, check_driver_file)
    helper = default_actor(progress=_say)
    other = read_driver(default_driver(progress=_say).path)
    hardware = Hardware()
    seeds = range(seed, seed + 1 + CHECKED)
    runs = []
    for number, each in enumerate(seeds, start=1):
        _say(f"run {number} of {len(seeds)}, seed {each}")
        try:
            runs.append(
                hear(
                    driver,
                    each,
                    helper=helper.exe.path.read_bytes(),
                    probe=helper.probe.path.read_bytes(),
                    other=None if other.service.casefold() == driver.service.casefold() else other,
                    hardware=hardware,
                )
            )
        except MissingImport as missing:
            raise with_sources(with_all_names(missing, (driver,)), (driver,)) from None
        except (DriverBugcheck, DriverHang) as error:
            raise with_sources(error, (driver,)) from None
    _say("comparing its lines with its callbacks")
    origin = (
        f"Learnt from what {path.name} prints on the virtual target with seeds {seeds[0]} to {seeds[-1]}."
    )
    return learn(runs, _name_of(path), origin=origin, encoding=encoding)


def _name_of(path: Path) -> str:
    """The grammar's name, from the driver's."""
    return re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:80] or "driver"


def _say(text: str) -> None:
    click.echo(f"procnotify: {one_line(text)}", err=True)


def _tell(learnt: Learnt, out: Path | None) -> None:
    """What came of it, for people."""
    if not learnt.entries or out is not None:
        for doubt in learnt.doubts:
            _say(f"not known: {doubt}")
    if not learnt.entries:
        if not learnt.calls:
            _say("the target called no callback of this driver")
        _say("no line is known to report a callback; nothing is written")
        return
    where = f"{out}: " if out is not None else ""
    _say(f"{where}{len(learnt.entries)} forms give {learnt.read} of {learnt.calls} callback calls")
