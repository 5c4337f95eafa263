"""Where an interpreter with pykd is looked for, and how an environment for it is made."""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_windows import FakeWindows

from harness.debuggers.pykd.interpreters import (
    VARIABLE,
    Host,
    NoAnswer,
    PykdMissing,
    ask,
    find_interpreter,
    probe,
    run_program,
)
from harness.debuggers.pykd.setup import PykdSetupError, remove, setup, where
from harness.debuggers.workers.link import WORKER
from harness.errors import UsageError
from harness.wine.command import Finished


@pytest.fixture
def windows(tmp_path: Path) -> FakeWindows:
    return FakeWindows(tmp_path)


# The search


def test_the_named_one_goes_first_then_the_own_environment_then_the_launcher(windows: FakeWindows) -> None:
    named = windows.python("named", (3, 12, 1), pykd=True)
    own = windows.own()
    newest = windows.python("newest", pykd=True)
    older = windows.python("older", (3, 7, 9), pykd=True)
    windows.launcher(py39=newest, py37=older)

    windows.variables[VARIABLE] = str(named)
    assert find_interpreter(windows.host()) == [str(named)]
    windows.variables[VARIABLE] = ""
    assert find_interpreter(windows.host()) == [str(own)]
    remove(host=windows.host())
    assert find_interpreter(windows.host()) == [str(newest)]
    windows.launcher(py38=windows.python("without"), py37=older)
    assert find_interpreter(windows.host()) == [str(older)]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"pykd": False}, "its Python 3.9.13 has no pykd"),
        ({"version": (3, 6, 8)}, "it is Python 3.6.8, older than 3.7"),
        ({"bits": 32}, "it is a 32-bit Python 3.9.13, not a 64-bit one"),
        ({"says": "No Python at 'C:\\Python39'", "code": 103}, "No Python at 'C:\\Python39'"),
        ({"says": "", "code": 3}, "exit code 3"),
        ({"says": "Hello\x1b[2J"}, "it answers 'Hello [2J', which is no answer"),
        ({"says": "[" * 70000}, "which is no answer"),
        ({"says": "x" * 5000}, "it answers '" + "x" * 200 + "...', which is no answer"),
        ({"says": "[1]"}, "it answers '[1]', which is no answer"),
        ({"says": '{"version": "3"}'}, 'it answers {"version": "3"}, which says nothing about a Python'),
        (
            {"says": '{"executable": "", "version": [3, 9, 1], "bits": 64, "pykd": true}'},
            "which says nothing about a Python",
        ),
    ],
)
def test_one_that_will_not_do_is_an_error_if_named_and_passed_over_if_not(
    windows: FakeWindows, facts: dict[str, Any], reason: str
) -> None:
    facts = {"pykd": True} | facts
    good = windows.python("good", (3, 8, 10), pykd=True)
    windows.own(**facts)
    windows.launcher(py39=windows.python("bad", **facts), py38=good)
    assert find_interpreter(windows.host()) == [str(good)]

    windows.launcher()
    with pytest.raises(PykdMissing) as missing:
        find_interpreter(windows.host())
    assert f"{windows.environment.folder}: " in str(missing.value)
    assert reason in str(missing.value)

    bad = windows.python("bad", **facts)
    windows.launcher(py39=good)
    windows.variables[VARIABLE] = str(bad)
    with pytest.raises(UsageError) as refused:
        find_interpreter(windows.host())
    assert str(refused.value).startswith(f"{VARIABLE} names {bad}, which will not do: ")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_that_is_named_but_not_there(windows: FakeWindows) -> None:
    windows.own()
    for path in (windows.root / "nothing" / "python.exe", windows.root):
        windows.variables[VARIABLE] = str(path)
        with pytest.raises(UsageError) as refused:
            find_interpreter(windows.host())
        assert (
            str(refused.value)
            == f"{VARIABLE} names {path}, which is no file; it takes the path of a python.exe"
        )


