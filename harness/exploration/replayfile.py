"""The replay file: one run, so that it can be done again bit for bit on another machine.

JSON, one object. It has the scenario's text, the digests of what else decides a run (drivers, helper, files
for the guest), the settings of the machine, and of the schedule the preemptions alone. Everything in a file
is refused that is unknown, out of its bounds or of another version; ``docs/exploring.md`` shows a whole one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

import harness
from harness.actions import MAX_GUEST_FILE
from harness.errors import UsageError
from harness.events import WitnessName
from harness.files import cannot_write, read_file, write_whole
from harness.grammars import described
from harness.runs.performing import guest_files
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.scenario import Scenario, parse
from harness.virtual.dispatcher.dispatcher import MAX_ABLE
from harness.virtual.dispatcher.schedule import Schedule
from harness.virtual.interfaces import MAX_PROCESSORS

__all__ = [
    "FORMAT",
    "MAX_FILE",
    "MAX_PREEMPTIONS",
    "SUFFIX",
    "FileDigest",
    "MachineSettings",
    "RecordedOutcome",
    "ReplayFile",
    "ScenarioText",
    "ingredients",
    "read_replay",
    "replay_of",
    "require_same",
    "scenario_of",
    "text_sha256",
    "write_replay",
]

FORMAT: Final = 1
"""Version of the replay file; a reader refuses every other."""
SUFFIX: Final = ".replay.json"
"""How the names of replay files end."""
MAX_FILE: Final = 32 << 20
"""Bytes that a replay file may have."""
MAX_PREEMPTIONS: Final = 200_000
"""Preemptions that it may have; a run of the shipped scenarios under ``random`` has some hundred."""
MAX_STEPS: Final = 1 << 40
"""Questions to the policy that a run may have had."""
MAX_NAMED: Final = 64
"""Drivers, and files for the guest, that it may name."""
MAX_TEXT: Final = 1 << 20
"""Characters of a text in it; a scenario file may have as many bytes."""

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
_Word = Annotated[str, msgspec.Meta(max_length=4096)]


class ScenarioText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scenario that was run."""

    file: _Word
    """The file's name, without its folder."""
    sha256: _Digest
    """See :func:`text_sha256`."""
    text: _Text


class FileDigest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that decides what happens in the run."""

    file: _Word
    """Its name, without its folder."""
    sha256: _Digest


class MachineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the virtual target was booted."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    profile: _Word | None
    """None: the machine's own choice."""
    processors: Annotated[int, msgspec.Meta(ge=1, le=MAX_PROCESSORS)] | None
    """None: the machine's own choice."""
    print_masks: Annotated[
        dict[_Word, Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]], msgspec.Meta(max_length=256)
    ]


class RecordedOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of the run."""

    outcome: _Word
    """In words, as the footer of a trace has it."""
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)]
    reason: _Text
    """Why, in one line."""
    events: Annotated[int, msgspec.Meta(ge=0, lt=MAX_STEPS)]
    """How many the trace has."""
    sha256: _Digest
    """Over the trace between its header and its footer."""


class ReplayFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run."""

    replay: int = FORMAT
    """The version of the file."""
    procnotify: _Word
    """The version that wrote it."""
    scenario: ScenarioText
    drivers: Annotated[tuple[FileDigest, ...], msgspec.Meta(min_length=1, max_length=MAX_NAMED)]
    """The one under test first."""
    helper: FileDigest
    """The guest helper."""
    probe: FileDigest
    """The library that it loads."""
    files: Annotated[tuple[FileDigest, ...], msgspec.Meta(max_length=MAX_NAMED)]
    """Of the host, that the scenario puts into the guest."""
    lines: dict[_Word, _Text]
    """The line grammar, as the header of a trace has it."""
    machine: MachineSettings
    witness: WitnessName | None
    """On whose events the order was to be checked; None: nobody said."""
    strict: bool
    """Promises that could not be judged were an error."""
    without_rules: Annotated[tuple[_Word, ...], msgspec.Meta(max_length=256)]
    """Standing rules that the drivers were not held to, besides those that the scenario switches off."""
    policy: _Word
    """Whose schedule it was at first."""
    schedule: Schedule
    found: RecordedOutcome


