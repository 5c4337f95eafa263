"""The project's file: found upward, read, refused with its place, and what the commands make of it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.cli._again import again
from harness.cli._project import PROJECT_COMMANDS
from harness.errors import ProjectFileError
from harness.projectfile import KEYS, MAX_BYTES, ProjectFile, find_project_file, read_project_file
from harness.schemas import schema_file
from harness.toolchain import default_driver

ROOT = Path(__file__).resolve().parent.parent
WHOLE = """
driver = ["bus.sys", "build/mine.sys"]
machine = "vm/lab.yaml"
debugger = "pykd"
seeds = "3-7"
trace-dir = "out"
lines = "mine.lines.yaml"
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path) -> None:
    for name, head in (("procnotify.toml", ""), ("pyproject.toml", "[tool.procnotify]\n")):
        path = write(tmp_path / name, head + WHOLE)
        assert read_project_file(path) == ProjectFile(
            path,
            drivers=(tmp_path / "bus.sys", tmp_path / "build" / "mine.sys"),
            machine=str(tmp_path / "vm" / "lab.yaml"),
            debugger="pykd",
            seeds="3-7",
            trace_dir=tmp_path / "out",
            lines=tmp_path / "mine.lines.yaml",
        )


def test_the_name_of_a_machine_is_no_path(tmp_path: Path) -> None:
    found = read_project_file(write(tmp_path / "procnotify.toml", 'machine = "virtual"\ndriver = "a.sys"'))
    assert found is not None
    assert (found.machine, found.drivers) == ("virtual", (tmp_path / "a.sys",))
    assert str(found).endswith("procnotify.toml: driver, machine")


def test_the_nearest_file_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "procnotify.toml", 'seeds = "1-2"\ndebugger = "none"')
    write(tmp_path / "a" / "pyproject.toml", '[tool.procnotify]\nseeds = "5-6"\n')
    write(tmp_path / "a" / "b" / "pyproject.toml", "[tool.other]\n")
    write(tmp_path / "a" / "b" / "c" / "pyproject.toml", "this is = not [toml\n")  # another's business
    here = tmp_path / "a" / "b" / "c"
    monkeypatch.chdir(here)
    found = find_project_file(Path())
    assert found is not None
    assert (found.seeds, found.debugger) == ("5-6", None)
    assert found.path.resolve() == (tmp_path / "a" / "pyproject.toml").resolve()
    write(here / "procnotify.toml", "")
    assert find_project_file(Path()) == ProjectFile(Path("procnotify.toml"))
    assert find_project_file(tmp_path) == read_project_file(tmp_path / "procnotify.toml")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('debugger = "none"\n\nmachin = "lab.yaml"', 3, "'machin' is no key"),
        ("debugger = 7", 1, "'debugger' is 7; write a name"),
        ('debugger = ""', 1, "'debugger' is ''"),
        ('\n# seeds =\n "seeds" = "7-3"', 3, "'seeds' is '7-3'"),
        ("seeds = 5", 1, "'seeds' is 5; write a range of seeds"),
        ("driver = []", 1, "'driver' has 0 paths"),
        ('lines = "a"\ndriver = ["a.sys", 5]', 2, "'driver' is 5"),
        ('trace-dir = "a\\u0000b"', 1, "'trace-dir' is"),
        ('seeds = "1-2"\nseeds = "1-2"', 2, "it is no TOML"),
        ("a = [1,", 1, "it is no TOML"),
        (f"machine = [{'1, ' * 100}]", 1, "..."),
        ('seeds = "1-300000000000000000"', 1, "at most 10000000 seeds"),
        (f"\n{'a.' * 32_000}a = 1", 2, "more than 500 dots"),
        (f"debugger = 0x{'f' * 9_000}", 1, "a value of type int that is too large to be shown"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, line: int, words: str) -> None:
    for name, head in (("procnotify.toml", ""), ("pyproject.toml", "# procnotify\n[tool.procnotify]\n")):
        path = write(tmp_path / name, head + text)
        with pytest.raises(ProjectFileError) as error:
            read_project_file(path)
        assert str(error.value).startswith(f"{path}:{line + head.count(chr(10))}: "), str(error.value)
        assert words in str(error.value)


def test_a_section_that_is_no_table_and_files_that_are_none(tmp_path: Path) -> None:
    for text, words in (("[tool]\nprocnotify = 5", "is no table"), ("procnotify" * MAX_BYTES, "larger")):
        with pytest.raises(ProjectFileError, match=words):
            read_project_file(write(tmp_path / "pyproject.toml", text))
    assert read_project_file(write(tmp_path / "pyproject.toml", "tool = 5 # procnotify")) is None
    assert read_project_file(write(tmp_path / "pyproject.toml", "#" * 2 * MAX_BYTES)) is None
    with pytest.raises(ProjectFileError, match="larger than 65536 bytes"):
        read_project_file(write(tmp_path / "pyproject.toml", "# procnotify\n" + "#" * MAX_BYTES))
    (tmp_path / "procnotify.toml").write_bytes(b"\xff")
    with pytest.raises(ProjectFileError, match="no UTF-8"):
        find_project_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"machine = {'[' * 60_000}", "too many lists or tables inside one another"),
        (f"debugger = {'1' * 5_000}", "a number of more digits than can be read"),
    ],
    ids=["deep", "long"],
)
def test_what_is_too_much_for_the_reader_of_toml_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ProjectFileError, match=words):
        read_project_file(write(tmp_path / "procnotify.toml", text))


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    found = read_project_file(write(tmp_path / "procnotify.toml", '\ufeffdebugger = "none"'))
    assert found is not None and found.debugger == "none"


