"""What a capture means: its order kept, or whose fault it is that not. The same for every door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from harness.bugcheckcodes import bugcheck_words
from harness.debuggers.base import Release
from harness.events import KINDS, Bugcheck, Event, RuleBroken, Stop, WitnessName
from harness.lines import Grammar
from harness.order import Check, CheckResult, Observation, check
from harness.order.notjudged import not_judged_lines
from harness.order.result import Failure
from harness.outcome import Outcome
from harness.printmasks import OPEN_HINT
from harness.scenario import Scenario
from harness.trace.loss import LossReport
from harness.verdict.agreement import agreement_notes
from harness.verdict.boots import BootEvents, over_boots
from harness.verdict.ending import Ending
from harness.verdict.survey import MAX_BOOTS, MAX_BROKEN_RULES, Survey
from harness.witness import Agreement

__all__ = ["NOT_RECORDED", "Verdict", "judge", "observed_words", "proves", "survey_notes"]

NOT_RECORDED: Final = "what was not recorded may hold it"
"""Of a promise for which a part of a trace was still waiting at its end."""
_SHOWN_WIDTH = 160
"""Characters of a line shown in a note."""
_IS_IT_LOADED = f"is it loaded? {OPEN_HINT}"
_WHAT_FORM = "is it loaded? where these are its lines: --lines F says their form, procnotify learn writes F"


@dataclass(frozen=True)
class Verdict:
    """An outcome and why; the findings are values, and only ``harness.report`` makes text of them."""

    outcome: Outcome
    reason: str = ""
    """In one line; empty when all held."""
    hint: str = ""
    """The way out, in one line; may be empty."""
    check: CheckResult | None = None
    """What the checker found; None where nothing was checked."""
    loss: LossReport = field(default_factory=LossReport)
    """What the driver's counters prove."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Events of each kind that occurred."""
    events: int = 0
    """Events of the trace, or of the part of it that was judged."""
    bugcheck: Bugcheck | None = None
    """The target's first bugcheck."""
    stops: int = 0
    """How often the target halted for an exception or another stop."""
    unhandled: Stop | None = None
    """The first exception that nothing in the target handled."""
    broken_rules: tuple[RuleBroken, ...] = ()
    """The standing rules that a driver broke, but for those that are switched off."""
    boots: int = 1
    """How many boots of the target the events are of; each was judged by itself."""
    partial: str = ""
    """Why only a part of what happened was judged; empty: all of it was."""
    notes: tuple[str, ...] = ()
    """What is to be told besides, a line each."""
    observed: str = ""
    """What there was of events, in words, where the scenario expects nothing (``observe: true``)."""
    held: int = 0
    """Promises that are proved."""
    not_judged: int = 0
    """Promises that could not be judged: neither the driver's lines nor the machine tell of them."""
    not_judged_lines: tuple[str, ...] = ()
    """Which ones, and why, a line for each reason."""
    witness: WitnessName = "print"
    """On whose events the order was checked."""
    agreement: Agreement | None = None
    """How far the driver's lines agree with what another witness saw; None: they were held against none."""

    @property
    def line(self) -> str:
        """The reason and the way out, in one line."""
        return f"{self.reason}; {self.hint}" if self.hint else self.reason


def judge(
    scenario: Scenario | None,
    events: Iterable[Event],
    bindings: Mapping[str, int],
    *,
    survey: Survey | None = None,
    observation: Observation | None = None,
    checking: Check | None = None,
    ending: Ending | None = None,
    release: Release | None = None,
    unfinished: str = "",
    partial: bool = False,
    grammar: Grammar | None = None,
    strict: bool = False,
    witness: WitnessName = "print",
    agreement: Agreement | None = None,
) -> Verdict:
    """Judge a capture. What nobody foresaw apart, nothing is raised: every outcome is in the verdict.

    The first that applies decides: a bugcheck (4); an exception that nothing handled or another fault of the
    driver that ended the capture (1); the rig's failure, a target not proved to run (3); a standing rule that
    is broken (1); lines that are missing or came twice, a driver that was not heard (3); a line that does not
    agree with its call (1); the checker's findings (1), lines that the driver did not count (1), what the
    checker could not judge (3); that there was nothing to be judged (5).

    :param scenario: None: the capture alone is judged, not an order.
    :param events: in capture order. Iterated several times, and never held: memory does not grow with them.
    :param bindings: what the steps bound.
    :param survey: of these events, where somebody has made it already.
    :param observation: what the whole recording carries, of which these events may be a part; None: they are
        all of it.
    :param checking: has been fed these events, with this scenario and these bindings; None: it is done here.
    :param ending: what ended the capture early.
    :param release: how the target was left; None where no target was.
    :param unfinished: why the end of the capture is not known; empty: it is.
    :param partial: judge what there is of a capture that ended early or whose end is not known.
    :param grammar: by which the driver's lines were read, where no survey knows it; None: the built-in one.
    :param strict: promises that could not be judged, for the driver's lines or the machine do not tell of
        them, are an error (3).
    :param witness: who saw the events, all of them.
    :param agreement: of the whole recording's witnesses, see
        :func:`harness.verdict.agreement.hold_witnesses`.
    """
    if survey is None:
        survey = Survey(grammar)
        survey.feed(events)
    if observation is None and scenario is not None:
        observation = Observation.over(scenario, events, witness=witness, printed=survey.grammar.kinds)
    judged = _Judge(scenario, events, bindings, survey, observation, checking, witness, agreement)
    return judged.verdict(ending, release, unfinished, partial, strict)


