"""The forms of a line grammar file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, NoReturn

import msgspec

from harness.callbacks import CALLBACK_KINDS
from harness.events import Driver, Event, ImageLoad, Print
from harness.lines import Continuation, Field, Form
from harness.lines.grammar import Piece
from harness.lines.regexes import RegexError, check_regex
from harness.lines.template import (
    TEXT_FIELDS,
    TemplateError,
    number_field,
    read_template,
    settled,
    text_field,
    values_of,
)
from harness.yamlfile.nodes import MapNode, Node, ScalarNode, Source

__all__ = [
    "EVENT",
    "MAX_LINES",
    "MAX_NUMBER",
    "OPTIONS",
    "REPORTED",
    "FormReader",
    "fields_of",
    "template",
]

MAX_LINES: Final = 16
"""Lines of a record, besides the first."""

REPORTED: Final = {
    **{str(kind.event.__struct_config__.tag): kind.event for kind in CALLBACK_KINDS.values()},
    "driver": Driver,
}
"""The kinds of events that a driver's lines report."""
EVENT: Final = "event"
"""The key of a form in which a word says what kind it is."""
OPTIONS: Final = ("tail", "constants", "then")
"""Keys of a form beside its kind."""
_BESIDE: Final = ("index", "line", "host_time", "witness", "call")
"""Fields of an event that no line gives."""
MAX_NUMBER: Final = (1 << 64) - 1
"""Of a field that is a constant."""


def template(source: Source, node: Node, what: str, known: Collection[str]) -> tuple[Piece, ...]:
    """Text with placeholders.

    :param known: the fields that they may give.
    """
    text = source.text(node, what)
    try:
        return read_template(text, known)
    except TemplateError as error:
        _fail(source, node, error)


def _fail(source: Source, node: Node, error: TemplateError) -> NoReturn:
    hint = source.suggest(error.word, error.known) if error.word else error.hint
    source.fail(node, str(error), hint=hint)


