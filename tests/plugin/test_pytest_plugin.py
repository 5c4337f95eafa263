"""Scenarios as pytest items, in a pytest of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness.api  # noqa: F401  # what is imported before an inner pytest is not imported anew in each
from harness.runs.trace_folder import through_latest
from harness.toolchain import Arch, build_driver, default_driver

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
GOOD = (ROOT / "scenarios" / "create-thread.yaml").read_text(encoding="utf-8")


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    default_driver()
    scenarios = pytester.path / "scenarios"
    scenarios.mkdir()
    (scenarios / "good.yaml").write_text(GOOD, encoding="utf-8")
    return scenarios


def test_a_folder_of_scenarios_is_collected_and_passes(pytester: pytest.Pytester, folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {}\n", encoding="utf-8")
    result = pytester.runpytest_inprocess("scenarios", "-v", "--junitxml=junit.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["scenarios/good.yaml::create-thread PASSED*"])
    assert 'property name="trace"' in (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert through_latest(pytester.path / "traces" / "latest" / "good-1.jsonl").exists()


def test_a_broken_promise_is_a_failure_with_the_explanation(pytester: pytest.Pytester, folder: Path) -> None:
    driver = pytester.path / "swaps.sys"
    build_driver(ROOT / "tests" / "drivers" / "never_prints_thread_exits", Arch.X64, driver)
    result = pytester.runpytest_inprocess(
        "scenarios", f"--procnotify-driver={driver}", "--procnotify-html=new/report.html"
    )
    result.assert_outcomes(failed=1)
    page = (pytester.path / "new" / "report.html").read_text(encoding="utf-8")
    assert "<h1>Broken promise: 1 of 1 run</h1>" in page
    assert '<script type="application/octet-stream">' in page
    result.stdout.fnmatch_lines(["*OnThreadNotify TID(*) was created in PID(*", "*trace: *good-1.jsonl"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_page_that_cannot_be_written_is_said(pytester: pytest.Pytester) -> None:
    (pytester.path / "file").touch()
    result = pytester.runpytest_inprocess("--procnotify-html=file/report.html")
    result.stdout.fnmatch_lines(["procnotify: cannot write *"])


@pytest.mark.parametrize("what", [".", "scenarios/good.yaml"])
def test_a_page_is_not_written_over_something_else(
    pytester: pytest.Pytester, folder: Path, what: str
) -> None:
    result = pytester.runpytest_inprocess("scenarios", f"--procnotify-html={what}")
    result.stderr.fnmatch_lines(["ERROR: --procnotify-html: * is no HTML page; choose another file"])
    assert (folder / "good.yaml").read_text(encoding="utf-8") == GOOD


def test_a_rig_that_fails_is_an_error_for_every_scenario(pytester: pytest.Pytester, folder: Path) -> None:
    (folder / "other.yaml").write_text(GOOD.replace("create-thread\n", "other\n", 1), encoding="utf-8")
    result = pytester.runpytest_inprocess("scenarios", "--procnotify-debugger=gdb")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*there is no debugger named 'gdb'; known: native*"])


def test_lost_lines_are_an_error_not_a_failure(pytester: pytest.Pytester, folder: Path) -> None:
    driver = pytester.path / "drops.sys"
    build_driver(ROOT / "tests" / "drivers" / "drops_every_tenth_line", Arch.X64, driver)
    traces = pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("time", ["first", "second"])
        @pytest.mark.scenario("scenarios/good.yaml")
        def test_trace(trace, time):
            pass
        """
    )
    result = pytester.runpytest_inprocess("scenarios/good.yaml", traces, f"--procnotify-driver={driver}")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*never arrived (seq 10*"])
    # A run whose rig failed is not kept for the next test.
    assert len(list((pytester.path / "traces").glob("2*/good-1*.jsonl"))) == 3


def test_a_wrong_scenario_is_a_collection_error_with_its_place(
    pytester: pytest.Pytester, folder: Path
) -> None:
    (folder / "good.yaml").write_text(GOOD.replace("steps:", "stepps:"), encoding="utf-8")
    result = pytester.runpytest_inprocess("scenarios")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*good.yaml:*stepps*"])


def test_a_wrong_project_file_is_a_collection_error_with_its_place(
    pytester: pytest.Pytester, folder: Path
) -> None:
    (pytester.path / "procnotify.toml").write_text("drivr = 'x.sys'\n", encoding="utf-8", newline="\n")
    result = pytester.runpytest_inprocess("scenarios")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*procnotify.toml:1: *drivr*"])


def test_a_session_that_names_no_scenario_is_left_alone(pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makepyfile(test_own="def test_own(): pass")
    pytester.makeini("[pytest]\ntestpaths = .\n")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_the_options_of_run_have_their_twins(pytester: pytest.Pytester, folder: Path) -> None:
    (folder / "good.yaml").rename(folder / "good.yml")
    result = pytester.runpytest_inprocess(
        "scenarios",
        "-v",
        "--procnotify-seed=5",
        "--procnotify-repeat=2",
        "--procnotify-timeout=20",
        "--procnotify-step-timeout=90",
        "--procnotify-trace-dir=kept",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*good.yml::create-thread[[]seed=5[]] PASSED*", "*seed=6[]] PASSED*"])
    names = {path.name for path in through_latest(pytester.path / "kept" / "latest" / "any").parent.iterdir()}
    assert names == {"good-5.jsonl", "good-6.jsonl", "outcome.txt"}
    refused = pytester.runpytest_inprocess("scenarios", "--procnotify-connection=net:port=1")
    refused.assert_outcomes(errors=1)
    refused.stdout.fnmatch_lines(["*the connection is not understood*"])


def test_the_debugger_hands_out_the_drivers_where_that_is_asked_for(
    pytester: pytest.Pytester, folder: Path
) -> None:
    pytester.makeconftest(
        """
        from harness.guests.virtual import VirtualGuest

        put = VirtualGuest.put

        def noted(self, name, data):
            print(f"{name}: {data[:30]!r}")
            return put(self, name, data)

        VirtualGuest.put = noted
        """
    )
    result = pytester.runpytest_subprocess("scenarios", "-s", "--procnotify-kdfiles")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*procnotify.sys: b'The driver that belongs here*"])
    refused = pytester.runpytest_subprocess("scenarios", "--procnotify-kdfiles", "--procnotify-debugger=none")
    refused.assert_outcomes(errors=1)
    refused.stdout.fnmatch_lines(["*--debugger none has no files for it*"])


def test_what_nobody_foresaw_is_an_error_and_not_a_failure(pytester: pytest.Pytester, folder: Path) -> None:
    pytester.makeconftest(
        """
        from harness.machines.virtual import VirtualMachine

        def start(self, boot):
            raise KeyError("nobody foresaw this")

        VirtualMachine.start = start
        """
    )
    result = pytester.runpytest_subprocess("scenarios")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*internal error: KeyError: 'nobody foresaw this'; the traceback is in *"])
