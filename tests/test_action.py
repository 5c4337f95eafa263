"""The composite action: its steps, executed as GitHub's runner would."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from github_runner import ACTION, EXPRESSION, GithubRunner
from this_system import SHELL

from harness.outcome import Outcome
from harness.resources import cache_dir
from harness.toolchain import Arch, build_driver, default_actor, default_driver

ROOT = ACTION.parent
INSTALL, RUN, KEY = "Install procnotify", "run", "key"
HERE = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
"""Programs: those of this environment, and what any machine has."""
EVIL = '$(touch "$RUNNER_TEMP/evil"); `touch evil` "; touch evil; \' ${{ github.token }}'


def steps() -> list[dict[str, Any]]:
    return list(yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"])


def test_the_file_is_an_action_by_the_schema_of_actions() -> None:
    check_jsonschema = pytest.importorskip("check_jsonschema", reason="it brings the JSON Schema of actions")
    jsonschema = pytest.importorskip("jsonschema")
    schemas = resources.files(check_jsonschema) / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "github-actions.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(ACTION.read_text(encoding="utf-8")))


def test_no_input_can_become_a_part_of_a_script() -> None:
    scripts = [step["run"] for step in steps() if "run" in step]
    assert len(scripts) == 3
    assert not any("${{" in script for script in scripts)


def test_every_expression_names_what_there_is() -> None:
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    named = {match[1] for match in EXPRESSION.finditer(ACTION.read_text(encoding="utf-8"))}
    ids = {step["id"] for step in action["runs"]["steps"] if "id" in step}
    for kind, name, *_ in (text.split(".") for text in named):
        assert name in (action["inputs"] if kind == "inputs" else ids)
    assert {text.split(".")[1] for text in named if text.startswith("inputs.")} == set(action["inputs"])


def test_other_actions_are_github_s_own_and_pinned_to_a_major_version() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) == 4
    assert all(re.fullmatch(r"actions/[a-z/-]+@v[0-9]+", name) for name in used)


def test_what_was_made_is_uploaded_and_kept_after_a_red_run_too() -> None:
    save, upload = steps()[-2:]
    assert save["uses"].startswith("actions/cache/save") and save["if"].startswith("always()")
    assert upload["uses"].startswith("actions/upload-artifact") and upload["if"].startswith("always()")


@pytest.fixture
def runner(tmp_path: Path) -> GithubRunner:
    """With procnotify installed, that of this environment, and what an earlier run kept in the cache."""
    default_actor()
    runner = GithubRunner(tmp_path, HERE)
    assert runner.run(KEY, {}).returncode == 0
    shutil.copytree(cache_dir("builds"), Path(runner.outputs[KEY]["cache"]) / "builds" / "builds")
    (runner.workspace / "scenarios").mkdir()
    shutil.copy(ROOT / "scenarios" / "create-thread.yaml", runner.workspace / "scenarios")
    return runner


@SHELL
def test_a_sound_driver_is_green(runner: GithubRunner) -> None:
    driver = runner.workspace / "my driver.sys"
    shutil.copy(default_driver().path, driver)
    done = runner.run(RUN, {"driver": driver.name, "seeds": "1-3", "options": "--policy\r\nrandom\n"})
    assert done.returncode == 0, done.stdout + done.stderr
    report = Path(runner.outputs[RUN]["report"])
    assert runner.outputs[RUN] == {"report": str(report), "exit-code": "0", "outcome": "passed"}
    assert (report / "junit.xml").read_text(encoding="utf-8").count("<testcase") == 3
    assert "3 passed" in runner.summary.read_text(encoding="utf-8")
    assert "::error" not in done.stdout


@SHELL
def test_a_faulty_driver_is_red_and_says_where(runner: GithubRunner) -> None:
    driver = runner.workspace / "faulty.sys"
    build_driver(ROOT / "tests" / "drivers" / "never_prints_thread_exits", Arch.X64, driver)
    done = runner.run(RUN, {"driver": driver.name})
    assert done.returncode == 1
    assert runner.outputs[RUN]["outcome"] == "broken promise"
    assert re.findall(r"^::error file=(.*?),line=\d+,", done.stdout, re.MULTILINE) == [
        "scenarios/create-thread.yaml"
    ]
    assert "broken promise" in runner.summary.read_text(encoding="utf-8")
    report = Path(runner.outputs[RUN]["report"])
    assert (report / "junit.xml").stat().st_size > 0
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "create-thread" in page and "thread_exit" in page
    assert list(report.glob("traces/2*/create-thread-1.jsonl"))


@SHELL
@pytest.mark.skipif(
    "PROCNOTIFY_FRESH" not in os.environ, reason="PROCNOTIFY_FRESH=1 installs everything anew"
)
def test_on_a_fresh_machine_every_step_does_its_part(tmp_path: Path) -> None:
    runner = GithubRunner(tmp_path, HERE)
    shutil.copy(default_driver().path, runner.workspace / "mydriver.sys")
    shutil.copy(ROOT / "scenarios" / "create-thread.yaml", runner.workspace)
    inputs = {"driver": "mydriver.sys", "scenarios": "create-thread.yaml"}
    for name in (KEY, INSTALL, RUN):
        done = runner.run(name, inputs)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "compiling" in done.stderr, "the guest helper was built"
    assert runner.outputs[RUN]["outcome"] == "passed"


@SHELL
def test_a_project_file_decides_neither_machine_nor_seeds_and_each_use_has_its_report(
    runner: GithubRunner,
) -> None:
    (runner.workspace / "procnotify.toml").write_text(
        'machine = "lab.yaml"\nseeds = "1-3"\n', encoding="utf-8"
    )
    shutil.copy(default_driver().path, runner.workspace / "sound.sys")
    assert runner.run(RUN, {"driver": "missing.sys"}).returncode == 2
    first = Path(runner.outputs[RUN]["report"])
    (first / "left behind").touch()
    done = runner.run(RUN, {"driver": "sound.sys"})
    assert done.returncode == 0, done.stdout + done.stderr
    second = Path(runner.outputs[RUN]["report"])
    assert (second / "junit.xml").read_text(encoding="utf-8").count("<testcase") == 1
    assert first != second and not (second / "left behind").exists()


@SHELL
def test_an_input_is_a_word_whatever_is_in_it(runner: GithubRunner) -> None:
    done = runner.run(RUN, dict.fromkeys(("driver", "scenarios", "debugger", "seeds", "options"), EVIL))
    assert (done.returncode, runner.outputs[RUN]["outcome"]) == (2, "wrong input"), done.stderr
    assert EVIL.split("`")[0] in done.stderr, "it arrived as it is"
    assert not [*runner.temp.rglob("evil"), *runner.workspace.rglob("evil")]


def test_the_outcomes_are_named_as_everywhere() -> None:
    (script,) = (step["run"] for step in steps() if step.get("id") == RUN)
    (table,) = re.findall(r"outcomes=\((.*)\)", script)
    named = {int(code): words.strip('"') for code, words in re.findall(r'\[(\d+)\]=("[^"]*"|\S+)', table)}
    assert named == {int(outcome): outcome.words for outcome in Outcome} | {130: "interrupted"}


def test_what_decides_the_compiler_and_the_helper_decides_the_key(tmp_path: Path) -> None:
    runner = GithubRunner(tmp_path, HERE)
    runner.run(KEY, {})
    first = runner.outputs[KEY]["key"]
    runner.run(KEY, {})
    assert runner.outputs[KEY]["key"] == first
    copy = tmp_path / "copy"
    for part in ("driver", "harness/toolchain"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    runner.action_path = copy
    runner.run(KEY, {})
    assert runner.outputs[KEY]["key"] == first
    with next(copy.glob("driver/actor/*.c*")).open("a", encoding="utf-8", newline="\n") as source:
        source.write("/* another helper */\n")
    runner.run(KEY, {})
    assert runner.outputs[KEY]["key"] != first
