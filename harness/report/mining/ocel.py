"""Instances as an object-centric event log, OCEL 2.0 in JSON, for process-mining tools.

The format: https://www.ocel-standard.org/specification/formats/json and the JSON schema that the page links;
"OCEL (Object-Centric Event Log) 2.0 Specification", arXiv:2403.01975. An event's time is the target's clock,
counted from 1970-01-01, for the format demands a time and the target tells none of day; where events carry
none it is their place in the recording, in microseconds.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from harness.errors import UsageError
from harness.mining.instances import Instance
from harness.mining.roles import EventName, NamedEvent

__all__ = ["MAX_OCEL_EVENTS", "OcelLog"]

MAX_OCEL_EVENTS: Final = 1_000_000
"""Events of one log; it is written as a whole, from memory."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS: Final = 250_000_000_000
"""Before the year 9,000; a clock that a trace made up is cut there."""
_EVENT_ATTRIBUTES: Final = (("kind", "string"), ("index", "integer"), ("by", "string"))


class OcelLog:
    """Collects instances; objects are the instances, their processes and threads, and the images."""

    def __init__(self) -> None:
        self._events: list[str] = []
        self._objects: dict[str, dict[str, object]] = {}
        self._types: set[str] = set()
        self._instances = 0

    def add(self, recording: str, instance: Instance, events: list[NamedEvent]) -> None:
        """One instance of a recording, in roles.

        :raises UsageError: more than :data:`MAX_OCEL_EVENTS` events.
        """
        if len(self._events) + len(events) > MAX_OCEL_EVENTS:
            raise UsageError(f"more than {MAX_OCEL_EVENTS} events for one OCEL log", hint="select less")
        self._instances += 1
        own = f"instance {self._instances}"
        timed = all(named.event.time is not None for named in events)
        begin = _time(events[0], timed) if events else _iso(0)
        self._objects[own] = _object(
            own,
            "instance",
            [
                {"name": "recording", "time": begin, "value": _text(recording)},
                {"name": "first_index", "time": begin, "value": instance.first},
            ],
        )
        for named in events:
            name, number = named.name, len(self._events) + 1
            attributes: list[dict[str, object]] = [
                {"name": "kind", "value": name.kind},
                {"name": "index", "value": named.event.index},
            ]
            if named.by is not None:
                attributes.append({"name": "by", "value": _text(named.by)})
            relationships = [{"objectId": own, "qualifier": "instance"}]
            for kind, object_id, qualifier in _related(own, name, named.by):
                self._objects.setdefault(object_id, _object(object_id, kind, []))
                relationships.append({"objectId": object_id, "qualifier": qualifier})
            self._types.add(_text(str(name)))
            self._events.append(
                json.dumps(
                    {
                        "id": f"event {number}",
                        "type": _text(str(name)),
                        "time": _time(named, timed),
                        "attributes": attributes,
                        "relationships": relationships,
                    }
                )
            )

    def document(self) -> bytes:
        """The log, ASCII, one event and one object a line."""
        types = [
            {"name": each, "attributes": [{"name": name, "type": what} for name, what in _EVENT_ATTRIBUTES]}
            for each in sorted(self._types)
        ]
        objects = [
            {
                "name": "instance",
                "attributes": [
                    {"name": "recording", "type": "string"},
                    {"name": "first_index", "type": "integer"},
                ],
            },
            *({"name": kind, "attributes": []} for kind in ("process", "thread", "image")),
        ]
        parts = [
            f'{{"objectTypes": {json.dumps(objects)},\n"eventTypes": {json.dumps(types)},\n"objects": [\n',
            ",\n".join(map(json.dumps, self._objects.values())),
            '\n],\n"events": [\n',
            ",\n".join(self._events),
            "\n]}\n",
        ]
        return "".join(parts).encode("ascii")


def _related(own: str, name: EventName, by: str | None) -> list[tuple[str, str, str]]:
    """Type, id and qualifier of the objects of an event besides its instance."""
    process = f"{own}/{_text(name.process)}" if name.process else f"{own}/process"
    found = [] if name.kind == "marker" else [("process", process, "process")]
    if name.kind.startswith("thread_"):
        found.append(("thread", f"{process}/{name.what}", "thread"))
    elif name.kind == "image_load":
        found.append(("image", f"image {_text(name.what)}", "image"))
    if by is not None and "thread" in by:
        program, slash, thread = by.rpartition("/")
        actor = f"{own}/{_text(program)}" if slash else f"{own}/process"
        found.append(("thread", f"{actor}/{thread}", "by"))
    return found


def _object(object_id: str, kind: str, attributes: list[dict[str, object]]) -> dict[str, object]:
    return {"id": object_id, "type": kind, "attributes": attributes, "relationships": []}


def _time(named: NamedEvent, timed: bool) -> str:
    event = named.event
    return _iso(event.time) if timed and event.time is not None else _iso(event.index * 10)


def _iso(units: int) -> str:
    """100 ns units since 1970 as ISO 8601, all seven digits."""
    seconds, rest = divmod(units, 10_000_000)
    moment = _EPOCH + timedelta(seconds=max(0, min(seconds, _MAX_SECONDS)))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:07d}Z"


def _text(text: str) -> str:
    """Without half surrogate pairs, which no reader of JSON takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
