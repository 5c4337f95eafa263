"""Proofs with something changed in them: each is false, for of one failure only one proof is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.order.refutation import Branch, End, ForbiddenCame, OrderRefuted, Proof, RuleBreach, ScopeRefuted


def altered(proof: Proof) -> Iterator[tuple[str, Proof]]:
    """Every single change to a proof, each with what it is."""
    match proof:
        case ForbiddenCame(line=line, index=index):
            yield "line", ForbiddenCame(line + 1000, index)
            for other in (index - 1, index + 1):
                yield "event", ForbiddenCame(line, other)
            yield "kind", OrderRefuted((ScopeRefuted((), ()),))
        case RuleBreach(index=index, earlier=earlier, subject=subject):
            for other in (-1, index, index + 1, None if earlier is not None else 0):
                yield "earlier", replace(proof, earlier=other)
            if earlier is not None:
                yield "earlier", replace(proof, earlier=earlier - 1)
                yield "earlier", replace(proof, earlier=earlier + 1)
                yield "swapped", replace(proof, index=earlier, earlier=index)
            yield "event", replace(proof, index=index + 1000)
            yield "rule", replace(proof, rule="no_such_rule")
            yield "subject", replace(proof, subject=f"{subject}0")
        case OrderRefuted(scopes=scopes):
            for place, refuted in enumerate(scopes):
                rest = (*scopes[:place], *scopes[place + 1 :])
                yield "scope dropped", OrderRefuted(rest)
                yield "scope twice", OrderRefuted((*scopes, refuted))
                yield "scope", _with(scopes, place, replace(refuted, scope=(*refuted.scope, ("z", 1))))
                for what, branches in _branches(refuted.branches):
                    yield what, _with(scopes, place, replace(refuted, branches=branches))


def _with(scopes: Sequence[ScopeRefuted], place: int, refuted: ScopeRefuted) -> OrderRefuted:
    return OrderRefuted((*scopes[:place], refuted, *scopes[place + 1 :]))


def _branches(branches: tuple[Branch, ...]) -> Iterator[tuple[str, tuple[Branch, ...]]]:
    yield "branch more", (*branches, Branch(None, None, None, 0, (), End.WAITING, None))
    for place, branch in enumerate(branches):
        yield "branch dropped", (*branches[:place], *branches[place + 1 :])
        yield "branch twice", (*branches[: place + 1], *branches[place:])
        if place and branches[place - 1] != branch:
            yield (
                "branches swapped",
                (*branches[: place - 1], branch, branches[place - 1], *branches[place + 1 :]),
            )
        for what, other in _changed(branch):
            yield what, (*branches[:place], other, *branches[place + 1 :])


def _changed(branch: Branch) -> Iterator[tuple[str, Branch]]:
    yield "parent", replace(branch, parent=0 if branch.parent is None else branch.parent + 1)
    yield "opened", replace(branch, opened=0 if branch.opened is None else branch.opened - 1)
    yield "opened", replace(branch, opened=0 if branch.opened is None else branch.opened + 1)
    yield "line", replace(branch, line=7 if branch.line is None else branch.line + 1)
    yield "choice", replace(branch, choice=branch.choice + 1)
    yield "value", replace(branch, known=(*branch.known, ("z", 1)))
    for place, (name, value) in enumerate(branch.known):
        others = (*branch.known[:place], *branch.known[place + 1 :])
        yield "value", replace(branch, known=others)
        changed = value + 1 if isinstance(value, int) else 1
        yield (
            "value",
            replace(branch, known=(*branch.known[:place], (name, changed), *branch.known[place + 1 :])),
        )
    for end in End:
        if end is not branch.end:
            yield "end", replace(branch, end=end)
    for at in {None, 0, (branch.ended or 0) + 1, (branch.ended or 0) - 1} - {branch.ended}:
        yield "ended", replace(branch, ended=at)