class FormReader:
    """Reads forms.

    :param prefix: what each of them begins with.
    :param tail: what each of them may end with, unless it says otherwise.
    """

    def __init__(self, source: Source, prefix: tuple[Piece, ...], tail: tuple[Piece, ...]) -> None:
        self._source = source
        self._prefix = prefix
        self._tail = tail

    def forms(self, node: Node) -> tuple[Form, ...]:
        """One entry of the list: a form, or one for each kind that a word of it says."""
        source = self._source
        if not isinstance(node, MapNode):
            source.fail(node, "a form must be a mapping", hint='- process_exit: "Process {pid:d} has gone"')
        kinds = [key for key in node.entries if key in (EVENT, *REPORTED)]
        if len(kinds) != 1:
            for key in node.entries:
                if key not in (*OPTIONS, *kinds):
                    known = (EVENT, *REPORTED, *OPTIONS)
                    source.fail(
                        node.key_lines[key], f"unknown kind of event '{key}'", hint=source.suggest(key, known)
                    )
            source.fail(node, "a form must say one kind of event", hint=f"known are {', '.join(REPORTED)}")
        (kind,) = kinds
        entries = source.mapping(node, "form", required=(kind,), optional=OPTIONS)
        if kind != EVENT:
            return (self._form(REPORTED[kind], entries, entries[kind]),)
        return self._by_word(entries)

    def ignored(self, node: Node) -> Form:
        """A line that reports nothing."""
        if isinstance(node, MapNode):
            return self._by_regex(Print, node, {})
        return self._of_pieces(Print, node, template(self._source, node, "line", ()))

    def _by_word(self, entries: Mapping[str, Node]) -> tuple[Form, ...]:
        """A form for each word that ``{kind:...}`` lists."""
        source, node = self._source, entries[EVENT]
        known = sorted({name for event in REPORTED.values() for name in fields_of(event)})
        pieces = template(source, node, EVENT, ("kind", *known))
        place = next((n for n, item in enumerate(pieces) if _name(item) == "kind"), None)
        table = values_of(pieces[place]) if place is not None else {}
        if place is None or not table:
            source.fail(
                node,
                "no word says what kind of event it is",
                hint="write {kind:started=process_create|gone=process_exit}",
            )
        forms = []
        for word, kind in ((word, str(kind)) for word, kind in table.items()):
            if kind not in REPORTED:
                source.fail(node, f"unknown kind of event '{kind}'", hint=source.suggest(kind, REPORTED))
            event = REPORTED[kind]
            for item in pieces:
                if _name(item) not in ("", "kind", *fields_of(event)):
                    source.fail(
                        node,
                        f"{kind} has no field '{_name(item)}'",
                        hint="give it no name, or write a form for each kind",
                    )
            whole = _merged((*pieces[:place], word, *pieces[place + 1 :]))
            forms.append(self._of_pieces(event, node, whole, entries))
        return tuple(forms)

    def _form(self, event: type[Event], entries: Mapping[str, Node], node: Node) -> Form:
        if isinstance(node, MapNode):
            return self._by_regex(event, node, entries)
        return self._of_pieces(event, node, template(self._source, node, "form", fields_of(event)), entries)

    def _of_pieces(
        self,
        event: type[Event],
        node: Node,
        pieces: tuple[Piece, ...],
        entries: Mapping[str, Node] | None = None,
        *,
        first: bool = True,
    ) -> Form:
        """A form of pieces; ``first``: it is not the continuation of another."""
        source, entries = self._source, entries or {}
        tail = self._tail if first and event is not Print else ()
        if "tail" in entries:
            tail = template(source, entries["tail"], "tail", fields_of(event))
        whole = _merged(((*self._prefix,) if first else ()) + pieces)
        names = [name for name in map(_name, (*whole, *tail)) if name]
        for name in names:
            if names.count(name) > 1:
                source.fail(node, f"'{name}' comes twice", hint="give one of them no name: {:d}")
        try:
            settled(whole)
            held = settled((*whole, *tail))
        except TemplateError as error:
            _fail(source, node, error)
        assert isinstance(node, ScalarNode)
        form = Form(
            event,
            held[: len(whole)],
            held[len(whole) :],
            self._constants(event, entries),
            text=str(node.value),
            line=node.line,
        )
        return self._whole(form, node, entries) if first and event is not Print else form

    def _by_regex(self, event: type[Event], node: MapNode, entries: Mapping[str, Node]) -> Form:
        source = self._source
        given = source.mapping(node, "form", required=("regex",), optional=("hex",))
        text = source.text(given["regex"], "regex")
        try:
            pattern = check_regex(text)
        except RegexError as error:
            source.fail(given["regex"], str(error), hint=error.hint)
        known = fields_of(event) if event is not Print else ()
        for name in pattern.groupindex:
            if name not in known:
                source.fail(
                    given["regex"], f"there is no field '{name}' here", hint=source.suggest(name, known)
                )
        groups = tuple(pattern.groupindex)
        in_hex = self._hex(given, groups)
        if "tail" in entries:
            source.fail(entries["tail"], "a regular expression has no tail", hint="write it into the regex")
        if any(isinstance(piece, Field) for piece in self._prefix):
            source.fail(node, "a regular expression wants a prefix of literal text, or none")
        fields = tuple(
            text_field(name) if name in TEXT_FIELDS else number_field(name, name in in_hex) for name in groups
        )
        literal = "".join(piece for piece in self._prefix if isinstance(piece, str))
        form = Form(
            event,
            fields,
            constants=self._constants(event, entries),
            regex=re.escape(literal) + f"(?:{text})",
            text=text,
            line=node.line,
        )
        return self._whole(form, node, entries) if event is not Print else form

    def _hex(self, given: Mapping[str, Node], groups: Collection[str]) -> frozenset[str]:
        """The groups whose digits are hexadecimal."""
        source = self._source

        def name(node: Node) -> str:
            found = source.text(node, "hex")
            if found not in groups or found in TEXT_FIELDS:
                source.fail(node, f"the regex has no number '{found}'", hint=source.suggest(found, groups))
            return found

        if "hex" not in given:
            return frozenset()
        return frozenset(source.each(source.list(given["hex"], "hex"), name))

    def _constants(self, event: type[Event], entries: Mapping[str, Node]) -> dict[str, object]:
        source = self._source
        if "constants" not in entries:
            return {}
        known = [name for name in fields_of(event) if name != "totals"]
        given = source.mapping(entries["constants"], "constants", optional=known)

        def value(name: str) -> tuple[str, object]:
            if name in TEXT_FIELDS:
                return name, source.text(given[name], name)
            return name, source.integer(given[name], name, minimum=0, maximum=MAX_NUMBER)

        return dict(source.each(given, value))

    def _whole(self, form: Form, node: Node, entries: Mapping[str, Node]) -> Form:
        """The form with the lines that follow, once it gives what an event of its kind must have."""
        source = self._source
        then: tuple[Continuation, ...] = ()
        if "then" in entries:
            items = source.list(entries["then"], "then")
            if len(items) > MAX_LINES:
                source.fail(entries["then"], f"{len(items)} lines; {MAX_LINES} are allowed")
            then = source.each(items, lambda item: self._continuation(form.event, item))
        certain = {*form.constants, *(_name(piece) for piece in form.pieces if not _may_lack(piece))}
        for part in then:
            twice = sorted(part.form.given & form.given)
            if twice:
                source.fail(part.form.line, f"'{twice[0]}' comes twice in the record")
            if not part.optional:
                certain |= part.form.given
        for name in _required(form.event):
            if name not in certain:
                source.fail(
                    node,
                    f"{form.kind} lacks '{name}'",
                    hint="it must be in the line, in a line of then, or a constant",
                )
        for one, other in ((a, b) for n, a in enumerate(then) for b in then[:n]):
            if same := sorted(one.form.given & other.form.given):
                source.fail(one.form.line, f"'{same[0]}' comes twice in the record")
        return replace(form, then=then)

    def _continuation(self, event: type[Event], node: Node) -> Continuation:
        source, optional = self._source, isinstance(node, MapNode)
        if isinstance(node, MapNode):
            node = source.mapping(node, "line", required=("optional",))["optional"]
        pieces = template(source, node, "line", fields_of(event))
        return Continuation(self._of_pieces(event, node, pieces, first=False), optional)


def fields_of(event: type[Event]) -> list[str]:
    """The fields of an event that a line can give."""
    return [name for name in event.__struct_fields__ if name not in _BESIDE]


def _required(event: type[Event]) -> list[str]:
    """The fields without which an event says nothing."""
    if event is ImageLoad:
        return ["image"]
    return [item.name for item in msgspec.structs.fields(event) if item.required and item.name != "index"]


def _name(piece: Piece) -> str:
    return piece.name if isinstance(piece, Field) else ""


def _may_lack(piece: Piece) -> bool:
    return isinstance(piece, Field) and piece.absent


def _merged(pieces: Collection[Piece]) -> tuple[Piece, ...]:
    """The same with literal texts that stand side by side as one."""
    found: list[Piece] = []
    for piece in pieces:
        if found and isinstance(piece, str) and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return tuple(found)
