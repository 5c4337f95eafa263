"""The scenario file that says what was mined: what always held, and nothing that did not."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

from harness.errors import UsageError
from harness.mining.partialorder import Chain, Events, PartialOrder, Together
from harness.mining.relations import Pair, Relations
from harness.mining.roles import MAX_AGAIN, MAX_NAME, UNKNOWN, EventName, image_named
from harness.mining.selection import Selection
from harness.mining.statistics import at_most

__all__ = ["LAUNCHER", "PROCESS", "literal_text", "quoted_text", "scenario_text"]

PROCESS: Final = "process"
"""The name that the steps bind to the process of an instance."""
LAUNCHER: Final = "launcher"
"""The name for the process that created it."""
_MAX_BRANCHES: Final = 64
"""Items of one ``any_order``, see docs/scenarios.md."""
_SECOND: Final = 10_000_000
_DAY: Final = 86_400
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAFE = re.compile(r"[a-z0-9_][a-z0-9_.+-]*")


def scenario_text(relations: Relations, selection: Selection, *, longest: int | None) -> str:
    """The text of the file.

    An instance that is a process is launched by its steps, lives as long as the longest that was seen, and is
    terminated. Other instances have no steps, so the file holds for recordings alone.

    :param longest: target time of the longest instance, in 100 ns units; None: not told.
    :raises UsageError: the instances share no event.
    """
    if not relations.shared:
        raise UsageError(f"the instances of {selection} share no event", hint="a scenario has to promise one")
    return "".join(line + "\n" for line in _Writer(relations, selection).lines(longest))


class _Writer:
    def __init__(self, relations: Relations, selection: Selection) -> None:
        self._relations = relations
        self._order = PartialOrder(relations)
        self._selection = selection
        self._of_process = selection.cut in ("image", "tree")
        self._shared = set(relations.shared)
        self._uses: Counter[str] = Counter()

    def lines(self, longest: int | None) -> Iterator[str]:
        relations = self._relations
        subject = self._selection.image if self._of_process else self._selection.scenario or "window"
        name = re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:60] or "window"
        count = f"{relations.instances} instance{'s' * (relations.instances != 1)}"
        bound = f"{100 * at_most(0, relations.instances):.2g} %"
        yield f"# Mined from {count} of {_comment(str(self._selection))}."
        yield f"# What all of them share fails, with 95 % confidence, in at most {bound} of all others;"
        yield "# what holds for some of them says so itself."
        yield f"scenario: mined-{name}"
        yield f"summary: {quoted_text(f'What {count} of {_comment(str(self._selection))} have in common.')}"
        if self._of_process:
            yield from self._steps(longest)
        yield "expect:"
        yield from self._block(self._order.as_lists.parts, "the order that all share")
        for chain in self._order.beside:
            yield from self._block(chain, "and this")
        if self._of_process:
            yield from self._times()
            yield from self._some()

    def _steps(self, longest: int | None) -> Iterator[str]:
        yield "steps:"
        image = self._selection.image
        yield f"  - launch: {{image: {quoted_text(image)}, as: {PROCESS}, by: {LAUNCHER}}}"
        if longest:
            yield f"  - sleep: {min(-(-longest // _SECOND), _DAY)}s  # as long as the longest of them lived"
        yield "  - settle: {quiet: 300ms, max: 10s}"
        yield f"  - terminate: ${PROCESS}"

    def _block(self, parts: Sequence[Events], why: str) -> Iterator[str]:
        names = list(_names(parts))
        self._uses = Counter(variable for name in names for _, variable in self._free(name))
        yield f"  # {why}"
        yield from self._scope(sorted(variable for variable, uses in self._uses.items() if uses > 1))
        for part in parts:
            yield from self._item(part, "      ")

    def _scope(self, free: Sequence[str] = ()) -> Iterator[str]:
        keys = [f"scope: {{pid: ${PROCESS}}}"] if self._selection.cut == "image" else []
        keys += [f"free: [{', '.join(free)}]"] if free else []
        for number, key in enumerate((*keys, "order:")):
            yield f"    {key}" if number else f"  - {key}"

    def _free(self, name: EventName) -> Iterator[tuple[str, str]]:
        """The fields of its pattern that hold a variable which no step binds."""
        own = self._of_process and not name.process
        if name.process:
            yield "pid", _variable(name.process)
        if name.kind.startswith("thread_") and name.what != "other" and not (own and name.what == "thread1"):
            yield "tid", _variable(name.process, name.what)

    def _item(self, item: Events, indent: str) -> Iterator[str]:
        match item:
            case EventName():
                yield f"{indent}- {self._pattern(item)}"
            case Chain(parts):
                for part in parts:
                    yield from self._item(part, indent)
            case Together(parts):
                yield from self._any_order(parts, indent)

    def _any_order(self, parts: Sequence[Events], indent: str) -> Iterator[str]:
        yield f"{indent}- any_order:"
        inner = f"{indent}    "
        if len(parts) > _MAX_BRANCHES:
            size = -(-len(parts) // _MAX_BRANCHES)
            for start in range(0, len(parts), size):
                some = parts[start : start + size]
                yield from self._any_order(some, inner) if len(some) > 1 else self._item(some[0], inner)
            return
        for part in parts:
            if isinstance(part, Chain):
                lines = [line for each in part.parts for line in self._item(each, f"{inner}  ")]
                yield f"{inner}- {lines[0].lstrip()}"
                yield from lines[1:]
            else:
                yield from self._item(part, inner)

    # --- one event ---

    def _pattern(self, name: EventName) -> str:
        """One event of that name. A process or thread that the block names once is any."""
        own = self._of_process and not name.process
        if name.kind == "marker":
            action, _, phase = name.what.partition("/")
            return f"marker: {{action: {literal_text(action)}, phase: {phase}}}"
        fields = [f"pid: ${PROCESS}"] if own else []
        if name.kind.startswith("thread_") and own and name.what == "thread1":
            fields.append(f"tid: ${PROCESS}.tid")
        for field, variable in self._free(name):
            if self._uses[variable] > 1:
                fields.append(f"{field}: ${variable}")
        if name.kind == "image_load":
            fields += _image_field(name)
        if own and name in self._shared:
            fields += self._context(name)
        return f"{name.kind}: {{{', '.join(fields)}}}" if fields else f"{name.kind}: any"

    def _context(self, name: EventName) -> Iterator[str]:
        """Who did it, where it was the same in all instances."""
        actors = self._relations.actors.get(name)
        if actors is None or sum(actors.values()) != self._relations.instances or len(actors) != 1:
            return
        (actor,) = actors
        if actor == "parent" and name.kind == "process_create":
            yield f"creating_pid: ${LAUNCHER}"
        elif actor == "thread1" and name.kind == "image_load":
            yield f"context_tid: ${PROCESS}.tid"

    def _any_such(self, name: EventName) -> str:
        """Any event that goes by the name, however often it came before."""
        own = self._of_process and not name.process
        pid = f"${PROCESS}" if own else "any"
        return f"image_load: {{{', '.join([f'pid: {pid}', *_image_field(name)])}}}"

    # --- how often, and what only some instances hold ---

    def _times(self) -> Iterator[str]:
        """For each shared image how often it comes, and which of the others it comes before or after."""
        relations = self._relations
        own = filter(_own_image, self._order.events)
        some = [name for name in relations.occasional if _plain_image(name)]
        once = [name for name in some if relations.multiplicity(name)[1] == 1]
        yield "  # how often these come, and on which side of them what only some instances hold"
        for name in own:
            least, most = relations.multiplicity(name.first)
            if name.nth != least:
                continue
            ahead = [other for other in some if self._always(name, other) and other.first != name.first]
            behind = [other for other in once if self._always(other, name) and other.first != name.first]
            not_before = [name, *self._nearest(ahead, name, later=True)]
            not_after = [
                *self._nearest(behind, name, later=False),
                *([name] if least == most < MAX_AGAIN else []),
            ]
            before = f"{{never: [{', '.join(f'{{{self._any_such(each)}}}' for each in not_before)}]}}"
            after = f", {{never: [{', '.join(f'{{{self._any_such(each)}}}' for each in not_after)}]}}"
            each_time = f"{before}, {{{self._any_such(name)}}}"
            order = ", ".join([each_time] * least) + (after if not_after else "")
            scope = f"scope: {{pid: ${PROCESS}}}, " if self._selection.cut == "image" else ""
            yield f"  - {{{scope}order: [{order}]}}"

    def _nearest(self, others: Iterable[EventName], name: EventName, *, later: bool) -> list[EventName]:
        """Those of which nothing nearer to them says the same."""
        found = []
        for other in others:
            if later:  # name always before other: a later shared event that is before it, too, says more
                between = (each for each in self._shared if self._always(name, each))
                implied = any(self._always(each, other) and _plain_image(each) for each in between)
            else:
                between = (each for each in self._shared if self._always(each, name))
                implied = any(self._always(other, each) and _plain_image(each) for each in between)
            if not implied:
                found.append(other)
        return found

    def _some(self) -> Iterator[str]:
        """What always holds between two images of only some instances, and which never come together."""
        relations = self._relations
        some = [name for name in relations.occasional if _plain_image(name)]
        again = [name for name in some if relations.multiplicity(name)[1] > 1]
        shared = [name for name in self._order.events if _plain_image(name)]
        begin, end = EventName("process_create"), EventName("process_exit")
        if not {begin, end} <= self._shared:
            return
        first_before = ((one, other) for one in again for other in shared if self._always(one, other))
        for one, other in (*combinations(some, 2), *first_before):
            pair = relations.pair(one, other)
            if pair.relation == "mixed" or (pair.together and self._implied(pair)):
                continue
            held = pair.together or relations.instances
            seen = f"in {pair.together}" if pair.together else f"never together in {held}"
            yield f"  # {seen}; fails in at most {100 * at_most(0, held):.2g} %"
            a, b = self._any_such(pair.a), self._any_such(pair.b)
            first, last = self._pattern(begin), self._pattern(end)
            yield from self._scope()
            yield "      - one_of:"
            for absent in (a, b) if pair.b not in self._shared else (a,):
                yield f"          - [{{{first}}}, {{never: {{{absent}}}}}, {{{last}}}]"
            if pair.together:
                yield f"          - [{{{first}}}, {{never: {{{b}}}}}, {{{a}}}, {{{b}}}, {{{last}}}]"

    def _implied(self, pair: Pair) -> bool:
        """Two other blocks say it already: of ``a`` that it comes before a shared event, of that that ``b``
        comes after it."""
        between = (each for each in self._shared if self._always(pair.a, each) and self._always(each, pair.b))
        return any(_plain_image(each) for each in between)

    def _always(self, a: EventName, b: EventName) -> bool:
        if a == b:
            return False
        pair = self._relations.pair(a, b)
        return pair.relation == "always" and pair.a == a


def _plain_image(name: EventName) -> bool:
    """An image of the process itself, the first time."""
    return _own_image(name) and name.nth == 1


def _own_image(name: EventName) -> bool:
    return name.kind == "image_load" and not name.process and name.what != UNKNOWN


def _names(parts: Iterable[Events]) -> Iterator[EventName]:
    for part in parts:
        if isinstance(part, EventName):
            yield part
        else:
            yield from _names(part.parts)


def _image_field(name: EventName) -> list[str]:
    """The field that says which image it is; none of one that has no name."""
    image = image_named(name.what)
    return [] if image is None else [f"image: {literal_text(image, cut=len(image) >= MAX_NAME)}"]


def literal_text(value: str, *, cut: bool = False) -> str:
    """A text that means itself: no glob, no variable, no word of the language.

    :param cut: it may go on.
    """
    if (
        not cut
        and _SAFE.fullmatch(value)
        and value
        not in (
            "any",
            "null",
            "true",
            "false",
            "yes",
            "no",
            "on",
            "off",
            "y",
            "n",
        )
    ):
        return value if not re.fullmatch(r"[0-9_.+-]*(e[0-9+-]*)?|0[xob].*", value) else quoted_text(value)
    escaped = _SURROGATE.sub("?", re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", value))
    if escaped[:1] == "$" or escaped == "any":
        escaped = f"[{escaped[0]}]{escaped[1:]}"
    return quoted_text(f"{escaped}*" if cut else escaped)


def quoted_text(value: str) -> str:
    """A text in quotation marks, in ASCII; YAML has no half of a surrogate pair, which becomes U+FFFD."""
    text = json.dumps(_SURROGATE.sub("\ufffd", value), ensure_ascii=False)
    return "".join(c if c.isascii() else f"\\U{ord(c):08x}" for c in text).replace("\x7f", "\\x7f")


def _variable(process: str, thread: str = "") -> str:
    """A free variable for a process that is not the instance's own, or for a thread."""
    program = "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in process)
    if not process:
        return thread
    return f"of_{program}_{thread}" if thread else f"of_{program}"


def _comment(text: str) -> str:
    return ascii(text)[1:-1][:200]
