"""Recipes for a user's project: what can be tried of them here is, and every other line says so."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from this_system import SHELL

from harness.cli import cli
from harness.machines.file import load_machine
from harness.recipes import NOT_VERIFIED

WORKFLOW = ".github/workflows/driver-on-windows.yaml"


def new(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(
        cli, ["new", "ci", "--github", "--folder", str(folder), *words], standalone_mode=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the recipe in it."""
    done = new(tmp_path, "--json")
    document = json.loads(done.stdout)
    assert sorted(Path(path).relative_to(tmp_path).as_posix() for path in document["written"]) == [
        *(WORKFLOW, "vm/lab.yaml", "vm/make-image.sh")
    ]
    return tmp_path


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_without_a_machine_there_is_the_workflow_alone(tmp_path: Path) -> None:
    done = new(tmp_path, "--virtual", "--json")
    assert [Path(path).name for path in json.loads(done.stdout)["written"]] == ["driver.yaml"]
    assert "nobody has seen to run yet" in done.stderr


def test_the_machine_file_is_one(project: Path) -> None:
    text = (project / "vm" / "lab.yaml").read_text(encoding="utf-8")
    # What the runner's packages and the owner of the image bring.
    (project / "vm" / "windows.qcow2").touch()
    (project / "OVMF.fd").touch()
    (project / "vm" / "lab.yaml").write_text(
        text.replace("/usr/share/ovmf/OVMF.fd", "../OVMF.fd"), encoding="utf-8", newline="\n"
    )
    assert "firmware: /usr/share/ovmf/OVMF.fd # not verified" in text
    assert load_machine(project / "vm" / "lab.yaml").name == "lab"


def test_each_project_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = set()
    for name in ("a", "b"):
        new(tmp_path / name)
        keys |= set(
            re.findall(r"key=([\w.]+)", (tmp_path / name / "vm" / "lab.yaml").read_text(encoding="utf-8"))
        )
    assert len(keys) == 2 and "KEY" not in keys


def test_a_command_of_ours_is_one_that_there_is(project: Path) -> None:
    found = 0
    for line in [*lines_of(project / WORKFLOW), *lines_of(project / "vm" / "make-image.sh")]:
        words = re.match(r"(?:\s+- run: )?(procnotify .*)", line)
        if words is None:
            continue
        found += 1
        arguments = shlex.split(words[1], comments=True)[1:]
        done = CliRunner().invoke(cli, [arguments[0], "--help"])
        options = [word for word in arguments if word.startswith("--")]
        assert options and all(option in done.output for option in options), line
    assert found == 3


def test_what_nobody_could_try_says_so(project: Path) -> None:
    workflow = lines_of(project / WORKFLOW)
    tried = [line for line in workflow if re.match(r"\s+- (uses|run):", line) and NOT_VERIFIED not in line]
    assert [line.strip() for line in tried] == ['- run: python -m pip install "./$PROCNOTIFY"']
    script = [line for line in lines_of(project / "vm" / "make-image.sh") if line and line[0] not in "# "]
    tried = [line for line in script if NOT_VERIFIED not in line]
    assert [line.split()[0] for line in tried] == ["set", "cd", "procnotify", "docker", "echo"]


def test_the_workflow_is_yaml_and_ends_by_itself(project: Path) -> None:
    workflow = yaml.safe_load((project / WORKFLOW).read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert 0 < job["timeout-minutes"] <= 60
    assert all(set(step) <= {"uses", "with", "run", "env", "if"} for step in job["steps"])


@SHELL
def test_the_script_is_one_of_bash_and_can_be_started(project: Path) -> None:
    script = project / "vm" / "make-image.sh"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)


def test_what_is_there_is_not_written_over(project: Path) -> None:
    (project / "vm" / "lab.yaml").write_text("mine\n", encoding="utf-8", newline="\n")
    refused = new(project)
    assert "driver-on-windows.yaml already; --force" in str(refused.exception)
    assert (project / "vm" / "lab.yaml").read_text(encoding="utf-8") == "mine\n"
    new(project, "--force")
    assert (project / "vm" / "lab.yaml").read_text(encoding="utf-8") != "mine\n"
