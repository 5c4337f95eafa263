"""Every mistake that a scenario file can hold: one line with its place, what is wrong, and the way out."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from scenario_texts import expecting, expecting_rounds, stepping, topped

import harness.scenario
import harness.yamlfile
from harness.errors import ScenarioError
from harness.files import read_file
from harness.scenario import RULES, parse
from harness.yamlfile.nodes import MAX_MISTAKES, Source
from harness.yamlfile.parse import MAX_DEPTH

TOP_KEYS = (
    "known are scenario, summary, expect, observe, steps, lifecycle, seed, profile, policy, processors, "
    "print_mask, lines, requires, rules"
)


def words_of_a_missing_file() -> str:
    """In the words of this system."""
    try:
        read_file(Path("nowhere.yaml"), limit=1)
    except OSError as error:
        return str(error.strerror)
    raise AssertionError("nobody has put it there")


# What load() finds before it parses is in test_scenario_files.py.
TESTS = Path(__file__).resolve().parents[1]


def device(step: str) -> str:
    """A scenario that opens a device on line 4 and does ``step`` on line 5."""
    return stepping(f"- open_device: {{name: x, as: d}}\n{step}")


TABLE: list[tuple[str, str, int, str]] = [
    # the file
    ("an empty file", "", 1, "the file is empty; docs/scenarios.md shows a whole scenario"),
    ("only a comment", "# nothing\n", 1, "the file is empty; docs/scenarios.md shows a whole scenario"),
    ("a text that is too large", "#" * 1_048_577, 1, "the file is larger than 1048576 bytes"),
    ("not a mapping", "- a\n- b\n", 1, "scenario must be a mapping, not a list"),
    (
        "not YAML: an unclosed brace",
        topped("seed: {1\n"),
        7,
        "not YAML: expected ',' or '}', but got '<stream end>'; a flow mapping begins on line 5",
    ),
    (
        "not YAML: an unclosed quote",
        topped('seed: "1\n'),
        7,
        "not YAML: found unexpected end of stream; a quoted scalar begins on line 5",
    ),
    ("not YAML: a colon too many", topped("seed: a: b"), 5, "not YAML: mapping values are not allowed here"),
    (
        "not YAML: a bad indentation",
        topped(" seed: 1"),
        5,
        "not YAML: expected <block end>, but found '<block mapping start>'",
    ),
    (
        "not YAML: a second document",
        topped("---\na: b"),
        5,
        "not YAML: expected a single document in the stream, but found another document",
    ),
    (
        "not YAML: a NUL",
        topped("seed: 1\nprofile: a\x00b"),
        6,
        "not YAML: unacceptable character #x0000: special characters are not allowed",
    ),
    (
        "not YAML: an escape beyond Unicode",
        topped('profile: "\\UFFFFFFFF"'),
        5,
        "not YAML: a number that is out of range",
    ),
    (
        "not YAML: a version of 5000 digits",
        "%YAML 1." + "9" * 5000 + "\n--- a\n",
        1,
        "not YAML: a number that is out of range",
    ),
    (
        "half a character",
        topped('profile: "\\ud800"'),
        5,
        "half a character: an escape of the range \\ud800 to \\udfff; write \\U0001f600",
    ),
    (
        "half a character in a key",
        topped('"\\udfff": 1'),
        5,
        "half a character: an escape of the range \\ud800 to \\udfff; write \\U0001f600",
    ),
    ("a tab before a key", topped("\tseed: 1"), 5, "a tab in the indentation; YAML is indented with spaces"),
    (
        "a tab after a key",
        topped("seed:\t1"),
        5,
        "not YAML: found character '\\t' that cannot start any token",
    ),
    ("a tag", topped("seed: !mine 1"), 5, "the tag !mine; write the value without it"),
    (
        "a tag of Python's",
        topped("seed: !!python/name:os.system 1"),
        5,
        "the tag tag:yaml.org,2002:python/name:os.system; write the value without it",
    ),
    ("a duplicate key", topped("seed: 1\nseed: 2"), 6, "duplicate key 'seed'; the first is on line 5"),
    (
        "a duplicate key inside",
        expecting("order:\n  - process_exit: {pid: 1,\n                   pid: 2}"),
        8,
        "duplicate key 'pid'; the first is on line 7",
    ),
    ("a key that is a list", topped("[a]: 1"), 5, "a key must be a word"),
    ("an alias", topped("seed: &a 1\nprofile: *a"), 6, "the alias *a; write the value out"),
    ("an alias of a key", topped("&a seed: *a"), 5, "the alias *a; write the value out"),
    (
        "an alias bomb",
        "a: &a [x]\n" + "".join(f"{n}: &b{n} [*b{n - 1}, *b{n - 1}]\n" for n in range(1, 99)),
        2,
        "the alias *b0; write the value out",
    ),
    ("an alias of itself", topped("seed: &a [*a]"), 5, "the alias *a; write the value out"),
    (
        "a number with a leading zero",
        topped("seed: 010"),
        5,
        "'010' is not a number here; write 10, 0x10, or quote it to mean a text",
    ),
    (
        "a number with underscores",
        topped("seed: 1_000"),
        5,
        "'1_000' is not a number here; write 10, 0x10, or quote it to mean a text",
    ),
    (
        "nested 51 deep",
        topped("seed:\n  " + "[" * 51 + "]" * 51),
        6,
        "lists and mappings are nested deeper than 50",
    ),
    (
        "lists nested 10,000 deep",
        topped("seed: " + "[" * 10_000),
        5,
        "lists and mappings are nested deeper than 50",
    ),
    (
        "mappings nested 10,000 deep",
        topped("seed: " + "{a: " * 10_000),
        5,
        "lists and mappings are nested deeper than 50",
    ),
    (
        "block lists nested 10,000 deep",
        topped("seed:\n  " + "- " * 10_000),
        6,
        "lists and mappings are nested deeper than 50",
    ),
    (
        "a key that would write to the terminal",
        topped('"\\e[2J\\n\\u202e": 1'),
        5,
        (
            "unknown key '\\x1b[2J\\n\\u202e' in scenario; known are scenario, summary, expect, "
            "observe, steps, lifecycle, seed, profile, policy, processors, print_mask, lines, requires, rules"
        ),
    ),
    (
        "a key of 100,000 letters",
        topped("? " + "k" * 1_000 + "\n: 1"),
        5,
        "unknown key '" + "k" * 287 + "...; " + TOP_KEYS,
    ),
    # the top level
    ("no scenario", "summary: t.\nexpect:\n  never: [process_exit: any]\n", 1, "scenario lacks 'scenario'"),
    ("no summary", "scenario: t\nexpect:\n  never: [process_exit: any]\n", 1, "scenario lacks 'summary'"),
    ("no expect", "scenario: t\nsummary: t.\n", 1, "scenario lacks 'expect'"),
    (
        "an unknown key that is nearly one",
        topped("sead: 1"),
        5,
        "unknown key 'sead' in scenario; did you mean 'seed'?",
    ),
    (
        "an unknown key that is like none",
        topped("zzz: 1"),
        5,
        (
            "unknown key 'zzz' in scenario; known are scenario, summary, expect, observe, steps, lifecycle, "
            "seed, profile, policy, processors, print_mask, lines, requires, rules"
        ),
    ),
    (
        "a component that is nearly one",
        topped("print_mask: {IHVDRIVR: 0xf}"),
        5,
        "no component 'IHVDRIVR' in print_mask; did you mean 'IHVDRIVER'?",
    ),
    (
        "a print mask of 33 bits",
        topped("print_mask: 0x100000000"),
        5,
        "print_mask must be 0 to 4294967295, not 4294967296",
    ),
    (
        "a print mask that hides errors",
        topped("print_mask: {WIN2000: 2}"),
        5,
        "the mask WIN2000 needs bit 0: what the guest helper says is an error too",
    ),
    ("an empty key", topped(": 1"), 5, "not YAML: expected <block end>, but found ':'"),
    (
        "a name with a space",
        "scenario: My test\nsummary: t.\nexpect:\n  never: [process_exit: any]\n",
        1,
        "'My test' is not a name for a scenario; small letters, digits and -",
    ),
    (
        "a name that is a number",
        "scenario: 7\nsummary: t.\nexpect:\n  never: [process_exit: any]\n",
        1,
        "scenario must be a text, not the number 7",
    ),
    (
        "an empty summary",
        'scenario: t\nsummary: ""\nexpect:\n  never: [process_exit: any]\n',
        2,
        "summary is empty",
    ),
    (
        "a summary that is a list",
        "scenario: t\nsummary: [t]\nexpect:\n  never: [process_exit: any]\n",
        2,
        "summary must be a text, not a list",
    ),
    ("a seed that is a text", topped('seed: "1"'), 5, "seed must be a whole number, not '1'"),
    ("a seed that is true", topped("seed: true"), 5, "seed must be a whole number, not true"),
    ("a negative seed", topped("seed: -1"), 5, "seed must be 0 to 9223372036854775807, not -1"),
    (
        "a seed that is too large",
        topped("seed: 0xFFFFFFFFFFFFFFFF"),
        5,
        "seed must be 0 to 9223372036854775807, not 18446744073709551615",
    ),
    (
        "a line grammar that is not there",
        topped("lines: nowhere.yaml"),
        5,
        f"the line grammar nowhere.yaml:1: cannot be read: {words_of_a_missing_file()}",
    ),
    ("a profile that is nothing", topped("profile:"), 5, "profile must be a text, not nothing"),
    ("lifecycle as a list", topped("lifecycle: [seq_unique]"), 5, "lifecycle must be a mapping, not a list"),
    (
        "an unknown key in lifecycle",
        topped("lifecycle: {of: [seq_unique]}"),
        5,
        "unknown key 'of' in lifecycle; known is only 'off'",
    ),
    (
        "observe beside expect",
        topped("observe: true"),
        5,
        "'observe: true' expects nothing; keep it or 'expect', not both",
    ),
    (
        "observe what is not true",
        topped("observe: false"),
        5,
        "'observe' can only be true; leave it out, and say what to expect",
    ),
    ("observe as a text", topped("observe: please"), 5, "observe must be true or false, not 'please'"),
    (
        "an unknown standing rule",
        topped("rules: {off: [PoolTraking]}"),
        5,
        "unknown standing rule 'PoolTraking'; did you mean 'PoolTracking'?",
    ),
    ("lifecycle without off", topped("lifecycle: {}"), 5, "lifecycle lacks 'off'"),
    ("off as a text", topped("lifecycle: {off: seq_unique}"), 5, "off must be a list, not 'seq_unique'"),
    ("off is empty", topped("lifecycle: {off: []}"), 5, "off is empty"),
    (
        "an unknown rule that is nearly one",
        topped("lifecycle:\n  off:\n    - seq_unique\n    - thread_exit_contxt"),
        8,
        "unknown lifecycle rule 'thread_exit_contxt'; did you mean 'thread_exit_context'?",
    ),
    (
        "an unknown rule that is like none",
        topped("lifecycle: {off: [zzz]}"),
        5,
        "unknown lifecycle rule 'zzz'; known are " + ", ".join(RULES),
    ),
    ("a rule that is a number", topped("lifecycle: {off: [1]}"), 5, "rule must be a text, not the number 1"),
    # steps
    ("no steps", stepping("[]"), 4, "steps is empty"),
    ("steps as a mapping", stepping("launch: a.exe"), 4, "steps must be a list, not a mapping"),
    (
        "an unknown step",
        stepping("- settel: {quiet: 1s, max: 2s}"),
        4,
        "unknown step 'settel'; did you mean 'settle'?",
    ),
    (
        "an unknown step that is a word",
        stepping("- unload"),
        4,
        "unknown step 'unload'; did you mean 'unload_driver'?",
    ),
    ("a step that is a number", stepping("- 5"), 4, "step must be a mapping with one key, not the number 5"),
    ("a step that is a list", stepping("- [launch]"), 4, "step must be a mapping with one key, not a list"),
    (
        "two steps in one",
        stepping("- launch: {image: a.exe}\n  settle: {quiet: 1s, max: 2s}"),
        4,
        ("step must be a mapping with one key, not several (launch, settle); begin each with its own '- '"),
    ),
    (
        "a step without a key",
        stepping("- {}"),
        4,
        "step must be a mapping with one key, not an empty mapping",
    ),
    (
        "an unknown key in launch",
        stepping("- launch: {image: a.exe, name: x}"),
        4,
        "unknown key 'name' in launch; known are image, args, as, by, status",
    ),
    (
        "an unknown key in terminate",
        stepping("- terminate: {process: 8, cod: 1}"),
        4,
        "unknown key 'cod' in terminate; did you mean 'code'?",
    ),
    (
        "an unknown key in create_thread",
        stepping("- create_thread: {process: 8}"),
        4,
        "unknown key 'process' in create_thread; known are as, by, status",
    ),
    (
        "an unknown key in create_remote_thread",
        stepping("- create_remote_thread: {process: 8, ass: x}"),
        4,
        "unknown key 'ass' in create_remote_thread; did you mean 'as'?",
    ),
    (
        "an unknown key in load_library",
        stepping("- load_library: {path: a.dll, time: 2}"),
        4,
        "unknown key 'time' in load_library; did you mean 'times'?",
    ),
    (
        "an unknown key in free_library",
        stepping("- free_library: {path: a.dll, times: 2}"),
        4,
        "unknown key 'times' in free_library; known are path, by, status",
    ),
    (
        "an unknown key in inject",
        stepping("- inject: {process: 8, dll: a.dll, dlls: b.dll}"),
        4,
        "unknown key 'dlls' in inject; did you mean 'dll'?",
    ),
    (
        "an unknown key in sleep",
        stepping("- sleep: {for: 1s, max: 2s}"),
        4,
        "unknown key 'max' in sleep; known are for, by, status",
    ),
    (
        "an unknown key in exit",
        stepping("- exit: {cod: 7}"),
        4,
        "unknown key 'cod' in exit; did you mean 'code'?",
    ),
    (
        "an unknown key in settle",
        stepping("- settle: {quiet: 1s, maximum: 2s}"),
        4,
        "unknown key 'maximum' in settle; did you mean 'max'?",
    ),
    (
        "an unknown key in load_driver",
        stepping("- load_driver: {path: a.sys}"),
        4,
        "unknown key 'path' in load_driver; there is nothing to say here",
    ),
    (
        "an unknown key in unload_driver",
        stepping("- unload_driver: {path: a.sys}"),
        4,
        "unknown key 'path' in unload_driver; there is nothing to say here",
    ),
    (
        "an unknown key in repeat",
        stepping("- repeat: {times: 2, step: [load_driver]}"),
        4,
        "unknown key 'step' in repeat; did you mean 'steps'?",
    ),
    ("launch without image", stepping("- launch: {as: x}"), 4, "launch lacks 'image'"),
    ("launch with nothing", stepping("- launch:"), 4, "launch lacks 'image'"),
    ("launch of a list", stepping("- launch: [a.exe]"), 4, "launch must be a mapping, not a list"),
    ("an image that is a number", stepping("- launch: 5"), 4, "image must be a text, not the number 5"),
    ("an empty image", stepping('- launch: ""'), 4, "image is empty"),
    ("args as a text", stepping("- launch: {image: a.exe, args: -v}"), 4, "args must be a list"),
    (
        "an argument that is true",
        stepping("- launch: {image: a.exe, args: [-v, true]}"),
        4,
        "an argument must be a text or a number",
    ),
    ("terminate without process", stepping("- terminate: {code: 1}"), 4, "terminate lacks 'process'"),
    (
        "terminate of nobody",
        stepping("- terminate: $nobody"),
        4,
        "no earlier step has bound 'nobody'; bind it with as:",
    ),
    (
        "terminate of a misspelt name",
        stepping("- launch: {image: a.exe, as: notepad}\n- terminate: $notpad"),
        5,
        "no earlier step has bound 'notpad'; did you mean 'notepad'?",
    ),
    (
        "terminate before launch",
        stepping("- terminate: $app\n- launch: {image: b.exe, as: app}"),
        4,
        "no earlier step has bound 'app'; bind it with as:",
    ),
    (
        "a device that was not opened",
        stepping("- launch: {image: a.exe, as: app}\n- close_device: $app"),
        5,
        "'app' is not a device; open it by an earlier step: open_device:"
        r" {name: \\.\Name, as: app}",
    ),
    (
        "a control code of three words",
        device('- ioctl: {device: $d, code: "CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED)"}'),
        5,
        "CTL_CODE takes device type, function, method and access, not 3 words",
    ),
    (
        "bytes without their kind",
        device("- write_device: {device: $d, input: hello}"),
        5,
        'input must say what kind of bytes it has; {hex: "01 ff"} or {text: hello}',
    ),
    (
        "hexadecimal that YAML reads as a number",
        device("- write_device: {device: $d, input: {hex: 100}}"),
        5,
        'hex must be a text; write two digits a byte, in quotation marks: {hex: "01 00 ff"}',
    ),
    (
        "half a byte",
        device('- write_device: {device: $d, input: {hex: "01 0"}}'),
        5,
        "'01 0' is not hexadecimal; write two digits a byte, in quotation marks: {hex: \"01 00 ff\"}",
    ),
    (
        "any byte in what is given",
        device('- write_device: {device: $d, input: {hex: "??"}}'),
        5,
        "'??' is not hexadecimal; write two digits a byte, in quotation marks: {hex: \"01 00 ff\"}",
    ),
    (
        "a number that is too large for its width",
        device("- write_device: {device: $d, input: {u8: 256}}"),
        5,
        "u8 must be -128 to 255, not 256",
    ),
    (
        "a buffer that is too long",
        device("- write_device: {device: $d, input: [{zeros: 4096}, {u8: 1}]}"),
        5,
        "input has 4097 bytes, and a buffer takes 4096 at most",
    ),
    (
        "an answer that is too long",
        device("- read_device: {device: $d, length: 4097}"),
        5,
        "length must be 0 to 4096, not 4097",
    ),
    (
        "an address without a length",
        device("- ioctl: {device: $d, code: 1, input: {address: 5}}"),
        5,
        "input lacks 'length'",
    ),
    (
        "a program that is not there",
        stepping("- run: nowhere.exe"),
        4,
        "nowhere.exe is no file of at most 67108864 bytes",
    ),
    (
        "a program that is called as the helper is",
        stepping("- run: bin/Actor.exe"),
        4,
        "Actor.exe is a file of the guest helper; rename yours",
    ),
    (
        "two programs of one name",
        stepping(f"- run: {TESTS / 'conftest.py'}\n- run: {TESTS / 'wine' / 'conftest.py'}"),
        5,
        "two files for the guest are called conftest.py; rename one of them",
    ),
    (
        "a device that is a number",
        stepping("- close_device: 5"),
        4,
        "device must be a text, not the number 5",
    ),
    ("terminate of process 0", stepping("- terminate: 0"), 4, "process must be 1 to 4294967295, not 0"),
    ("terminate of true", stepping("- terminate: true"), 4, "process must be a text, not true"),
    (
        "a process that is no variable",
        stepping("- terminate: $Not-Pad"),
        4,
        "'$Not-Pad' is not a variable; write $name or $name.tid: small letters, digits and _",
    ),
    (
        "an exit code that is too large",
        stepping("- exit: 0x100000000"),
        4,
        "code must be 0 to 4294967295, not 4294967296",
    ),
    (
        "an exit code that is a text",
        stepping("- exit: failed"),
        4,
        "code must be a whole number, not 'failed'",
    ),
    ("times 0", stepping("- load_library: {path: a.dll, times: 0}"), 4, "times must be 1 to 1000, not 0"),
    (
        "times 1001",
        stepping("- load_library: {path: a.dll, times: 1001}"),
        4,
        "times must be 1 to 1000, not 1001",
    ),
    ("inject without dll", stepping("- inject: {process: 8}"), 4, "inject lacks 'dll'"),
    (
        "a bad name",
        stepping("- launch: {image: a.exe, as: My App}"),
        4,
        "'My App' is not a name; small letters, digits and _, a letter first",
    ),
    (
        "a name that begins with a digit",
        stepping("- create_thread: {as: 1st}"),
        4,
        "'1st' is not a name; small letters, digits and _, a letter first",
    ),
    (
        "a name that is a number",
        stepping("- create_thread: {as: 1}"),
        4,
        "as must be a text, not the number 1",
    ),
    (
        "a name bound twice",
        stepping("- launch: {image: a.exe, as: app}\n- create_thread: {by: app}"),
        5,
        "'app' is already bound on line 4",
    ),
    (
        "the name agent",
        stepping("- create_thread: {by: agent}"),
        4,
        "'agent' is bound by the first step; take another name",
    ),
    (
        "a name for what a refused step does not make",
        stepping("- launch: {image: a.exe, status: 5, as: app}"),
        4,
        "a step that ends with status 5 makes nothing to name; leave 'as' out",
    ),
    (
        "a status of success",
        stepping("- launch: {image: a.exe, status: 0}"),
        4,
        "status must be 1 to 4294967295, not 0",
    ),
    (
        "a duration without a unit",
        stepping("- sleep: 10"),
        4,
        ("sleep must be a duration, not the number 10; write a number and its unit: 50us, 300ms, 2s, 1m"),
    ),
    (
        "a duration with an unknown unit",
        stepping("- sleep: 10h"),
        4,
        "sleep must be a duration, not '10h'; write a number and its unit: 50us, 300ms, 2s, 1m",
    ),
    (
        "a duration of nothing",
        stepping("- sleep: 0ms"),
        4,
        "sleep must be longer than nothing and at most 24 hours, not 0ms",
    ),
    (
        "a duration of two days",
        stepping("- sleep: 2880m"),
        4,
        "sleep must be longer than nothing and at most 24 hours, not 2880m",
    ),
    (
        "a negative duration",
        stepping("- sleep: -1s"),
        4,
        "sleep must be a duration, not '-1s'; write a number and its unit: 50us, 300ms, 2s, 1m",
    ),
    (
        "a duration that is a list",
        stepping("- sleep: {for: [1s]}"),
        4,
        "sleep must be a duration, not a list; write a number and its unit: 50us, 300ms, 2s, 1m",
    ),
    ("settle without max", stepping("- settle: {quiet: 300ms}"), 4, "settle lacks 'max'"),
    ("settle as a word", stepping("- settle"), 4, "settle lacks 'quiet'"),
    (
        "quiet longer than max",
        stepping("- settle: {quiet: 3s, max: 2s}"),
        4,
        "settle can never be quiet for longer than its max",
    ),
    ("repeat without steps", stepping("- repeat: {times: 2}"), 4, "repeat lacks 'steps'"),
    ("repeat of nothing", stepping("- repeat: {times: 2, steps: []}"), 4, "steps is empty"),
    (
        "repeat 0 times",
        stepping("- repeat: {times: 0, steps: [load_driver]}"),
        4,
        "times must be 1 to 100000, not 0",
    ),
    (
        "too many steps",
        stepping(
            "- repeat:\n    times: 1000\n    steps:\n      - repeat: {times: 1000, steps: [load_driver]}"
        ),
        7,
        "more than 100000 steps, repetitions counted",
    ),
    # expect
    ("expect is empty", expecting("[]"), 6, "expect is empty"),
    ("expect as a text", expecting("all is well"), 6, "expect must be a mapping, not 'all is well'"),
    (
        "expect with nothing in it",
        expecting("{}"),
        6,
        "expect promises nothing; give it an 'order' or a 'never'",
    ),
    (
        "a variable in requires",
        expecting("{requires: {driver: {seq: $x}}, order: [process_exit: any]}"),
        6,
        "a variable in requires; nothing binds it there: write a value",
    ),
    (
        "expect with a scope only",
        expecting("scope: {pid: 1}"),
        6,
        "expect promises nothing; give it an 'order' or a 'never'",
    ),
    (
        "an unknown key in expect",
        expecting("ordre: [process_exit: any]"),
        6,
        "unknown key 'ordre' in expect; did you mean 'order'?",
    ),
    (
        "a wrong second block",
        expecting("- never: [process_exit: any]\n- nevr: [process_exit: any]"),
        7,
        "unknown key 'nevr' in expect; did you mean 'never'?",
    ),
    ("order is empty", expecting("order: []"), 6, "order is empty"),
    ("order as a mapping", expecting("order: {process_exit: any}"), 6, "order must be a list, not a mapping"),
    ("never is empty", expecting("never: []"), 6, "never is empty"),
    ("never as a number", expecting("never: 1"), 6, "event must be a mapping with one key, not the number 1"),
    (
        "only as a text",
        expecting('order: [process_exit: any]\nonly: "yes"'),
        7,
        "only must be true or false, not 'yes'",
    ),
    (
        "only as yes",
        expecting("order: [process_exit: any]\nonly: yes"),
        7,
        "only must be true or false, not 'yes'",
    ),
    (
        "only without an order",
        expecting("never: [process_exit: any]\nonly: true"),
        7,
        "'only' without an 'order' would forbid everything",
    ),
    (
        "an unknown field in scope",
        expecting("scope: {pidd: 1}\norder: [process_exit: any]"),
        6,
        "unknown key 'pidd' in scope; did you mean 'pid'?",
    ),
    (
        "an empty scope",
        expecting("scope: {}\norder: [process_exit: any]"),
        6,
        "scope is empty; leave it out to have every event in scope",
    ),
    ("an empty list of scopes", expecting("scope: []\norder: [process_exit: any]"), 6, "scope is empty"),
    (
        "a scope that is a text",
        expecting("scope: $app\norder: [process_exit: any]"),
        6,
        "scope must be a mapping, not '$app'",
    ),
    (
        "a scope that no event has",
        expecting("scope: {tid: 1, image: a.exe}\norder: [process_exit: any]"),
        6,
        "no event has all of tid, image",
    ),
    (
        "a kind that the scope keeps out",
        expecting("scope: {tid: 1}\norder:\n  - thread_exit: any\n  - process_exit: any"),
        9,
        "no process_exit can be in this scope; the scope admits thread_create, thread_exit",
    ),
    (
        "an order that asks for nothing",
        expecting("order:\n  - optional: {process_exit: any}"),
        7,
        "this order asks for nothing: every item of it may be missing",
    ),
    (
        "a list in an order",
        expecting("order:\n  - [process_exit: any]"),
        7,
        "a list in a list; its items belong one level up",
    ),
    (
        "a kind without a pattern",
        expecting("order: [process_exit]"),
        6,
        "'process_exit' without a pattern; write 'process_exit: any'",
    ),
    (
        "a kind with nothing",
        expecting("order:\n  - process_exit:"),
        7,
        (
            "process_exit must say what to look for, not nothing; write 'process_exit: any' for "
            "any process_exit"
        ),
    ),
    (
        "a kind with an empty pattern",
        expecting("order: [process_exit: {}]"),
        6,
        (
            "process_exit must say what to look for, not an empty mapping; write 'process_exit: "
            "any' for any process_exit"
        ),
    ),
    (
        "a kind with a number",
        expecting("order: [process_exit: 5]"),
        6,
        (
            "process_exit must say what to look for, not the number 5; write 'process_exit: any' "
            "for any process_exit"
        ),
    ),
    (
        "an unknown kind",
        expecting("order:\n  - process_exits: any"),
        7,
        "unknown item 'process_exits'; did you mean 'process_exit'?",
    ),
    (
        "an unknown kind in never",
        expecting("never: [proces_exit: any]"),
        6,
        "unknown event 'proces_exit'; did you mean 'process_exit'?",
    ),
    (
        "a gap where only a kind may stand",
        expecting("never: [next: {process_exit: any}]"),
        6,
        (
            "unknown event 'next'; known are process_create, process_exit, thread_create, "
            "thread_exit, image_load, driver, marker, print, bugcheck, stop, rule_broken, reboot, disconnect"
        ),
    ),
    (
        "an item that is a number",
        expecting("order: [5]"),
        6,
        "item must be a mapping with one key, not the number 5",
    ),
    (
        "two kinds in one item",
        expecting("order:\n  - process_create: {pid: 1}\n    process_exit: {pid: 1}"),
        7,
        (
            "item must be a mapping with one key, not several (process_create, process_exit); "
            "begin each with its own '- '"
        ),
    ),
    (
        "an unknown field of process_create",
        expecting("order: [process_create: {tid: 1}]"),
        6,
        "unknown key 'tid' in process_create; did you mean 'pid'?",
    ),
    (
        "an unknown field of process_exit",
        expecting("order: [process_exit: {parent_pid: 1}]"),
        6,
        (
            "unknown key 'parent_pid' in process_exit; "
            "known are pid, context_pid, context_tid, image, time, cpu, seq"
        ),
    ),
    (
        "an unknown field of thread_create",
        expecting("order: [thread_create: {process: 1}]"),
        6,
        (
            "unknown key 'process' in thread_create; known are pid, tid, creating_pid, "
            "creating_tid, time, cpu, seq"
        ),
    ),
    (
        "an unknown field of thread_exit",
        expecting("order: [thread_exit: {threadid: 1}]"),
        6,
        (
            "unknown key 'threadid' in thread_exit; known are pid, tid, context_pid, context_tid, "
            "time, cpu, seq"
        ),
    ),
    (
        "an unknown field of image_load",
        expecting("order: [image_load: {imag: a.dll}]"),
        6,
        "unknown key 'imag' in image_load; did you mean 'image'?",
    ),
    (
        "an unknown field of driver",
        expecting("order: [driver: {rutine: a}]"),
        6,
        "unknown key 'rutine' in driver; did you mean 'routine'?",
    ),
    (
        "an unknown field of marker",
        expecting("order: [marker: {actin: a}]"),
        6,
        "unknown key 'actin' in marker; did you mean 'action'?",
    ),
    (
        "an unknown field of print",
        expecting("order: [print: {line: a}]"),
        6,
        "unknown key 'line' in print; known are time, cpu, seq, text",
    ),
    (
        "an unknown field of bugcheck",
        expecting("order: [bugcheck: {parameters: 1}]"),
        6,
        "unknown key 'parameters' in bugcheck; known are code, module, offset, time, cpu, seq",
    ),
    (
        "a pid that is a text",
        expecting("order: [process_exit: {pid: notepad}]"),
        6,
        "pid must be a whole number, not 'notepad'",
    ),
    (
        "a negative pid",
        expecting("order: [process_exit: {pid: -4}]"),
        6,
        "pid must be 0 to 18446744073709551615, not -4",
    ),
    (
        "a pid of more than 64 bits",
        expecting("order: [process_exit: {pid: 18446744073709551616}]"),
        6,
        "pid must be 0 to 18446744073709551615, not 18446744073709551616",
    ),
    (
        "an image that is a number in a pattern",
        expecting("order: [image_load: {image: 7}]"),
        6,
        "image must be a text, not the number 7",
    ),
    (
        "totals that are a number",
        expecting("order: [driver: {totals: 1}]"),
        6,
        "totals must be true or false, not the number 1",
    ),
    (
        "a list in a list of values",
        expecting("order: [process_exit: {pid: [1, [2]]}]"),
        6,
        "pid: a list where a value is expected",
    ),
    ("an empty list of values", expecting("order: [process_exit: {pid: []}]"), 6, "pid is empty"),
    (
        "a variable in a list of values",
        expecting("order: [process_exit: {pid: [1, $app]}]"),
        6,
        "pid: a variable in a list; use one_of around whole patterns",
    ),
    (
        "a mapping that is not not",
        expecting("order: [process_exit: {pid: {nor: 1}}]"),
        6,
        "unknown key 'nor' in pid; known is only 'not'",
    ),
    (
        "not with a second key",
        expecting("order: [process_exit: {pid: {not: 1, or: 2}}]"),
        6,
        "unknown key 'or' in pid; known is only 'not'",
    ),
    ("an empty not", expecting("order: [process_exit: {pid: {}}]"), 6, "pid lacks 'not'"),
    (
        "not not",
        expecting("order: [process_exit: {pid: {not: {not: 1}}}]"),
        6,
        "pid: 'not' needs a value, a variable or a list of values",
    ),
    (
        "not any",
        expecting("order: [process_exit: {pid: {not: any}}]"),
        6,
        "pid: 'not' needs a value, a variable or a list of values",
    ),
    (
        "a bad variable name",
        expecting("order: [process_exit: {pid: $App}]"),
        6,
        "'$App' is not a variable; write $name or $name.tid: small letters, digits and _",
    ),
    (
        "a variable without a name",
        expecting("order: [process_exit: {pid: $}]"),
        6,
        "'$' is not a variable; write $name or $name.tid: small letters, digits and _",
    ),
    ("next first", expecting("order:\n  - next: {process_exit: any}"), 7, "'next' has nothing before it"),
    (
        "next first in a branch",
        expecting(
            "order:\n"
            "  - process_create: any\n"
            "  - any_order:\n"
            "      - [next: {process_exit: any}]\n"
            "      - thread_exit: any"
        ),
        9,
        "'next' has nothing before it; put 'next' around the any_order, one_of or optional",
    ),
    (
        "next in next",
        expecting("order:\n  - process_create: any\n  - next: {next: {process_exit: any}}"),
        8,
        "'next' in 'next'",
    ),
    (
        "next alone in optional",
        expecting("order:\n  - process_create: any\n  - optional: {next: {process_exit: any}}"),
        8,
        "'next' cannot stand alone in optional",
    ),
    (
        "never alone in one_of",
        expecting("order:\n  - one_of:\n      - never: {process_exit: any}\n      - process_exit: any"),
        8,
        "'never' cannot stand alone in one_of",
    ),
    (
        "within first",
        expecting("order:\n  - within: 1s\n  - process_exit: any"),
        7,
        "'within' must stand between two items",
    ),
    (
        "within last",
        expecting("order:\n  - process_exit: any\n  - within: 1s"),
        8,
        "'within' must stand between two items",
    ),
    (
        "within without a unit",
        expecting("order:\n  - process_create: any\n  - within: 2\n  - process_exit: any"),
        8,
        ("within must be a duration, not the number 2; write a number and its unit: 50us, 300ms, 2s, 1m"),
    ),
    (
        "never last in a branch",
        expecting(
            "order:\n  - optional: [process_create: any, never: {process_exit: any}]\n  - thread_exit: any"
        ),
        7,
        "'never' must stand between two items here",
    ),
    (
        "never beside optionals only",
        expecting("order:\n  - never: {process_exit: any}"),
        7,
        "'never' has no neighbours; put it beside 'order', not in it",
    ),
    (
        "one branch",
        expecting("order:\n  - any_order: [process_exit: any]"),
        7,
        "any_order takes 2 to 64 items, not 1",
    ),
    (
        "65 branches",
        expecting("order:\n  - one_of:\n" + "      - process_exit: any\n" * 65),
        8,
        "one_of takes 2 to 64 items, not 65",
    ),
    (
        "branches as a mapping",
        expecting("order:\n  - one_of: {process_exit: any}"),
        7,
        "one_of must be a list, not a mapping",
    ),
    ("repeat without of", expecting("order:\n  - repeat: {min: 2}"), 7, "repeat lacks 'of'"),
    (
        "an unknown key in repeat of the order",
        expecting("order:\n  - repeat: {of: {process_exit: any}, times: 2}"),
        7,
        "unknown key 'times' in repeat; known are of, min, max",
    ),
    (
        "repeat as a list",
        expecting("order:\n  - repeat: [process_exit: any]"),
        7,
        "repeat must be a mapping, not a list",
    ),
    (
        "min that is a text",
        expecting("order:\n  - repeat: {of: {process_exit: any}, min: two}"),
        7,
        "min must be a whole number, not 'two'",
    ),
    (
        "min beyond the limit",
        expecting("order:\n  - repeat: {of: {process_exit: any}, min: 1000001}"),
        7,
        "min must be 0 to 1000000, not 1000001",
    ),
    (
        "max 0",
        expecting("order:\n  - repeat: {of: {process_exit: any}, min: 0, max: 0}"),
        7,
        "max must be 1 to 1000000, not 0",
    ),
    (
        "max less than min",
        expecting("order:\n  - repeat:\n      of: {process_exit: any}\n      min: 3\n      max: 2"),
        10,
        "max 2 is less than min 3",
    ),
    (
        "a repeated gap",
        expecting("order:\n  - repeat: {of: {within: 1s}}"),
        7,
        "a gap alone cannot be repeated",
    ),
    (
        "a repeated optional",
        expecting("order:\n  - repeat: {of: {optional: {process_exit: any}}}"),
        7,
        "what is repeated may be missing, so any number of rounds fits",
    ),
    # variables
    (
        "an unbound variable that is nearly a bound one",
        expecting("order:\n  - process_exit: {pid: $ap}"),
        7,
        ("undefined variable $ap: no step binds it, and it is named only here; did you mean $app?"),
    ),
    (
        "an unbound variable that is like none",
        expecting("order:\n  - process_exit: {pid: $zzzz}"),
        7,
        ("undefined variable $zzzz: no step binds it, and it is named only here; write 'any' for any value"),
    ),
    (
        "a name of a step misspelt twice",
        expecting("order:\n  - process_create: {pid: $ap}\n  - process_exit: {pid: $ap}"),
        7,
        "undefined variable $ap: no step binds it, and it is nearly $app; "
        "write $app, or 'free: [ap]' beside the order where it is another",
    ),
    (
        "a thread of a step that binds none",
        "scenario: t\nsummary: t.\nsteps:\n  - create_thread: {as: extra}\nexpect:\n  order:\n"
        "    - thread_create: {tid: $extra.tid}\n    - thread_exit: {tid: $extra.tid}\n",
        7,
        "undefined variable $extra.tid: no step binds it, and it is nearly $extra; "
        "write $extra, or 'free: [extra.tid]' beside the order where it is another",
    ),
    (
        "a free variable misspelt twice",
        expecting(
            "order:\n"
            "  - thread_create: {pid: $app, tid: $first}\n"
            "  - thread_exit: {tid: $frist, context_tid: $frist}\n"
            "  - thread_exit: {tid: $first}"
        ),
        8,
        "undefined variable $frist: no step binds it, and it is nearly $first; "
        "write $first, or 'free: [frist]' beside the order where it is another",
    ),
    (
        "a declared variable that is not named",
        expecting("free: [other]\norder:\n  - process_exit: {pid: $app}"),
        6,
        "'free' declares $other, which is not named in this block",
    ),
    (
        "a declared variable that a step binds",
        expecting("free: [$app]\norder:\n  - process_exit: {pid: $app}"),
        6,
        "'free' declares $app, which a step binds",
    ),
    (
        "a variable that is a number and a text",
        expecting("order:\n  - process_create: {pid: $x}\n  - image_load: {image: $x}"),
        8,
        "$x is a number in one place and a text in another",
    ),
    (
        "a variable that must differ before it has a value",
        expecting("order:\n  - process_create: {pid: {not: $x}}\n  - process_exit: {pid: $x}"),
        7,
        "$x need not have a value before this line",
    ),
    (
        "a variable in never before it has a value",
        expecting(
            "order:\n"
            "  - process_create: any\n"
            "  - never: {process_exit: {pid: $x}}\n"
            "  - thread_exit: {pid: $x}"
        ),
        8,
        "$x need not have a value before this line",
    ),
    (
        "a variable that only one of the branches binds",
        expecting(
            "order:\n"
            "  - one_of:\n"
            "      - process_create: {pid: $x}\n"
            "      - thread_create: any\n"
            "  - never: {thread_exit: {pid: $x}}\n"
            "  - process_exit: any"
        ),
        10,
        "$x need not have a value before this line",
    ),
    (
        "a trace-wide never with a variable without a value",
        expecting(
            "order:\n"
            "  - optional: {process_create: {pid: $x}}\n"
            "  - process_exit: any\n"
            "never: [thread_exit: {pid: $x}]"
        ),
        9,
        "$x need not have a value where the order ends",
    ),
    (
        "a scope with a variable without a value",
        expecting("scope: {pid: $x, tid: $x}\norder:\n  - thread_create: any"),
        6,
        "$x need not have a value in the whole order",
    ),
    (
        "a scope that excludes what only the order finds",
        expecting(
            "scope: {pid: {not: $x}}\norder:\n  - process_create: {pid: $x}\n  - process_exit: {pid: $x}"
        ),
        6,
        (
            "$x need not have a value where the scope is found; what a scope excludes is bound by a step,"
            " or is a value of the scope itself"
        ),
    ),
    (
        "a name of a round outside of a repeat",
        expecting_rounds("order:\n  - process_create: {pid: $one}"),
        7,
        (
            "$one is bound in each round of a repeat of steps; use it inside a repeat of the "
            "order: round by round"
        ),
    ),
    (
        "a name of a round in two repeats",
        expecting_rounds(
            "order:\n"
            "  - repeat:\n"
            "      of:\n"
            "        - repeat: {of: {process_create: {pid: $one}}}\n"
            "        - process_exit: any"
        ),
        9,
        "$one is bound once a round; which of two repeats is meant?",
    ),
    (
        "more rounds than the steps bind",
        expecting_rounds("order:\n  - repeat: {of: {process_create: {pid: $one}}, min: 4}"),
        7,
        "min 4 rounds, but the steps bind $one 3 times",
    ),
]


def error_of(text: str) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        parse(text, Path("t.yaml"))
    return caught.value


@pytest.mark.parametrize(("text", "line", "message"), [pytest.param(*row, id=name) for name, *row in TABLE])
def test_every_mistake_is_one_line_with_its_place(text: str, line: int, message: str) -> None:
    error = error_of(text)
    assert str(error) == f"t.yaml:{line}: {message}"
    assert str(error).isprintable()
    assert error.exit_code == 2
    assert error.others == (), "one mistake is told once"


def test_the_table_has_a_row_for_every_error_of_the_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    places = _places()
    assert len(places) > 50
    for name in ("fail", "note"):
        monkeypatch.setattr(Source, name, _seen(places, getattr(Source, name)))
    for _, text, _, _ in TABLE:
        error_of(text)
    assert not places


def _places() -> set[tuple[str, int]]:
    """Every call in the loader that makes an error: its file and the line where it begins."""
    found = set()
    folders = (Path(room.__file__).parent for room in (harness.scenario, harness.yamlfile))
    for path in (path for folder in folders for path in folder.glob("*.py")):
        if path.name == "unreported.py":
            continue  # of machine files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="fail" | "note")):
                    found.add((str(path), node.lineno))
    return found


def _seen(places: set[tuple[str, int]], make: Callable[..., Any]) -> Callable[..., Any]:
    """``make``, which takes the place that calls it from ``places``."""

    @wraps(make)
    def seen(*args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        places.discard((caller.f_code.co_filename, caller.f_lineno))
        return make(*args, **kwargs)

    return seen


def test_the_depth_that_is_allowed_is_allowed() -> None:
    error = error_of(topped("seed: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)))
    assert error.message == "seed must be a whole number, not a list"


def told(text: str) -> list[str]:
    return [str(mistake) for mistake in error_of(text).mistakes]


def test_every_mistake_of_a_file_is_told_in_the_order_of_its_lines() -> None:
    text = (
        "scenario: t\n"
        "summary: t.\n"
        "seed: 010\n"
        "steps:\n"
        "  - lanch: {image: a.exe, as: app}\n"
        "  - sleep: soon\n"
        "  - terminate: {process: $app, kode: 1}\n"
        "expect:\n"
        "  order:\n"
        "    - process_create: {pdi: $app, parent_pid: none}\n"
        "    - within: 2\n"
        "    - process_exit: {pid: $app}\n"
        "  never: [image_lode: any]\n"
        "profil: fast\n"
    )
    assert [line.split(": ")[0] for line in told(text)] == [
        f"t.yaml:{line}" for line in (3, 5, 6, 7, 10, 10, 11, 13, 14)
    ]
    error = error_of(text)
    assert error.__notes__ == [str(other) for other in error.others]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(
            stepping(
                "- lanch: {image: a.exe, as: app}\n- terminate: $app\n- launch: {image: b.exe, as: app}"
            ),
            [4],
            id="a name of a step with a mistake",
        ),
        pytest.param(
            "scenario: t\nsummary: t.\nsteps:\n  - lanch: {image: a.exe, as: app}\n"
            "expect:\n  order:\n    - process_create: {pid: $app, parent_pid: $agent}\n",
            [4],
            id="a name of a step with a mistake, expected",
        ),
        pytest.param(
            expecting(
                "order:\n  - process_craete: {pid: $other}\n  - next: {thread_exit: any}\n"
                "  - process_exit: {pid: $other}"
            ),
            [7],
            id="the neighbour and the variable of an item with a mistake",
        ),
        pytest.param(topped("summary: again\nexpect: {}"), [5, 6], id="what is there twice counts once"),
        pytest.param(
            expecting("scope: {pdi: 4}\norder: [process_exit: any]"), [6], id="a scope with an unknown field"
        ),
        pytest.param(expecting("ordr: [process_exit: any]\nonly: true"), [6], id="a misspelt order"),
    ],
)
def test_what_comes_of_a_mistake_is_not_told(text: str, lines: list[int]) -> None:
    assert [mistake.line for mistake in error_of(text).mistakes] == lines


def test_a_file_is_not_read_on_after_so_many_mistakes() -> None:
    mistakes = told(expecting("order:\n" + "  - process_exti: any\n" * 1_000))
    assert len(mistakes) == MAX_MISTAKES + 1
    assert mistakes[-1] == "t.yaml:26: 20 mistakes; the file is not read on"


@pytest.mark.parametrize(
    "expect",
    [
        "free: [ap]\norder: [process_create: {pid: $ap}, process_exit: {pid: $ap}]",
        "free: [$app2.tid]\norder: [thread_create: {tid: $app2.tid}, process_exit: any]",
        "order: [process_create: {pid: $child1}, process_create: {pid: $child2},"
        " process_exit: {pid: $child1}, process_exit: {pid: $child2}]",
        "order: [thread_create: {tid: $tid, pid: $pid}, thread_exit: {tid: $tid, pid: $pid}]",
    ],
)
def test_a_free_variable_that_is_no_slip(expect: str) -> None:
    assert parse(expecting(expect), Path("t.yaml")).expect


def test_a_step_that_binds_a_number_of_the_series_misses_the_others() -> None:
    text = expecting("order: [process_create: {pid: $worker2}, process_exit: {pid: $worker2}]")
    (mistake,) = told(text.replace("as: app", "as: worker1"))
    assert "no step binds it, and it is nearly $worker1" in mistake


def test_as_many_variables_as_fit_into_a_file_are_looked_at_once_each() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ["".join(c * 3 for c in (a, b, c)) for a in letters for b in letters for c in letters[:2]]
    items = "".join(f"  - process_exit: {{pid: ${name}, context_pid: ${name}}}\n" for name in names)
    assert len(parse(expecting("order:\n" + items), Path("t.yaml")).expect[0].order.items) == len(names)


def test_a_control_code_that_is_cut_at_its_commas_is_told_how_to_write_it() -> None:
    error = error_of(device("- ioctl: {device: $d, code: CTL_CODE(1, 2, 3, 0)}"))
    last = error.others[-1]
    assert last.hint == 'inside { } it needs quotation marks: code: "CTL_CODE(...)"'
