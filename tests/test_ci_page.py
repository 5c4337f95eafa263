"""What ``docs/ci.md`` shows for the services: files of their kind, and commands that do what they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import cli
from harness.toolchain import default_driver

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
OURS = [
    path.read_text(encoding="utf-8")
    for path in (
        ROOT / ".github" / "workflows" / "tests.yml",
        ROOT / "harness" / "recipes" / "github" / "driver-on-windows.yaml",
    )
]
"""Workflows that the page does not show: the project's own, and the one with a VM, for users."""
SHOWN = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = sorted(
    set(re.findall(r"\bprocnotify (run [^'\n]*)", "".join(re.findall(r"```.*?```", PAGE, re.DOTALL))))
)


def kind_of(document: Any) -> str:
    """The schema of a file, by what is in it."""
    if "jobs" in document:
        return "github-workflows"
    return "azure-pipelines" if "steps" in document else "gitlab-ci"


def test_there_is_a_file_for_each_service() -> None:
    kinds = [kind_of(yaml.safe_load(text)) for text in SHOWN]
    assert sorted(kinds) == ["azure-pipelines", "github-workflows", "gitlab-ci"]


@pytest.mark.parametrize("text", [*SHOWN, *OURS], ids=lambda text: kind_of(yaml.safe_load(text)))
def test_a_file_is_one_by_the_schema_of_its_service(text: str) -> None:
    check_jsonschema = pytest.importorskip("check_jsonschema", reason="it brings the JSON Schemas")
    jsonschema = pytest.importorskip("jsonschema")
    # YAML 1.1 takes the key `on` for a truth; to Azure every value is a text.
    document = {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}
    if kind_of(document) == "azure-pipelines":
        document = yaml.load(text, Loader=yaml.BaseLoader)
    schemas = resources.files(check_jsonschema) / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / f"{kind_of(document)}.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(document)


def test_the_workflow_is_the_one_that_is_written(tmp_path: Path) -> None:
    words = ["new", "ci", "--github", "--virtual", "--folder", str(tmp_path)]
    CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)
    written = (tmp_path / ".github" / "workflows" / "driver.yaml").read_text(encoding="utf-8")
    assert written in SHOWN
    assert len(written.splitlines()) == 12


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    (workflow,) = (yaml.safe_load(text) for text in SHOWN if "uses: ./procnotify" in text)
    (step,) = (step for step in workflow["jobs"]["callbacks"]["steps"] if step["uses"] == "./procnotify")
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    assert set(step["with"]) <= set(inputs)
    assert {name for name, entry in inputs.items() if entry.get("required")} <= set(step["with"])
    for name, entry in inputs.items():
        default = entry.get("default")
        cell = f"`{default}`" if default else ""
        assert re.search(rf"^\| `{name}` \| {re.escape(cell)} ?\|", PAGE, re.MULTILINE), name


def test_the_command_for_any_service_gives_a_verdict_and_a_report(tmp_path: Path) -> None:
    (command,) = COMMANDS
    (tmp_path / "scenarios").mkdir()
    shutil.copy(ROOT / "scenarios" / "create-thread.yaml", tmp_path / "scenarios")
    (tmp_path / "build").mkdir()
    shutil.copy(default_driver().path, tmp_path / "build" / "mydriver.sys")
    done = subprocess.run(
        [sys.executable, "-m", "harness", *shlex.split(command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for report in ("results.xml", "report.html"):
        assert (tmp_path / report).stat().st_size > 0
    assert list(tmp_path.glob("traces/2*/create-thread-1.jsonl"))
