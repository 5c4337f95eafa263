"""The published schemas: as the readers' tables say, and of one mind with the readers."""

from __future__ import annotations

import copy
import json
import os
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.errors import UserFileError
from harness.grammars import BUILTIN, parse_grammar
from harness.machines.file import MACHINE_TYPES, parse_machine
from harness.scenario import parse
from harness.schemas import SCHEMAS, schema_file
from harness.schemas.machine import TYPE_KEYS
from harness.yamlfile.nodes import ListNode, MapNode, Node, Source
from harness.yamlfile.parse import parse_yaml
from tools.schemas import stale_schemas

ROOT = Path(__file__).resolve().parents[2]
READERS: dict[str, Callable[[str, Path], object]] = {
    "scenario": parse,
    "lines": parse_grammar,
    "machine": parse_machine,
}


@cache
def validator(kind: str) -> Draft202012Validator:
    schema = json.loads(schema_file(kind).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def plain(node: Node) -> Any:
    """What the readers see, as JSON has it."""
    match node:
        case MapNode(entries=entries):
            return {key: plain(value) for key, value in entries.items()}
        case ListNode(items=items):
            return [plain(item) for item in items]
        case _:
            return node.value


def value_of(text: str) -> Any:
    source = Source(Path("example.yaml"), UserFileError)
    return plain(source.read_all(lambda: parse_yaml(text, source)))


def shipped() -> Iterator[tuple[str, str, str]]:
    """Every file and every whole example of the pages: its name, its kind, its text."""
    for path in (*sorted(ROOT.glob("scenarios/*.yaml")), *sorted(ROOT.glob("tests/grammars/styles/*.yaml"))):
        yield path.name, path.parent.name.replace("scenarios", "scenario"), path.read_text(encoding="utf-8")
    yield BUILTIN.name, "lines", BUILTIN.read_text(encoding="utf-8")
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))):
        examples = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for number, text in enumerate(examples, 1):
            kind = re.match(r"(?:#.*\n)*(\w+):", text)
            if kind is not None and kind[1] in SCHEMAS and len(value_of(text)) > 1:  # else a part of a file
                yield f"{page.name}-{number}", kind[1], text


SHIPPED = [(kind.replace("styles", "lines"), text, name) for name, kind, text in shipped()]


def test_the_schemas_are_made_of_the_tables_as_they_are() -> None:
    assert stale_schemas() == [], "run: python -m tools.schemas"


def test_the_schema_knows_the_keys_of_every_type_of_machine() -> None:
    assert {kind: (form.required, form.optional) for kind, form in MACHINE_TYPES.items()}.items() <= (
        TYPE_KEYS.items()
    )


@pytest.mark.parametrize(("kind", "text"), [pytest.param(*row[:2], id=row[2]) for row in SHIPPED])
def test_what_is_shipped_is_valid(kind: str, text: str) -> None:
    assert [error.message for error in validator(kind).iter_errors(value_of(text))] == []


def test_something_of_each_kind_is_shipped() -> None:
    assert {kind for kind, _, _ in SHIPPED} == set(SCHEMAS)