def test_one_that_is_no_program(windows: FakeWindows) -> None:
    path = windows.root / "python.exe"
    path.write_text("", encoding="utf-8")
    windows.variables[VARIABLE] = str(path)
    with pytest.raises(UsageError, match="it cannot be started: Permission denied"):
        find_interpreter(windows.host())


def test_one_that_hangs_is_ended_at_its_deadline(windows: FakeWindows) -> None:
    windows.variables[VARIABLE] = str(windows.python("hung", hangs=True))
    with pytest.raises(UsageError, match=r"will not do: no end within 0\.2 s; "):
        find_interpreter(windows.host(probe_seconds=0.2))


def test_an_environment_without_its_stamp_is_not_used(windows: FakeWindows) -> None:
    windows.own()
    windows.environment.stamp.unlink()
    with pytest.raises(PykdMissing, match="`procnotify pykd setup` has not been run to its end"):
        find_interpreter(windows.host())


def test_nothing_at_all(windows: FakeWindows) -> None:
    with pytest.raises(PykdMissing) as missing:
        find_interpreter(windows.host())
    assert str(missing.value) == (
        "no Python with pykd was found (`procnotify pykd setup` has not been run to its end; "
        "there is no launcher `py`); run `procnotify pykd setup`; "
        "64-bit Python 3.9 comes from python.org or by `winget install Python.Python.3.9`"
    )
    assert missing.value.exit_code == 3


def test_a_search_starts_from_nothing_each_time(windows: FakeWindows) -> None:
    with pytest.raises(PykdMissing):
        find_interpreter(windows.host())
    own = windows.own()
    assert find_interpreter(windows.host()) == [str(own)]


def test_what_a_real_interpreter_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def has_pykd(**variables: str) -> bool:
        found = probe([sys.executable], Host(environment={**os.environ, **variables}), origin="here")
        assert found.executable == sys.executable
        assert found.version == sys.version_info[:3]
        assert found.bits == (64 if sys.maxsize > 2**32 else 32)
        return found.has_pykd

    assert not has_pykd()
    assert not has_pykd(PYTHONPATH=str(_module(tmp_path / "empty", whole=False)))
    installed = _module(tmp_path / "installed", whole=True)
    assert has_pykd(PYTHONPATH=str(installed))
    # The worker would not find that one.
    monkeypatch.chdir(installed)
    assert not has_pykd()


def _module(folder: Path, *, whole: bool) -> Path:
    (folder / "pykd").mkdir(parents=True)
    if whole:
        (folder / "pykd" / "__init__.py").touch()
    return folder


def test_only_the_end_of_a_long_output_is_kept() -> None:
    done = run_program([sys.executable, "-c", "print('x' * 10**6); print('end')"], 60, os.environ)
    assert done.last_line() == "end"
    assert len(done.output) == 65536


@pytest.mark.parametrize(("code", "shown"), [(0xC0000005, "0xc0000005"), (1, "1"), (-11, "-11")])
def test_how_windows_ends_a_process_is_said_as_it_is_known(code: int, shown: str) -> None:
    with pytest.raises(NoAnswer, match=f"^exit code {shown}$"):
        ask(["python"], "", Host(run=lambda *_: Finished(code, "")), timeout=1)


# The setup


def test_setup_makes_an_environment_once(windows: FakeWindows) -> None:
    base = windows.python("base", (3, 8, 10))
    windows.launcher(py38=base)
    steps: list[str] = []
    ready = setup(steps.append, host=windows.host())
    assert (ready.python, ready.pykd, ready.command) == (
        "3.8.10",
        "0.3.4.15",
        str(windows.environment.python),
    )
    assert steps == [
        f"found Python 3.8.10: {base}",
        f"making a virtual environment in {windows.environment.folder}",
        "installing pykd==0.3.4.15",
        "importing pykd",
    ]
    assert windows.ran(str(windows.environment.python), "install", "pykd==0.3.4.15") == 1
    assert find_interpreter(windows.host()) == [ready.command]
    assert where(host=windows.host()) == ready

    windows.runs.clear()
    steps.clear()
    assert setup(steps.append, host=windows.host()) == ready
    assert steps == [f"importing pykd in {windows.environment.folder}"]
    assert [command[0] for command in windows.runs] == [ready.command]