class _Judge:
    """One judgement, from the facts that outweigh everything down to the order."""

    def __init__(
        self,
        scenario: Scenario | None,
        events: Iterable[Event],
        bindings: Mapping[str, int],
        survey: Survey,
        observation: Observation | None,
        checking: Check | None,
        witness: WitnessName,
        agreement: Agreement | None,
    ) -> None:
        self._scenario = scenario
        self._events = events
        self._bindings = bindings
        self._survey = survey
        self._observation = observation
        self._checking = checking
        self._off = scenario.lifecycle_off if scenario is not None else frozenset()
        rules_off = scenario.rules_off if scenario is not None else frozenset()
        broken_rules = [broken for broken in survey.broken_rules if broken.rule not in rules_off]
        self._found = Verdict(
            Outcome.PASSED,
            loss=survey.loss,
            counts=survey.counts,
            events=survey.events,
            bugcheck=survey.bugcheck,
            stops=survey.stops,
            unhandled=survey.unhandled,
            broken_rules=tuple(broken_rules[:MAX_BROKEN_RULES]),
            boots=len([boot for boot in survey.boots if boot.events]) or 1,
            notes=(*agreement_notes(agreement), *survey_notes(survey)),
            witness=witness,
            observed=observed_words(survey.counts) if scenario is not None and scenario.observe else "",
            agreement=agreement,
        )

    def verdict(
        self,
        ending: Ending | None,
        release: Release | None,
        unfinished: str,
        partial: bool,
        strict: bool,
    ) -> Verdict:
        decided = self._of_target(ending)
        if decided is not None:
            return decided
        if ending is not None and not partial:
            return self._is(ending.outcome, ending.reason, ending.hint)
        if release is not None and not release.running and not release.crashed:
            return self._is(Outcome.RIG, str(release), release.way_out)
        if unfinished and not partial:
            return self._is(Outcome.RIG, unfinished, "judge what there is of it with --partial")
        if ending is not None or unfinished:
            self._found = replace(self._found, partial=unfinished or (ending.reason if ending else ""))
        return self._of_rules(self._of_lines() or self._of_order(strict=strict))

    def _of_rules(self, found: Verdict) -> Verdict:
        """A standing rule is broken whatever came of the lines, which may be in a form that nobody reads."""
        if not found.broken_rules or found.outcome is Outcome.BROKEN:
            return found
        first, *others = found.broken_rules
        more = f" (and {len(others)} more)" if others else ""
        return replace(found, outcome=Outcome.BROKEN, reason=f"{first.rule}: {first.message}{more}", hint="")

    def _is(self, outcome: Outcome, reason: str, hint: str = "") -> Verdict:
        return replace(self._found, outcome=outcome, reason=reason, hint=hint)

    def _of_target(self, ending: Ending | None) -> Verdict | None:
        """What the target did, whatever its lines say."""
        crash, stop = self._survey.bugcheck, self._survey.unhandled
        if crash is not None:
            # A broken rule says better where it was.
            offset = None if self._found.broken_rules else crash.offset
            words = bugcheck_words(crash.code, crash.parameters, crash.module, offset)
            return self._is(Outcome.BUGCHECK, f"the target bugchecked: {words}")
        if ending is not None and ending.outcome in (Outcome.BUGCHECK, Outcome.BROKEN):
            return self._is(ending.outcome, ending.reason, ending.hint)
        if stop is not None:
            what = f"exception 0x{stop.code:08x} at 0x{stop.address:016x}"
            where = f" in {stop.module}" if stop.module else ""
            return self._is(
                Outcome.BROKEN, f"nothing in the target handled {what}{where} (event {stop.index})"
            )
        return None

    def _of_lines(self) -> Verdict | None:
        """Whether the lines can be judged at all: none missing, none twice, the driver heard."""
        loss = self._found.loss
        if "no_lost_lines" not in self._off and not loss.complete:
            return self._is(Outcome.RIG, str(loss), "nothing is judged when lines are missing")
        if "no_lost_lines" not in self._off and loss.unproved:
            hint = "what lies on one side of it can be judged as a part: --from, --to"
            return self._is(Outcome.RIG, loss.unproved[0], hint)
        if "seq_unique" not in self._off:
            if loss.went_back:
                hint = "a VM that is put back to a snapshot does this; record it anew"
                return self._is(Outcome.RIG, loss.went_back[0], hint)
            if loss.repeated:
                lines = "1 line" if loss.repeated == 1 else f"{loss.repeated} lines"
                return self._is(
                    Outcome.RIG,
                    f"{lines} of the driver arrived twice, byte for byte",
                    "the transport did that, not the driver",
                )
        return None if self._scenario is None else self._of_silence()

    def _of_silence(self) -> Verdict | None:
        """Nothing heard is no promise broken."""
        survey = self._survey
        assert self._scenario is not None
        if survey.callbacks or survey.answered or self._scenario.observe:
            return None
        if self._found.witness == "monitor":
            what = "no event of a process, a thread or an image is in the recording"
            return self._is(Outcome.RIG, what, "record with these events shown")
        if self._found.witness != "print":
            what = f"the {self._found.witness} saw no callback of the driver called"
            return self._is(Outcome.RIG, what, "does the driver register one? its lines: --witness print")
        if not survey.driver_lines:
            what = "no line of the driver arrived"
            shown = survey.unfit_lines or survey.other_lines
            if shown:
                total = survey.counts.get("print", 0)
                what += f"; {total} other line{'s' * (total > 1)} came that fit{'s' * (total == 1)} no form"
            return self._is(Outcome.RIG, what, _WHAT_FORM if shown else _IS_IT_LOADED)
        if not survey.markers:
            what = "the driver is loaded, but it reported no callback, and nobody did anything that would"
            return self._is(Outcome.RIG, what, "record while processes come and go")
        return None

    def _of_order(self, *, strict: bool) -> Verdict:
        found = self._check()
        self._found = replace(self._found, check=found)
        if found is not None and self._scenario is not None:
            lines = not_judged_lines(found.unobserved, self._scenario.path.name)
            self._found = replace(
                self._found, held=found.held, not_judged=found.not_judged, not_judged_lines=lines
            )
        agreement = self._found.agreement
        if agreement is not None:
            lines = (*self._found.not_judged_lines, *agreement.not_judged)
            self._found = replace(self._found, not_judged_lines=lines)
            if agreement.findings:
                return self._is(Outcome.BROKEN, str(agreement.findings[0]))
        failures = () if found is None else found.failures
        certain = [failure for failure in failures if proves(failure, partial=bool(self._found.partial))]
        if certain:
            return self._is(Outcome.BROKEN, certain[0].reason)
        uncounted = self._found.loss.uncounted
        if uncounted and "totals_count_every_line" not in self._off:
            return self._is(Outcome.BROKEN, f"totals_count_every_line: {uncounted[0]}")
        if failures:
            return self._is(Outcome.RIG, f"not judged: {failures[0].reason}", NOT_RECORDED)
        if found is None:
            return self._found
        if found.unjudged:
            return self._is(Outcome.RIG, found.reason, found.unjudged[0].hint)
        if strict and found.unobserved:
            return self._is(Outcome.RIG, self._not_judged(), "without --strict that is no error")
        if found.skipped:
            return self._is(Outcome.SKIPPED, self._not_judged())
        return self._found

    def _not_judged(self) -> str:
        """The first reason for which something could not be judged, and how many more there are."""
        first, *others = self._found.not_judged_lines
        return f"{first} (and for {len(others)} more reason{'s' * (len(others) > 1)})" if others else first

    def _check(self) -> CheckResult | None:
        """What the checker found; each boot is checked by itself."""
        if self._scenario is None:
            return None
        boots = self._survey.boots
        if len(boots) == 1:
            if self._checking is not None:
                return self._checking.result(self._events)
            return check(self._scenario, self._events, self._bindings, self._observation)
        more = len(boots) > MAX_BOOTS
        # What is forbidden in every boot may come in one in which the driver was not heard.
        results = [
            (
                f"boot {number} of {MAX_BOOTS if more else len(boots)}{' and more' * more}",
                check(self._scenario, BootEvents(self._events, boot), self._bindings, self._observation),
            )
            for number, boot in enumerate(boots[:MAX_BOOTS], 1)
            if boot.events
        ]
        return over_boots(self._scenario, results, more=more)


