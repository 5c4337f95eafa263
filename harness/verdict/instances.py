"""The instances that recordings hold, each recording read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from harness.errors import LinesLost
from harness.events import WitnessName
from harness.grammars import recorded_grammar
from harness.lines import Grammar
from harness.mining.instances import Cutter, Instance
from harness.mining.selection import Selection
from harness.trace.sources import TraceSource
from harness.trace.witness import SeenBy, witness_of
from harness.verdict.survey import Survey

__all__ = ["Instances"]

_CHUNK: Final = 4096


class Instances:
    """Gives the instances of recordings as they end, and counts what was left out.

    :param grammar: by which the lines of recordings were read; None: the one that a header names.
    :param witness: whose events count; None: those on which a recording's order was checked, else the lines.
    :param partial: take what there is of a recording of which lines are missing.
    """

    def __init__(
        self,
        selection: Selection,
        *,
        grammar: Grammar | None = None,
        witness: WitnessName | None = None,
        partial: bool = False,
    ) -> None:
        self.selection = selection
        self.recordings = 0
        self.count = 0
        """Instances that were given."""
        self.other_scenarios: Counter[str] = Counter()
        """Recordings that were not looked at, by the scenario that they are of; empty: of none."""
        self.left_out: Counter[str] = Counter()
        """Why instances were left out → how many."""
        self.programs_unknown = 0
        """Processes of which nobody knows whether they were meant."""
        self.unordered: set[str] = set()
        """Kinds of events of which a recording does not tell when they came."""
        self.notes: list[str] = []
        """What is to be told besides, a line each."""
        self._grammar = grammar
        self._witness = witness
        self._partial = partial

    def of(self, source: TraceSource) -> Iterator[Instance]:
        """Those of one recording.

        :raises LinesLost: the driver's own counters prove that lines are missing.
        :raises TraceError: the recording is damaged.
        """
        self.recordings += 1
        scenario = source.header.scenario
        wanted = self.selection.scenario
        if (wanted is not None and scenario != wanted) or (self.selection.cut is None and scenario is None):
            self.other_scenarios[scenario or ""] += 1
            return
        witness = self._witness or witness_of(source.header, source.footer)
        self.unordered |= set(source.header.unordered)
        survey = Survey(self._grammar or recorded_grammar(source.header.lines, source.path))
        cutter = Cutter(self.selection, whole=scenario is not None)
        seen = iter(SeenBy(source, witness))
        while chunk := list(islice(seen, _CHUNK)):
            survey.feed(chunk)
            for instance in cutter.feed(chunk):
                self.count += 1
                yield instance
        footer = source.footer
        for instance in cutter.finish(complete=footer is not None and footer.complete is True):
            self.count += 1
            yield instance
        self.left_out += cutter.left_out
        self.programs_unknown += cutter.programs_unknown
        if source.damage:
            self.notes.append(f"only the events before a damage: {source.damage}")
        loss = survey.loss
        if not loss.complete:
            if not self._partial:
                raise LinesLost(
                    f"{source.path}: {loss}",
                    hint="what is missing would look like another order; --partial takes what there is",
                )
            self.notes.append(f"{source.path}: {loss}")

    def explain_none(self, paths: list[Path]) -> str:
        """Why there is no instance at all, in one line."""
        where = str(paths[0]) if len(paths) == 1 else f"{len(paths)} recordings"
        said = [f"{count} left out: {why}" for why, count in sorted(self.left_out.items())]
        if self.other_scenarios and sum(self.other_scenarios.values()) == self.recordings:
            names = ", ".join(sorted(name for name in self.other_scenarios if name)[:8])
            said.append(f"of the scenario {names}" if names else "not of a scenario run")
        if self.programs_unknown:
            said.append(f"{self.programs_unknown} processes without an image of theirs")
        said += self.notes
        return f"{where}: no whole instance of {self.selection}" + (f" ({'; '.join(said)})" if said else "")
