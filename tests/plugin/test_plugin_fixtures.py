"""The fixtures for tests in Python, in a pytest of their own: whose fault it is decides how a test ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness.api  # noqa: F401  # what is imported before an inner pytest is not imported anew in each
from harness.toolchain import default_driver

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
OURS = "harness.pytest_plugin"


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with our driver, a scenario that it keeps, one that it breaks and one for other drivers."""
    monkeypatch.setenv("COLUMNS", "400")
    scenarios = pytester.path / "scenarios"
    scenarios.mkdir()
    good = (ROOT / "scenarios" / "create-thread.yaml").read_text(encoding="utf-8")
    (scenarios / "good.yaml").write_text(good, encoding="utf-8")
    (scenarios / "broken.yaml").write_text(
        f"{good}  - order:\n      - process_create: {{pid: 7}}\n", encoding="utf-8", newline="\n"
    )
    (scenarios / "needs.yaml").write_text(
        f"{good}requires: {{image_load: {{image: no-such.dll}}}}\n", encoding="utf-8", newline="\n"
    )
    driver = default_driver().path.as_posix()
    (pytester.path / "procnotify.toml").write_text(f'driver = "{driver}"\n', encoding="utf-8", newline="\n")
    return pytester


def test_who_is_at_fault_decides_how_a_test_ends(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        import harness

        def test_held(run_scenario):
            assert run_scenario("scenarios/good.yaml").held > 0

        def test_broken(run_scenario):
            run_scenario("scenarios/broken.yaml")

        def test_broken_as_expected(run_scenario):
            result = run_scenario("scenarios/broken.yaml", expect=harness.Outcome.BROKEN)
            assert result.check.failures

        def test_held_against_expectation(run_scenario):
            run_scenario("scenarios/good.yaml", expect=harness.Outcome.BROKEN)

        def test_nothing_to_judge(run_scenario):
            run_scenario("scenarios/needs.yaml")

        def test_no_such_scenario(run_scenario):
            run_scenario("scenarios/absent.yaml")

        def test_the_rig_in_the_middle(machine):
            assert machine.deterministic
            raise harness.TargetLost("the cable was pulled")

        def test_no_debugger(debugger):
            pass

        def test_of_what(trace):
            pass

        @pytest.mark.scenario("scenarios/good.yaml", seed=3)
        def test_trace(trace):
            assert trace.header.seed == 3
            assert any(isinstance(event, harness.ThreadCreate) for event in trace)

        @pytest.mark.scenario("scenarios/good.yaml", seed=3)
        def test_same_trace(trace):
            assert len(list(trace.path.parent.glob("good-3*.jsonl"))) == 1
        """
    )
    result = project.runpytest_inprocess("-rA", "--procnotify-debugger=none", "--junitxml=junit.xml")
    result.assert_outcomes(passed=4, failed=2, skipped=1, errors=4)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED *::test_broken - *broken.yaml:*process_create*",
            "FAILED *::test_held_against_expectation - *passed, and broken promise was expected",
            "SKIPPED [[]1[]] test_who*.py:18: not judged: *requires: image_load*no-such.dll*",
            "ERROR *::test_no_such_scenario - NoVerdict: *absent.yaml*",
            "ERROR *::test_the_rig_in_the_middle - harness.errors.TargetLost: the cable was pulled",
            "ERROR *::test_no_debugger - *there is no debugger*",
            "ERROR *::test_of_what - *@pytest.mark.scenario(*",
        ]
    )
    xml = (project.path / "junit.xml").read_text(encoding="utf-8")
    assert 'errors="4" failures="2" skipped="1" tests="11"' in xml


def test_a_test_in_python_names_its_driver(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(run_scenario): run_scenario('any.yaml')")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no driver to test; name it in the project's procnotify.toml*"])


def test_what_is_run_while_a_test_holds_the_machine_is_refused(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_both(debugger, run_scenario):
            assert "procnotify" in debugger.execute("lm", timeout=10)
            run_scenario("scenarios/good.yaml")

        def test_after(run_scenario):
            run_scenario("scenarios/good.yaml")
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*::test_both holds the machine*"])


def test_a_promise_that_could_not_be_judged_is_a_skip_at_its_line(project: pytest.Pytester) -> None:
    path = project.path / "scenarios" / "good.yaml"
    line = len(path.read_text(encoding="utf-8").splitlines()) + 1
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(
            "  - requires: {image_load: {image: no-such.dll}}\n    order: [driver: {function: DriverEntry}]\n"
        )
    result = project.runpytest_inprocess(
        "scenarios/good.yaml", "scenarios/needs.yaml", "-rs", "--procnotify-debugger=none", "--junitxml=j.xml"
    )
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            f"SKIPPED [[]1[]] scenarios/good.yaml:{line}: not judged: *requires: image_load*",
            "SKIPPED [[]1[]] scenarios/needs.yaml:*: not judged: *requires: image_load*",
        ]
    )
    xml = (project.path / "j.xml").read_text(encoding="utf-8")
    assert 'errors="0" failures="0" skipped="2" tests="3"' in xml
    assert f'name="file" value="scenarios/good.yaml" /><property name="line" value="{line}"' in xml


def test_an_item_stands_at_the_line_of_its_scenario_and_its_failure_at_the_promise(
    project: pytest.Pytester,
) -> None:
    path = project.path / "scenarios" / "broken.yaml"
    text = "# A driver's comment.\n\n" + path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8", newline="\n")
    items, _ = project.inline_genitems("scenarios/broken.yaml")
    named = text.splitlines().index("scenario: create-thread")
    assert named > 0 and items[0].location[:2] == (str(Path("scenarios/broken.yaml")), named)
    ran = project.inline_run("scenarios/broken.yaml", "--procnotify-debugger=none")
    (failed,) = (report for report in ran.getreports("pytest_runtest_logreport") if report.failed)
    broken = text.splitlines().index("      - process_create: {pid: 7}")
    assert failed.location[1] == broken
    assert dict(failed.user_properties)["line"] == broken + 1


def test_scenarios_are_chosen_by_what_they_require(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("scenarios", "--collect-only", "-q", "-m", "requires")
    assert [line for line in result.outlines if "::" in line] == ["scenarios/needs.yaml::create-thread"]


def test_who_imports_the_plugin_imports_nothing_else_of_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {OURS}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    ours = {name for name in done.stdout.split() if name.partition(".")[0] == "harness"}
    assert ours == {"harness"} | {name for name in ours if name.startswith(OURS)}
    assert not {"yaml", "msgspec", "unicorn", "click"} & set(done.stdout.split())