def text_sha256(text: str) -> str:
    """SHA-256 of a scenario's text in UTF-8, in hexadecimal; whatever the line ends, they count as one LF."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def replay_of(
    rig: Rig, scenario: Scenario, text: str, result: RunResult, *, policy: str, without_rules: frozenset[str]
) -> ReplayFile:
    """The replay file of a run whose schedule was kept.

    :param text: of the scenario's file.
    :param policy: whose schedule it was at first.
    :param without_rules: see :attr:`ReplayFile.without_rules`.
    """
    assert result.schedule is not None, "the rig keeps schedules"
    boot = rig.boot(result.seed, scenario)
    return ReplayFile(
        procnotify=harness.__version__,
        scenario=ScenarioText(file=scenario.path.name, sha256=text_sha256(text), text=text),
        **ingredients(rig, scenario),
        machine=MachineSettings(
            seed=result.seed,
            profile=boot.profile,
            processors=boot.processors,
            print_masks=dict(boot.print_masks),
        ),
        witness=rig.witness,
        strict=rig.strict,
        without_rules=tuple(sorted(without_rules)),
        policy=policy,
        schedule=result.schedule,
        found=RecordedOutcome(
            outcome=result.outcome.words,
            exit_code=int(result.outcome),
            reason=result.reason,
            events=result.events,
            sha256=result.events_sha256,
        ),
    )


def ingredients(rig: Rig, scenario: Scenario) -> dict[str, Any]:
    """What decides the run and lies in files, as :class:`ReplayFile` has it.

    :raises UsageError: a file for the guest cannot be read.
    """
    return {
        "drivers": tuple(_digest(driver.file, driver.image) for driver in rig.drivers),
        "helper": _digest("actor.exe", rig.files.actor),
        "probe": _digest("probe.dll", rig.files.probe),
        "files": tuple(_digest(path.name, _contents(path)) for path in guest_files(scenario.steps)),
        "lines": described(rig.grammar(scenario)),
    }


def _digest(name: str, data: bytes) -> FileDigest:
    return FileDigest(file=name, sha256=hashlib.sha256(data).hexdigest())


def _contents(path: Path) -> bytes:
    try:
        return read_file(path, limit=MAX_GUEST_FILE)
    except OSError as error:
        raise UsageError(f"cannot read {path} for the guest: {error.strerror or error}") from None


def write_replay(path: Path, replay: ReplayFile) -> None:
    """Write a replay file, whole or not at all.

    :raises ProcnotifyError: it cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(replay), indent=1)
    try:
        write_whole(path, data + b"\n")
    except OSError as error:
        raise cannot_write(path, error) from None


def read_replay(path: Path) -> ReplayFile:
    """The replay file at ``path``.

    :raises UsageError: it cannot be read, is none, is of another version, or something in it is out of its
        bounds or contradicts the rest.
    """
    try:
        data = read_file(path, limit=MAX_FILE)
    except OSError as error:
        raise UsageError(
            f"cannot read the replay file {path}: {error.strerror or error}",
            hint=f"give a *{SUFFIX} that `procnotify explore` wrote",
        ) from None
    try:
        version = msgspec.json.decode(data, type=_Versioned).replay
        if version != FORMAT:
            raise UsageError(
                f"{path} is a replay file of version {version}, and this procnotify reads version {FORMAT}",
                hint="use the procnotify that wrote it",
            )
        replay = msgspec.json.decode(data, type=ReplayFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path} is no replay file: {error}", hint=f"give a *{SUFFIX} that `procnotify explore` wrote"
        ) from None
    for mistake in _mistakes(replay):
        raise UsageError(f"{path} is no proper replay file: {mistake}", hint="take it as it was written")
    return replay


