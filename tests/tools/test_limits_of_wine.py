"""The table of what Wine cannot do stays true: who passes, and who is no longer there, is noticed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from limits_of_wine import LIMITS, LOST_START, START_TRIES, LostStarts

pytest_plugins = ["pytester"]

TESTS = Path(__file__).resolve().parent.parent
CONFTEST = """
import sys
sys.path.insert(0, {tests!r})
from limits_of_wine import Limit, expect_limits
def pytest_collection_modifyitems(config, items):
    expect_limits(config, items, {{name: Limit("as seen", runs) for name, runs in {limits!r}.items()}})
"""
CONTENTS = """
import pytest
def test_fails(): assert False
def test_passes(): pass
def test_hangs(): pytest.exit("it was run")
@pytest.mark.parametrize("n", [1, 2])
def test_each(n): assert n == 1
"""


@pytest.mark.parametrize(
    ("limits", "outcomes"),
    [
        ({"test_it.py::test_fails": True}, {"passed": 1, "xfailed": 1}),
        ({"test_it.py::test_passes": True, "test_it.py::test_fails": True}, {"failed": 1, "xfailed": 1}),
    ],
)
def test_a_test_is_expected_to_fail_and_one_that_passes_is_a_failure(
    pytester: pytest.Pytester, limits: dict[str, bool], outcomes: dict[str, int]
) -> None:
    pytester.makeconftest(CONFTEST.format(tests=str(TESTS), limits=limits))
    pytester.makepyfile(test_it=CONTENTS)
    result = pytester.runpytest_subprocess("-k", "fails or passes", "-rx")
    result.assert_outcomes(deselected=3, **outcomes)
    result.stdout.fnmatch_lines(["XFAIL test_it.py::test_fails*Wine: as seen*"])


def test_one_parameter_and_one_that_is_not_run(pytester: pytest.Pytester) -> None:
    limits = {
        "test_it.py::test_each[2]": True,
        "test_it.py::test_hangs": False,
        "test_it.py::test_fails": True,
    }
    pytester.makeconftest(CONFTEST.format(tests=str(TESTS), limits=limits))
    pytester.makepyfile(test_it=CONTENTS)
    pytester.runpytest_subprocess().assert_outcomes(passed=2, xfailed=3)


@pytest.mark.parametrize(
    ("limit", "arguments", "noticed"),
    [
        ("test_it.py::test_gone", [], True),
        ("test_it.py::test_each[3]", ["test_it.py"], True),
        ("test_other.py::test_gone", ["test_it.py"], True),
        ("conftest.py::test_gone", ["test_it.py"], False),
        ("test_it.py::test_gone", ["test_it.py::test_passes"], False),
    ],
)
def test_an_entry_that_names_no_test_is_an_error_where_its_file_is_whole(
    pytester: pytest.Pytester, limit: str, arguments: Sequence[str], noticed: bool
) -> None:
    pytester.makeconftest(CONFTEST.format(tests=str(TESTS), limits={limit: True}))
    pytester.makepyfile(test_it="def test_passes(): pass")
    result = pytester.runpytest_subprocess(*arguments)
    assert result.ret == (pytest.ExitCode.USAGE_ERROR if noticed else pytest.ExitCode.OK)
    if noticed:
        result.stderr.fnmatch_lines([f"*there is no test {limit.replace('[', '[[]')}; take the entry away*"])


def test_the_files_that_the_table_names_are_there() -> None:
    for name, limit in LIMITS.items():
        assert (TESTS.parent / name.partition("::")[0]).is_file(), name
        assert limit.reason


def start(lost: LostStarts, *errors: OSError) -> tuple[int, int]:
    """Start a process that fails so often; how many tries there were, and how many are told of."""
    coming = iter(errors)
    tries = 0

    def create(name: str) -> str:
        nonlocal tries
        tries += 1
        if (error := next(coming, None)) is not None:
            raise error
        return name

    assert lost.mended(create)("python.exe") == "python.exe"
    return tries, lost.count


def windows_error(code: int) -> OSError:
    error = OSError(f"[WinError {code}]")
    error.winerror = code
    return error


def test_a_process_that_wine_has_lost_is_started_again() -> None:
    lost = LostStarts()
    assert start(lost) == (1, 0)
    assert start(lost, windows_error(LOST_START)) == (2, 1)
    with pytest.raises(OSError, match=str(LOST_START)):
        start(lost, *[windows_error(LOST_START)] * START_TRIES)


@pytest.mark.parametrize("error", [windows_error(5), OSError(2, "no such file")])
def test_any_other_error_of_a_start_is_raised_at_once(error: OSError) -> None:
    lost = LostStarts()
    with pytest.raises(OSError, match=re.escape(str(error))):
        start(lost, error)
    assert lost.count == 0


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]])
def test_the_summary_says_how_many_were_lost(pytester: pytest.Pytester, arguments: list[str]) -> None:
    pytester.makeconftest(
        f"""
        import sys
        sys.path.insert(0, {str(TESTS)!r})
        from limits_of_wine import LostStarts
        lost = LostStarts()
        def pytest_configure(config):
            config.pluginmanager.register(lost)
        """
    )
    pytester.makepyfile(test_it="from conftest import lost\ndef test_it(): lost.count += 2")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["Wine lost 2 processes at their start (error 1359); they were started again"]
    )