def test_a_mistake_in_the_file_stands_in_the_way_of_no_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "procnotify.toml", 'debuger = "none"')
    monkeypatch.chdir(tmp_path)
    for words in (["run", "--help"], ["explore", "--help"], ["lint", "--help"], ["--help"]):
        shown = CliRunner().invoke(cli, words)
        assert (shown.exit_code, "Usage:" in shown.stdout) == (0, True), shown.output
    assert "'debuger' is no key" in str(call("run", "scenarios")[0]["error"])


def test_every_default_is_of_a_parameter_that_the_command_has(tmp_path: Path) -> None:
    project = read_project_file(write(tmp_path / "procnotify.toml", WHOLE))
    assert project is not None
    for name, defaults in PROJECT_COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert set(defaults(project)) <= {parameter.name for parameter in command.params}, name


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a driver and a scenario, and its file; the current folder is below it."""
    shutil.copyfile(ROOT / "scenarios" / "create-thread.yaml", tmp_path / "thread.yaml")
    shutil.copyfile(default_driver().path, tmp_path / "mine.sys")
    text = 'driver = "mine.sys"\ndebugger = "none"\nseeds = "2-3"\ntrace-dir = "out"\n'
    write(tmp_path / "procnotify.toml", text)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


def call(*words: str) -> tuple[dict[str, object], str]:
    done = CliRunner().invoke(cli, [*words, "--json"], standalone_mode=False)
    assert done.stdout.startswith("{"), f"{done.stderr}{done.exception}"
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize(
    ("words", "seeds"),
    [([], [2, 3]), (["--seed", "9"], [9]), (["--repeat", "2"], [1, 2]), (["--seeds", "4-4"], [4])],
)
def test_run_takes_it_and_the_command_line_comes_first(
    project: Path, words: list[str], seeds: list[int]
) -> None:
    document, said = call("run", "../thread.yaml", "-v", "--keep-traces", "all", *words)
    assert [result["seed"] for result in document["results"]] == seeds
    assert "defaults from ../procnotify.toml: driver, debugger, seeds, trace-dir" in said.replace("\\", "/")
    assert list((project / "out").iterdir())


def test_what_is_to_be_done_again_leaves_nothing_to_the_file() -> None:
    said = {"kdfiles": False, "strict": False, "witness": None, "rules_off": frozenset[str]()}
    words = again("virtual", "native", [], None, None, {}, **said, in_project=True)
    assert list(words) == ["--machine", "virtual", "--debugger", "native"]
    assert list(again("virtual", "native", [], None, None, {}, **said)) == []


def test_try_and_explore_take_their_part(project: Path) -> None:
    document, _ = call("try")
    assert str(document["driver"]).replace("\\", "/") == "../mine.sys"
    for words, seeds in (([], [2, 3]), (["--seeds", "1"], [2, 2]), (["--seed", "7", "--seeds", "1"], [7, 7])):
        document, _ = call("explore", "../thread.yaml", "--cpus", "1", *words)
        assert document["seeds"] == seeds


def test_the_first_seed_to_explore_takes_no_number_from_the_file() -> None:
    command = cli.get_command(click.Context(cli), "explore")
    assert command is not None
    ctx = click.Context(cli)
    ctx.default_map = {"explore": {"seed": 2, "seeds": 2}}
    for words, found in (
        ([], (2, 2)),
        (["--seed", "7"], (7, None)),
        (["--seed", "7", "--seeds", "3"], (7, 3)),
    ):
        params = command.make_context("explore", ["a.yaml", *words], parent=ctx).params
        assert (params["seed"], params["seeds"]) == found


def test_matrix_takes_it_for_its_cells(project: Path) -> None:
    document, _ = call("matrix", "../thread.yaml")
    (cell,) = document["cells"]
    assert (cell["debugger"], cell["exit_code"], len(cell["results"])) == ("none", 0, 2)


def test_check_reads_lines_by_it(project: Path) -> None:
    log = write(project / "windbg.log", "[mydriver] process 8 ended\n")
    grammar = CliRunner().invoke(cli, ["new", "grammar"], standalone_mode=False).stdout
    write(project / "mine.lines.yaml", grammar)
    assert "counts" not in call("show", str(log))[0]  # no line of the built-in grammar
    write(project / "procnotify.toml", 'lines = "mine.lines.yaml"')
    assert call("show", str(log))[0]["counts"] == {"process_exit": 1}
    scenario = str(project / "thread.yaml")
    said = CliRunner().invoke(cli, ["check", str(log), scenario, "-v", "--partial"]).stderr
    assert "defaults from" in said and "lines" in said


@pytest.mark.skipif(sys.platform == "win32", reason="the Windows Python of the tests has no jsonschema")
def test_the_schema_and_the_reader_are_of_one_mind(tmp_path: Path) -> None:
    import tomllib

    from jsonschema import Draft202012Validator

    schema = json.loads(schema_file("project").read_text(encoding="utf-8"))
    valid = Draft202012Validator(schema).is_valid
    assert set(schema["properties"]) == set(KEYS)
    for text in (
        WHOLE,
        'driver = "a"',
        "",
        "debugger = 7",
        "seeds = 5",
        'seeds = "a"',
        "driver = []",
        "x = 1",
    ):
        try:
            read_project_file(write(tmp_path / "procnotify.toml", text))
            read = True
        except ProjectFileError:
            read = False
        assert valid(tomllib.loads(text)) is read, text
