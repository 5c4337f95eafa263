"""The table of what Wine cannot do stays true: who passes, and who is no longer there, is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from limits_of_wine import LIMITS

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
