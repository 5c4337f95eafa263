"""A scenario's promises, held to a trace: one pass, a witness or an explanation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from harness.errors import SearchBudgetError
from harness.events import Event
from harness.order.block import MAX_SCOPES, Block, compile_block, scope_values, scope_variables, scoped_block
from harness.order.brokenrules import explain_violations
from harness.order.explain import KnownBesides, explain_order
from harness.order.irrelevant import MAX_EVENTS, irrelevant_to
from harness.order.judgeable import judgeable
from harness.order.lifecycle import Lifecycle, Violation
from harness.order.observation import Observation
from harness.order.observedrules import UnobservedRules
from harness.order.patterns import (
    Bindings,
    compile_pattern,
    describe,
    kinds_of,
)
from harness.order.promises import count_promises
from harness.order.refutation import ForbiddenCame
from harness.order.refuting import refute
from harness.order.result import CheckResult, Match, Place, Unjudged, Unobserved, Witness
from harness.order.search import Search
from harness.order.ways import Standing
from harness.scenario.model import Expectation, Pattern, Scenario
from harness.scenario.rules import RULES

__all__ = ["Check", "check"]

_CHUNK = 4096


class Check:
    """Feed it the events of a trace, then ask for the :meth:`result`.

    :param bindings: what the steps bound.
    :param observation: what the whole recording carries. It must have been fed each event before this is;
        what comes later may still change it, up to :meth:`result`.
    """

    def __init__(self, scenario: Scenario, bindings: Mapping[str, int], observation: Observation) -> None:
        self._scenario = scenario
        self._bindings: Bindings = dict(bindings)
        self._observation = observation
        self._rules = UnobservedRules(observation, scenario.lifecycle_off, loads_again=scenario.loads_again)
        self._lifecycle = Lifecycle(scenario.lifecycle_off | self._rules.unfounded)
        self._judged: list[_Judged] = []
        self._count = 0

    def feed(self, events: Iterable[Event]) -> None:
        """Take the next events of the trace, in capture order."""
        for chunk in _chunks(events):
            if not self._count:
                # What the first events do not carry the later ones hardly will; the result looks again.
                self._judged = self._judge()
            self._count += len(chunk)
            self._lifecycle.feed(chunk)
            for judged in self._judged:
                if judged.search is not None:
                    judged.search.feed(chunk)

    def _judge(self) -> list[_Judged]:
        return [
            _Judged(self._scenario, expectation, self._observation, self._bindings)
            for expectation in self._scenario.expect
        ]

    def _searched(self, events: Iterable[Event]) -> Iterator[_Judged]:
        """Every expectation, as far as it can be judged now that all is known, with its search."""
        known = self._judged or self._judge()
        for judged, then in zip(self._judge(), known, strict=True):
            if judged.part == then.part:
                yield then
                continue
            if judged.search is not None:
                judged.search.feed(events)
            yield judged

    def result(self, events: Iterable[Event]) -> CheckResult:
        """What is proved. An expectation for which the trace is too ambiguous is not judged; what the trace
        breaks besides stays broken.

        :param events: those that were fed; gone over again where a failure has to be explained, or where an
            expectation can be judged otherwise than the beginning of the trace let expect.
        """
        scenario = self._scenario
        violations = self._violations(events)
        failures = explain_violations(violations, events)
        witnesses = []
        unjudged = []
        if not self._count:
            place = Place(scenario.path, 1)
            unjudged.append(Unjudged(f"{place}: the trace holds no events", place))
        unobserved: list[Unobserved] = []
        whole = self._observation.unmet_of(scenario.requires)
        for expectation, judged in zip(scenario.expect, self._searched(events), strict=True):
            unmet = whole or self._observation.unmet_of(expectation.requires)
            if unmet is not None:
                unobserved.append(_requirement(expectation, unmet))
                continue
            unobserved += judged.part.unobserved
            block = judged.block
            if block is None:
                continue
            scope: Bindings = {}
            if judged.search is not None:
                search = judged.search
            else:
                search, scope = _search_scopes(block, events, self._bindings)
            standing = search.witness()
            if standing is not None and search.nothing_in_scope:
                unjudged.append(_nothing_in_scope(scenario, expectation))
            elif standing is not None:
                witnesses.append(_witness(expectation, standing, judged.promises))
            elif search.exhausted is not None and search.forbidden is None:
                unjudged.append(_too_ambiguous(scenario, expectation, search.exhausted))
            else:
                known = self._known_besides(judged, block, search, scope, events)
                failures.append(
                    explain_order(scenario, expectation, block, search, events, self._bindings, known)
                )
        rules = self._rules.unobserved()
        broken = {violation.rule for violation in violations}
        return CheckResult(
            witnesses=tuple(witnesses),
            failures=tuple(failures),
            unjudged=tuple(unjudged),
            violations=tuple(violations),
            events=self._count,
            unobserved=(*unobserved, *rules),
            rules=len(RULES) - len(scenario.lifecycle_off) - len(rules) - len(broken),
            skipped=bool(self._count) and not scenario.observe and not (witnesses or failures or unjudged),
        )

    def _violations(self, events: Iterable[Event]) -> list[Violation]:
        """Those of the rules that are judged, now that all is known."""
        found = self._lifecycle.violations
        unfounded = self._rules.over_loads
        if unfounded.isdisjoint(violation.rule for violation in found):
            return found
        again = Lifecycle(self._scenario.lifecycle_off | self._rules.unfounded | unfounded)
        again.feed(events)
        return again.violations

    def _known_besides(
        self, judged: _Judged, block: Block, search: Search, scope: Bindings, events: Iterable[Event]
    ) -> KnownBesides:
        """What there is to tell of a broken block: its proof, and what does not matter."""
        part = judged.part
        scopes: Sequence[Bindings] = [scope]
        if scope_variables(block):
            if search.finished is None:
                scopes = scope_values(block, events)
        elif search.forbidden is not None:
            came = ForbiddenCame(search.forbidden.pattern.source.line, search.forbidden.index)
            return KnownBesides(part.unobserved, came)
        proof, unproved = refute(block, self._bindings, events, scopes)

        def irrelevant(pattern: Pattern) -> tuple[str, ...]:
            left = part.expectation
            if left is None or self._count > MAX_EVENTS or scope_variables(block):
                return ()
            return irrelevant_to(pattern, left, judged.compiled, events, self._bindings)

        return KnownBesides(part.unobserved, proof, unproved, irrelevant)


def check(
    scenario: Scenario,
    events: Iterable[Event],
    bindings: Mapping[str, int],
    observation: Observation | None = None,
) -> CheckResult:
    """Hold ``events`` to the lifecycle rules and to every expectation of ``scenario``.

    :param events: in capture order; iterated several times.
    :param bindings: what the steps bound.
    :param observation: of the whole recording that they are a part of; None: they are all of it.
    """
    known = observation or Observation(scenario)
    checking = Check(scenario, bindings, known)
    for chunk in _chunks(events):
        if observation is None:
            known.feed(chunk)
        checking.feed(chunk)
    return checking.result(events)


class _Judged:
    """What of an expectation can be judged, and the search for it."""

    def __init__(
        self, scenario: Scenario, expectation: Expectation, observation: Observation, constants: Bindings
    ) -> None:
        self.part = judgeable(expectation, observation, {name.partition("[")[0] for name in constants})
        self.compiled = partial(compile_block, scenario, expectation, constants=constants)
        """Readies what can be judged, or an order that asks for less."""
        left = self.part.expectation
        self.block = None if left is None else self.compiled(left)
        self.promises = 0 if left is None else count_promises(left)
        scoped = self.block is None or bool(scope_variables(self.block))
        self.search = None if self.block is None or scoped else Search(self.block, constants)
        """None where the scope has to be found first, or there is nothing to search."""


def _requirement(expectation: Expectation, unmet: Pattern) -> Unobserved:
    needed = describe(compile_pattern(unmet, kinds_of(unmet, frozenset()), {}))
    why = f"nothing that came is what it requires: {needed}"
    return Unobserved("expect", why, expectation.line, count_promises(expectation), expectation)


def _nothing_in_scope(scenario: Scenario, expectation: Expectation) -> Unjudged:
    """What forbids events proves nothing where there was none to look at."""
    place = Place(scenario.path, expectation.line)
    what = "no event fits the scope" if expectation.scope else "no event is in scope"
    return Unjudged(
        f"{place}: {what}, so nothing was proved",
        place,
        hint="correct the scope, or expect an event in it with `order`",
        expectation=expectation,
    )


def _too_ambiguous(scenario: Scenario, expectation: Expectation, error: SearchBudgetError) -> Unjudged:
    place = Place(scenario.path, expectation.line)
    reason = f"{place}: {error.message}"
    return Unjudged(reason, place, hint=error.hint, expectation=expectation, ambiguous=True)


def _witness(expectation: Expectation, standing: Standing, promises: int) -> Witness:
    matches = tuple(Match(match.pattern.source, match.index) for match in standing.matches)
    return Witness(expectation, dict(standing.bindings), matches, promises)


def _chunks(events: Iterable[Event]) -> Iterator[list[Event]]:
    iterator = iter(events)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _search_scopes(block: Block, events: Iterable[Event], constants: Bindings) -> tuple[Search, Bindings]:
    """A scope that names what only the trace can tell is tried with every value the trace offers.

    The order must be found in one of them. What is forbidden beside it must come in none in which the order
    is found: that another one keeps it is no excuse. Returned with the values of the scope that tells most.
    """
    values = scope_values(block, events)
    if len(values) > MAX_SCOPES:
        beyond = Search(block, constants)
        beyond.exhausted = SearchBudgetError(
            f"the scope fits more than {MAX_SCOPES} ways", hint="bind its variable in a step"
        )
        return beyond, {}
    tried: list[tuple[Search, Bindings]] = []
    for bound in values:
        given = {**constants, **bound}
        search = Search(scoped_block(block, given), given)
        search.feed(events)
        if search.finished is None:
            search.forbidden = None  # forbidden where the order is, and it is not here
        elif search.witness() is None or not block.never:
            return search, bound
        tried.append((search, bound))
    return max(tried, key=_tells_most, default=(Search(block, constants), {}))


def _tells_most(tried: tuple[Search, Bindings]) -> tuple[bool, bool, int]:
    """Of the scopes in which nothing forbidden is proved: one that is not judged, else one in which the order
    was found, else the one in which it came furthest."""
    search, _ = tried
    return search.exhausted is not None, search.witness() is not None, search.furthest.claimed