SCENARIO = r"""
scenario: everything
summary: Every kind of key once.
seed: 7
processors: 2
profile: win10-1903
policy: random
print_mask: {DEFAULT: 15}
lifecycle: {off: [seq_unique]}
rules: {off: [UnloadCallbacks]}
requires: [process_create: any]
steps:
  - load_driver
  - launch: {image: a.exe, args: [one, 2], as: app, by: me}
  - terminate: {process: $app, code: 3}
  - sleep: 10ms
  - create_thread
  - load_library: {path: version.dll, times: 2}
  - open_device: {name: '\\.\Name', as: device}
  - ioctl: {device: device, code: 0x222000, input: [{hex: '01 ff'}, {u32: 7}], output: {text: a}, returned: 1}
  - read_device: {device: $device, length: 4, pending: true}
  - write_device: {device: $device, input: {address: 1, length: 2}, status: 5}
  - repeat: {times: 2, steps: [exit: 7]}
  - settle: {quiet: 300ms, max: 10s}
  - unload_driver:
expect:
  - scope: [{pid: $app}, {process_exit: any}, {driver: any}]
    free: [$x]
    order:
      - process_create: {pid: $app, image: ['*.exe', b]}
      - within: 5s
      - next: {thread_create: {pid: $app, tid: $t}}
      - any_order:
          - image_load: {pid: $app, image: {not: b.dll}}
          - - image_load: {pid: $x, base: [1, null]}
      - optional: {thread_exit: {pid: $app, tid: $t}}
      - repeat: {of: [image_load: {pid: $app}], min: 0, max: 5}
      - never: [driver: {function: a, totals: true}]
      - process_exit: {pid: {not: 4}}
    never: {process_exit: {pid: 5}}
    only: false
"""
GRAMMAR = """
lines: everything
summary: Every kind of key once.
prefix: '[my] '
tail: '{? at {time:d}}'
unit: print
encoding: GBK
complete: false
parts: 'part({part:d}/{parts:d}) of {key:d}: {piece}'
ignore: [hello, {regex: 'x+'}]
forms:
  - process_exit: {regex: '(?P<pid>[0-9a-f]+)', hex: [pid]}
  - process_create: 'p'
    constants: {image: a.exe, parent_pid: 4}
    tail: ' {cpu:d}'
    then: ['pid {pid:d}', {optional: 'cpu {creating_pid:d}'}]
  - event: '{kind:started=process_create|gone=process_exit} {pid:d}'
    constants: {time: 5}
"""
GUEST = (
    "guest: {channel: ssh, address: '10.0.0.1:22', user: u, host_key: k, key_file: f, shell: sh, folder: d}\n"
)
MACHINE = "machine: lab\nconnection: net:port=50000,key=1.2.3.4\n" + GUEST
REPORTS = "reports: {not: [thread_exit: any, image_load: {image: {not: [a, b]}, pid: [1, null]}]}\n"
WHOLE = {
    "scenario": ("scenario", SCENARIO),
    "line grammar": ("lines", GRAMMAR),
    "existing machine": ("machine", f"{MACHINE}{REPORTS}type: existing\nboot_timeout: 10s\n"),
    "machine of commands": (
        "machine",
        f"{MACHINE}type: command\nstart: [a, b]\nstop: [c]\nsnapshot: [d]\nrevert: [e]\n"
        "command_timeout: 1m\n",
    ),
}
if "qemu" in MACHINE_TYPES:
    WHOLE["QEMU's machine"] = (
        "machine",
        f"machine: lab\ntype: qemu\nconnection: serial\nguest: {{channel: qga}}\n"
        f"image: {Path(__file__).name}\n"
        "accelerator: tcg\narguments: [-a]\ndisk: nvme\nmemory: 512\nprocessors: 2\nsnapshot: true\n"
        "program: qemu\ncommand_network: none\n",
    )
    WHOLE["libvirt's machine"] = (
        "machine",
        "machine: lab\ntype: libvirt\nconnection: net:port=50000,key=1.2.3.4\nguest: {channel: qga}\n"
        "domain: d\nsnapshot: s\nuri: u\nshutdown_timeout: 1m\ntake_snapshot: false\n",
    )
INSTEAD = (5, 1 << 70, "word", "", True, None, [], ["word"], {"zzz": 1})
UNKNOWN = "zzz"
MOST_CHANGES = int(os.environ.get("PROCNOTIFY_SCHEMA_CHANGES", "60"))
"""Changed files of each that are tried; all of them take minutes."""
SCHEMA_KNOWS = re.compile(
    r"unknown (key|kind of event|event|item|step)|must be (a |an |true|\d)|must say|without a pattern|"
    r"is empty|where a value is expected|^(?!process_).*lacks '\w+'$|takes 2 to|cannot be '|no guest channel|"
    r"a list in a list"
)
"""What a schema has to refuse as well: words, kinds of values and ranges, not what hangs on other places."""


def altered(value: Any) -> Iterator[Any]:
    """``value`` with one place in it changed: another value there, one key more or less."""
    yield from (copy.deepcopy(instead) for instead in INSTEAD)
    match value:
        case dict():
            yield {**value, UNKNOWN: 1}
            for key, inner in value.items():
                yield {other: entry for other, entry in value.items() if other != key}
                yield from ({**value, key: changed} for changed in altered(inner))
        case list():
            for place, inner in enumerate(value):
                yield from ([*value[:place], changed, *value[place + 1 :]] for changed in altered(inner))


@pytest.mark.parametrize("name", WHOLE)
def test_a_schema_and_the_reader_are_of_one_mind(name: str) -> None:
    kind, text = WHOLE[name]
    path = Path(__file__).with_name("example.yaml")
    READERS[kind](text, path)
    value = value_of(text)
    assert validator(kind).is_valid(value)
    changes, alike = list(altered(value)), 0
    for changed in random.Random(1).sample(changes, min(MOST_CHANGES, len(changes))):
        valid = validator(kind).is_valid(changed)
        try:
            READERS[kind](json.dumps(changed), path)
        except UserFileError as error:
            if any(SCHEMA_KNOWS.search(mistake.message) for mistake in error.mistakes):
                alike += 1
                assert not valid, (changed, error)
        else:
            assert valid, changed
    assert alike > 10