def proves(failure: Failure, *, partial: bool) -> bool:
    """Whether the promise is broken: a part of a trace cannot prove that something never came.

    :param partial: only a part of what happened is in the trace.
    """
    return not (partial and failure.waited)


def survey_notes(survey: Survey) -> Iterator[str]:
    """What is to be told of a recording besides its verdict, a line each."""
    if survey.unfit:
        lines = "1 line" if survey.unfit == 1 else f"{survey.unfit} lines"
        yield f"{lines} of the driver fit no form:"
    shown = survey.unfit_lines
    if not survey.callbacks and not survey.driver_lines:
        shown = shown or survey.other_lines
    for unfit in shown:
        yield f"  event {unfit.index} {unfit.misfit}: {unfit.line[:_SHOWN_WIDTH]}"
    closed = survey.counts.get("disconnect", 0)
    if closed:
        times = "once" if closed == 1 else f"{closed} times"
        yield f"the connection was closed {times}: what has no number may be missing there"
    before = survey.loss.before
    if before:
        yield f"{before} line{'s' * (before > 1)} of the driver came before the capture began"


def observed_words(counts: Mapping[str, int]) -> str:
    """How many events of each kind there were: ``21 events: 3 process_create, 18 print``."""
    total = sum(counts.values())
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts.get(kind))
    return f"{total} event{'s' * (total != 1)}{': ' * bool(kinds)}{kinds}"