def test_setup_from_another_python_makes_the_environment_anew(windows: FakeWindows) -> None:
    first, second = windows.python("first"), windows.python("second", (3, 7, 9))
    for base, venvs in ((first, 1), (first, 1), (second, 2), (second, 2)):
        setup(lambda text: None, python=base, host=windows.host())
        assert windows.ran("venv") == venvs
    assert setup(lambda text: None, host=windows.host()).python == "3.7.9"
    assert windows.ran("venv") == 2


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"venv_fails": "Error: [WinError 5] Access is denied"}, "venv failed: Error: [WinError 5] Access"),
        ({"elsewhere": True}, " made no environment in "),
        ({"pip_fails": "ERROR: No matching distribution"}, "pip failed: No matching distribution; "),
        ({"pip_fails": "no such option"}, "pip failed: WARNING: the last word; "),
        (
            {"in_venv": {"import_fails": "ImportError: DLL load failed"}},
            "pykd cannot be imported by {python}: ImportError: DLL load failed; try another Python",
        ),
    ],
)
def test_what_was_left_half_made_is_made_anew(
    windows: FakeWindows, facts: dict[str, Any], error: str
) -> None:
    windows.launcher(py39=windows.python("base", **facts))
    with pytest.raises(PykdSetupError) as failed:
        setup(lambda text: None, host=windows.host())
    assert error.format(python=windows.environment.python) in str(failed.value)
    assert "\n" not in str(failed.value)
    assert not windows.environment.complete

    windows.launcher(py39=windows.python("base"))
    (windows.environment.folder / "left").mkdir(parents=True)
    setup(lambda text: None, host=windows.host())
    assert windows.environment.complete
    assert not (windows.environment.folder / "left").exists()


@pytest.mark.parametrize("stamp", ["", "[]", "{}", '{"pykd": "pykd==0.3.4.14"}'])
def test_an_environment_with_another_pykd_is_made_anew(windows: FakeWindows, stamp: str) -> None:
    windows.launcher(py39=windows.python("base"))
    windows.own()
    windows.environment.stamp.write_text(stamp, encoding="utf-8")
    setup(lambda text: None, host=windows.host())
    assert windows.ran("venv") == 1
    assert json.loads(windows.environment.stamp.read_text(encoding="utf-8"))["pykd"] == "pykd==0.3.4.15"


def test_an_environment_that_has_broken_is_made_anew(windows: FakeWindows) -> None:
    windows.launcher(py39=windows.python("base"))
    setup(lambda text: None, host=windows.host())
    Path(f"{windows.environment.python}.json").write_text(
        '{"says": "No Python at X", "code": 103}', encoding="utf-8"
    )
    steps: list[str] = []
    setup(steps.append, host=windows.host())
    assert steps[1] == "that does not work any more (No Python at X): making it anew"
    assert windows.ran("venv") == 2


@pytest.mark.parametrize(
    ("version", "facts", "reason"),
    [
        ((3, 12, 1), {}, "it is Python 3.12.1, not 3.7 to 3.9"),
        ((3, 6, 8), {}, "it is Python 3.6.8, not 3.7 to 3.9"),
        ((3, 9, 13), {"bits": 32}, "it is a 32-bit Python 3.9.13, not a 64-bit one"),
        ((3, 9, 13), {"says": "nonsense"}, "it answers 'nonsense', which is no answer"),
    ],
)
def test_setup_wants_a_python_that_pykd_has_wheels_for(
    windows: FakeWindows, version: tuple[int, int, int], facts: dict[str, Any], reason: str
) -> None:
    python = windows.python("base", version, **facts)
    with pytest.raises(UsageError) as refused:
        setup(lambda text: None, python=python, host=windows.host())
    assert str(refused.value).startswith(f"no environment for pykd can be made from {python}: {reason}; ")
    windows.launcher(py39=python)
    with pytest.raises(PykdMissing) as missing:
        setup(lambda text: None, host=windows.host())
    assert str(missing.value).startswith(
        f"no 64-bit Python 3.7 to 3.9 was found (py -3.9: {reason}; "
        "py -3.8: Python 3.8 not found!; py -3.7: Python 3.7 not found!); 64-bit Python 3.9 comes from"
    )
    assert not windows.environment.folder.exists()


