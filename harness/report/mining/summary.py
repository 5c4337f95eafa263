"""What was mined, as text to read."""

from __future__ import annotations

from collections.abc import Iterator

from harness.mining.partialorder import Chain, Events, PartialOrder, Together
from harness.mining.relations import ENOUGH, Relations
from harness.mining.roles import EventName
from harness.mining.statistics import at_most
from harness.report.mining.words import count_of, left_out_lines, percent
from harness.verdict.instances import Instances

__all__ = ["SHOWN", "summary_lines"]

SHOWN = 40
"""Pairs of one kind that the summary shows; the JSON document has all."""


def summary_lines(relations: Relations, found: Instances) -> Iterator[str]:
    """The order, what is mixed in it, what only some instances hold, and whether enough was seen.

    Names of images are a target's text: hand each line to :func:`harness.report.text.one_line`.
    """
    order = PartialOrder(relations)
    pairs = list(relations.pairs())
    shared = set(relations.shared)
    inner = [pair for pair in pairs if pair.a in shared and pair.b in shared]
    always = sum(pair.relation == "always" for pair in inner)
    recordings = count_of(found.recordings, "recording")
    yield f"{count_of(relations.instances, 'instance')} of {found.selection} in {recordings}"
    yield from left_out_lines(found)
    yield ""
    bound = percent(at_most(0, relations.instances))
    ordered = f"{always:,} of {count_of(len(inner), 'pair')} always in one order"
    yield f"{count_of(len(shared), 'event')} in all of them; {ordered}"
    yield f"what all of them share fails in at most {bound} of all others (95 % confidence)"
    yield ""
    yield from _events(order.as_lists, relations, "  ")
    for chain in order.beside:
        yield "  always: " + ", then ".join(map(str, chain))
    yield from _mixed(relations, shared)
    yield from _occasional(relations)
    yield ""
    yield from _enough(relations)


def _events(item: Events, relations: Relations, indent: str) -> Iterator[str]:
    match item:
        case EventName():
            yield f"{indent}{item}{_by(item, relations)}"
        case Chain(parts):
            for part in parts:
                yield from _events(part, relations, indent)
        case Together(parts):
            yield f"{indent}in any order:"
            for part in parts:
                first, *others = _events(part, relations, "")
                yield f"{indent}  - {first}"
                yield from (f"{indent}    {line}" for line in others)


def _by(name: EventName, relations: Relations) -> str:
    actors = relations.actors.get(name)
    if name.kind == "thread_exit" or not actors:
        return ""
    if len(actors) == 1:
        return f"  by {next(iter(actors))}"
    return "  by " + ", ".join(f"{actor} {count}" for actor, count in actors.most_common(4))


def _mixed(relations: Relations, shared: set[EventName]) -> Iterator[str]:
    mixed = [pair for pair in relations.pairs() if pair.relation == "mixed" and {pair.a, pair.b} <= shared]
    if mixed:
        yield ""
        yield "mixed:"
        mixed.sort(key=lambda pair: -pair.after)
        for pair in mixed[:SHOWN]:
            yield f"  {pair.a} before {pair.b} in {pair.before:,}, after it in {pair.after:,}"
        if len(mixed) > SHOWN:
            yield f"  and {count_of(len(mixed) - SHOWN, 'pair')} more (--json has all)"


def _occasional(relations: Relations) -> Iterator[str]:
    names = relations.occasional
    if not names:
        return
    yield ""
    yield "in some:"
    for name in names[:SHOWN]:
        yield f"  {name} in {relations.counts[name]:,} of {relations.instances:,}"
    if len(names) > SHOWN:
        yield f"  and {count_of(len(names) - SHOWN, 'event')} more (--json has all)"
    apart = [pair for pair in relations.pairs() if pair.relation == "never_together"]
    for pair in apart[:SHOWN]:
        yield f"  never together: {pair.a} and {pair.b}"
    if len(apart) > SHOWN:
        yield f"  and {count_of(len(apart) - SHOWN, 'pair')} more never together (--json has all)"


def _enough(relations: Relations) -> Iterator[str]:
    alone, all_ = relations.alone, relations.instances
    yield (
        f"seen enough: {'yes' if relations.enough else 'no'}; {alone:,} of {count_of(all_, 'instance')} alone"
        f" showed an event or an order, so one more shows something new with a chance of at most"
        f" {percent(relations.news_at_most)} (95 % confidence)"
    )
    if not relations.enough:
        needed = count_of(relations.instances_for_enough, "instance")
        yield f"for at most {percent(ENOUGH)} it takes {needed}, if those to come show nothing new"
