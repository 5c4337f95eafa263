"""What a recording says of itself that bounds what its events can prove."""

from __future__ import annotations

from collections.abc import Mapping

from harness.events import WitnessName
from harness.lines import Grammar
from harness.order import Observation
from harness.scenario import Scenario
from harness.scenario.unreported import FACT, unreported_of
from harness.trace.sources import TraceSource

__all__ = ["observation_of"]


def observation_of(
    source: TraceSource,
    scenario: Scenario,
    witness: WitnessName,
    bindings: Mapping[str, int],
    grammar: Grammar,
) -> Observation:
    """The observation of a recording, which has been fed none of its events yet.

    :param witness: on whose events the order is checked.
    :param bindings: what names of the scenario stand for, as far as it is the same in all of the recording.
    :param grammar: by which its lines were read.
    :raises TraceError: what the header says is not reported cannot be read.
    """
    header = source.header
    told = header.machine.get(FACT)
    return Observation(
        scenario,
        () if told is None else unreported_of(source.path, told),
        witness,
        printed=grammar.kinds,
        unordered=header.unordered,
        foreign_threads=header.foreign_threads,
        bindings=bindings,
    )
