"""``procnotify pykd``: what it prints, and its one line where it does not apply."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from fake_windows import FakeWindows

from harness.cli import main
from harness.cli.pykd import command
from harness.debuggers.pykd.interpreters import Host, PykdMissing
from harness.errors import UsageError


@pytest.fixture
def windows(tmp_path: Path) -> FakeWindows:
    return FakeWindows(tmp_path)


def procnotify_pykd(host: Host, *words: str) -> Result:
    return CliRunner().invoke(command, [*words], obj=host)


def test_from_setup_to_remove(windows: FakeWindows) -> None:
    windows.launcher(py39=windows.python("base"))
    python = windows.environment.python

    made = procnotify_pykd(windows.host(), "setup")
    assert made.exit_code == 0, made.output
    assert made.stdout == f"pykd 0.3.4.15 is ready on Python 3.9.13: {python}\n"
    assert "installing pykd==0.3.4.15\n" in made.stderr

    found = procnotify_pykd(windows.host(), "where")
    assert found.stdout == f"{python}: Python 3.9.13, pykd 0.3.4.15, made by `procnotify pykd setup`\n"

    for said in ("removed", "there is no environment in"):
        removed = procnotify_pykd(windows.host(), "remove")
        assert removed.exit_code == 0
        assert removed.stdout == f"{said} {windows.environment.folder}\n"
    assert isinstance(procnotify_pykd(windows.host(), "where").exception, PykdMissing)


def test_where_says_how_it_was_found(windows: FakeWindows) -> None:
    python = windows.python("own build", (3, 12, 1), pykd=True)
    windows.launcher(py38=python)
    assert (
        procnotify_pykd(windows.host(), "where").stdout
        == f"{python}: Python 3.12.1, pykd 0.3.4.15, py -3.8\n"
    )
    windows.variables["PROCNOTIFY_PYKD_PYTHON"] = str(python)
    assert "named by PROCNOTIFY_PYKD_PYTHON" in procnotify_pykd(windows.host(), "where").stdout


def test_setup_with_a_python_of_the_users(windows: FakeWindows) -> None:
    python = windows.python("base", (3, 7, 9))
    made = procnotify_pykd(windows.host(), "setup", "--python", str(python))
    assert made.exit_code == 0, made.output
    assert "is ready on Python 3.7.9" in made.stdout
    wrong = procnotify_pykd(windows.host(), "setup", "--python", str(windows.root))
    assert isinstance(wrong.exception, UsageError)


@pytest.mark.parametrize(
    ("subcommand", "instead"), [("setup", "setup"), ("where", "setup"), ("remove", "remove")]
)
def test_elsewhere_there_is_wine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], subcommand: str, instead: str
) -> None:
    monkeypatch.setattr("harness.cli.pykd.Host", lambda: Host(windows=False))
    monkeypatch.setattr(sys, "argv", ["procnotify", "pykd", subcommand])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err == f"procnotify: pykd runs under Wine on this system; use `procnotify wine {instead}`\n"
    assert said.out == ""


@pytest.mark.parametrize("name", ["setup", "remove", "where"])
def test_each_help_has_an_example(name: str) -> None:
    assert isinstance(command, click.Group)
    assert f"\n    procnotify pykd {name}\n" in CliRunner().invoke(command, [name, "--help"]).stdout