def test_setup_with_a_python_that_is_not_there(windows: FakeWindows) -> None:
    with pytest.raises(UsageError, match=r"nothing/python\.exe is no file; --python takes the path"):
        setup(lambda text: None, python=windows.root / "nothing" / "python.exe", host=windows.host())


def test_setup_says_when_its_work_will_not_be_used(windows: FakeWindows) -> None:
    windows.launcher(py39=windows.python("base"))
    windows.variables[VARIABLE] = "C:\\own\\python.exe"
    steps: list[str] = []
    setup(steps.append, host=windows.host())
    assert steps[0].startswith(f"note: while {VARIABLE} is set")


def test_two_setups_do_not_meet(windows: FakeWindows) -> None:
    windows.launcher(py39=windows.python("base"))

    def meanwhile(step: str) -> None:
        with pytest.raises(PykdSetupError, match=r"another setup is at work in .*; wait for its end"):
            setup(lambda text: None, host=windows.host())
        with pytest.raises(PykdSetupError, match="another setup is at work"):
            remove(host=windows.host())
        met.append(step)

    met: list[str] = []
    setup(meanwhile, host=windows.host())
    assert len(met) == 4
    setup(lambda text: None, host=windows.host())


def test_an_environment_in_use_cannot_be_deleted(
    windows: FakeWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(windows.environment.python))

    windows.own()
    monkeypatch.setattr("shutil.rmtree", locked)
    with pytest.raises(PykdSetupError) as failed:
        remove(host=windows.host())
    assert str(failed.value) == (
        f"{windows.environment.folder} could not be deleted: Permission denied "
        f"({windows.environment.python}); end the debugger that runs in it"
    )
    assert not windows.environment.complete


def test_where_says_what_cannot_be_imported(windows: FakeWindows) -> None:
    own = windows.own(import_fails="ImportError: DLL load failed")
    with pytest.raises(
        PykdSetupError, match=r"pykd cannot be imported by .*: ImportError: DLL load failed;"
    ) as e:
        where(host=windows.host())
    assert str(own) in str(e.value)


# The worker's scripts run in Python 3.7

SCRIPTS = ("main.py", "engine.py", "console.py", "imports.py", "refusals.py", "seal.py", "pykd_engine.py")
LATER = {"annotationlib", "compression", "graphlib", "tomllib", "zoneinfo"}
"""Modules of the standard library that Python 3.7 does not have."""
STDLIB = (sys.stdlib_module_names - LATER) | {
    "pykd",
    "main",
    "engine",
    "console",
    "imports",
    "refusals",
    "seal",
}


def _imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source, feature_version=(3, 7))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or ".").partition(".")[0]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_workers_scripts_are_python_3_7(name: str) -> None:
    imported = set(_imported((WORKER / name).read_text(encoding="utf-8")))
    # main.py opens one of two engines; the other one is not for Windows, and runs in the harness's Python.
    assert imported - STDLIB <= ({"pykd_engine", "ntoseye_engine"} if name == "main.py" else set())


@pytest.mark.parametrize("source", ["if (n := 1): pass", "match 1:\n  case 1: pass", "def f(a, /): pass"])
def test_newer_syntax_would_be_seen(source: str) -> None:
    with pytest.raises(SyntaxError):
        list(_imported(source))


@pytest.mark.parametrize("source", ["import harness.errors", "from . import x", "import zoneinfo"])
def test_a_foreign_import_would_be_seen(source: str) -> None:
    assert not set(_imported(source)) <= STDLIB