class _Versioned(msgspec.Struct):
    """As much as files of every version have."""

    replay: int


def _mistakes(replay: ReplayFile) -> Iterator[str]:
    if text_sha256(replay.scenario.text) != replay.scenario.sha256:
        yield "the scenario's text does not have the scenario's sha256"
    files: tuple[FileDigest, ...] = (*replay.drivers, replay.helper, replay.probe, *replay.files)
    for name in (replay.scenario.file, *(file.file for file in files)):
        if not name or set(name) & set("/\\:\0") or name in (".", ".."):
            yield f"{name!r} is no file name"
    schedule = replay.schedule
    if len(schedule.preemptions) > MAX_PREEMPTIONS:
        yield f"it has more than {MAX_PREEMPTIONS} preemptions"
    if not 0 <= schedule.steps < MAX_STEPS:
        yield f"a run cannot have {schedule.steps} steps"
    last = -1
    for preemption in schedule.preemptions:
        if not last < preemption.step < schedule.steps:
            yield f"step {preemption.step} is not behind step {last} and before the end, {schedule.steps}"
        if not 1 <= preemption.chosen <= MAX_ABLE:
            yield f"step {preemption.step} chooses {preemption.chosen}, and there is 1 to {MAX_ABLE}"
        last = preemption.step


def scenario_of(replay: ReplayFile, path: Path) -> Scenario:
    """The scenario in a replay file; other files that it names are looked for in the folder of ``path``.

    :param path: of the replay file.
    :raises UsageError: it is no scenario, or names a file that is not there.
    """
    scenario = parse(replay.scenario.text, path.parent / replay.scenario.file)
    return scenario.without_rules(frozenset(replay.without_rules))


def require_same(replay: ReplayFile, rig: Rig, scenario: Scenario) -> None:
    """Refuse what would be another run.

    :raises UsageError: a driver, the helper, a file or the grammar is not the one of the replay file; which.
    """
    mine = ingredients(rig, scenario)
    _compare_drivers(replay.drivers, mine["drivers"])
    for what, before, now in (
        ("the guest helper", (replay.helper,), (mine["helper"],)),
        ("the guest helper's library", (replay.probe,), (mine["probe"],)),
        ("a file for the guest", replay.files, mine["files"]),
    ):
        for one, other in zip(before, now, strict=False):
            if one != other:
                raise UsageError(
                    f"{what} is another one than in the replay: {_named(other)}, recorded {_named(one)}",
                    hint=f"the replay is of procnotify {replay.procnotify}, this is {harness.__version__}",
                )
        if len(before) != len(now):
            raise UsageError(f"the replay has {len(before)} files for the guest, the scenario {len(now)}")
    if replay.lines != mine["lines"]:
        raise UsageError(
            f"the line grammar is another one than in the replay: {mine['lines'].get('name')!r} of SHA-256"
            f" {mine['lines'].get('sha256')}, recorded {replay.lines.get('name')!r} of SHA-256"
            f" {replay.lines.get('sha256')}",
            hint="put the grammar file that the scenario had beside it",
        )


def _compare_drivers(before: tuple[FileDigest, ...], now: tuple[FileDigest, ...]) -> None:
    wanted = " ".join(f"--driver {driver.file}" for driver in (*before[1:], before[0]))
    if len(before) != len(now):
        raise UsageError(
            f"the replay has {len(before)} driver(s), and here are {len(now)}", hint=f"give {wanted}"
        )
    for one, other in zip(before, now, strict=True):
        if one != other:
            raise UsageError(
                f"the driver is another one than in the replay: {_named(other)}, recorded {_named(one)}",
                hint=f"give {wanted}, as it was then",
            )


def _named(digest: FileDigest) -> str:
    return f"{digest.file} of SHA-256 {digest.sha256}"
