"""Scenario files on a disk: what is shipped loads; whatever else a file holds is an error, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scenario_texts import topped
from this_system import NO_SUCH_FILE

from harness.errors import ScenarioError
from harness.scenario import Scenario, load, parse
from harness.yamlfile.parse import MAX_FILE

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = sorted((ROOT / "scenarios").glob("*.yaml"))
GOOD = topped("seed: 7").encode()
NOTEPAD = (ROOT / "scenarios" / "notepad-launch.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in SHIPPED])
def test_every_shipped_scenario_loads_and_is_named_as_its_file(path: Path) -> None:
    scenario = load(path)
    assert scenario.name == path.stem
    assert scenario.steps
    assert scenario.expect


def test_there_are_shipped_scenarios() -> None:
    assert len(SHIPPED) >= 10


TOO_LARGE = "1: cannot be read: it is larger than 1048576 bytes"
FILES = [
    ("a byte that is no UTF-8", GOOD + b"profile: \xff\n", "6: not UTF-8 text; save the file as UTF-8"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "1: not UTF-8 text; save the file as UTF-8"),
    ("a character that is cut off", GOOD + b"# \xf0\x9f", "6: not UTF-8 text; save the file as UTF-8"),
    ("a NUL byte", b"\x00", "1: not YAML: unacceptable character #x0000: special characters are not allowed"),
    ("a program", b"MZ\x90\x00\x03", "1: not UTF-8 text; save the file as UTF-8"),
    ("one byte too many", GOOD + b"#" * (MAX_FILE + 1 - len(GOOD)), TOO_LARGE),
    ("too large, with a byte order mark", b"\xef\xbb\xbf" + GOOD + b"#" * MAX_FILE, TOO_LARGE),
    ("too large, cut within a character", b"# " + "\u00e9".encode() * MAX_FILE, TOO_LARGE),
]


@pytest.mark.parametrize(("data", "message"), [pytest.param(*row, id=name) for name, *row in FILES])
def test_what_is_no_text_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(data)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{message}"


def test_a_file_of_100_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{TOO_LARGE}"


def test_a_byte_order_mark_and_crlf_are_read_over(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"))
    assert load(path).seed == 7


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("none.yaml", NO_SUCH_FILE, id="no file"),
        pytest.param(".", "", id="a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}:1: cannot be read: {reason}")


FUZZ = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Tokens that YAML and the loader know, so that the nonsense gets past the first line.
words = st.sampled_from(
    [
        *"{}[],:-?&*!|>'\"%@`#$~\n\n\n\n    ",
        *(
            ": ",
            "- ",
            "\n  ",
            "\n    - ",
            "? ",
            "&a",
            "*a",
            "<<",
            "---",
            "...",
            "%YAML 1.",
            "!!",
            "\\U",
            "\\x",
        ),
        *(
            "scenario: t\n",
            "summary: t.\n",
            "expect:\n",
            "steps:\n",
            "order:",
            "never:",
            "scope:",
            "only: true",
        ),
        *("launch:", "repeat:", "times: 3", "settle", "sleep: 1ms", "of:", "min: 2", "any_order:", "one_of:"),
        *("next:", "within: 1s", "optional:", "process_exit:", "image_load:", "pid: ", "image: ", "not: "),
        *(
            "any",
            "$x",
            "$app.tid",
            "null",
            "true",
            "0x",
            "-1",
            "1" * 30,
            "\x00",
            "\t",
            "\x85",
            "\u2028",
            "\ufeff",
        ),
    ]
)


def loads_or_refuses(text: str) -> None:
    try:
        scenario = parse(text, Path("t.yaml"))
    except ScenarioError as error:
        assert str(error).isprintable()
        assert 1 <= error.line <= len(text.splitlines()) + 1
    else:
        assert isinstance(scenario, Scenario)
        assert scenario.expect


@settings(FUZZ, max_examples=300)
@given(st.lists(words, max_size=40).map("".join) | st.text(max_size=200))
@example('a: "\\UFFFFFFFF"')
@example('a: "\\ud800"')
@example("%YAML 1." + "9" * 5000)
def test_any_text_loads_or_is_refused(text: str) -> None:
    loads_or_refuses(text)


@settings(FUZZ, max_examples=300)
@given(st.data())
def test_a_scenario_with_a_part_replaced_loads_or_is_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(NOTEPAD)))
    length = data.draw(st.integers(0, 30))
    middle = data.draw(st.lists(words, max_size=4).map("".join))
    loads_or_refuses(NOTEPAD[:start] + middle + NOTEPAD[start + length :])


@settings(FUZZ, max_examples=300)
@given(data=st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: GOOD + tail))
def test_any_bytes_load_or_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(data)
    try:
        scenario = load(path)
    except ScenarioError as error:
        assert str(error).startswith(f"{path}:{error.line}: ")
        assert error.message.isprintable()
    else:
        assert isinstance(scenario, Scenario)
