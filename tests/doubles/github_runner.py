"""What GitHub's runner does with the ``run:`` steps of a composite action: expressions in ``env:``, the files
that a step writes outputs, paths and its summary into. Steps that use other actions are left out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ACTION = Path(__file__).resolve().parents[2] / "action.yml"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


class GithubRunner:
    """One job on a fresh machine: nothing of this user's folders, variables or programs.

    :param folder: gets the workspace and the runner's own folders.
    :param path: of programs.
    """

    def __init__(self, folder: Path, path: str) -> None:
        self.action: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        self.workspace, self.temp = folder / "workspace", folder / "temp"
        self.summary = folder / "summary.md"
        self.action_path = ACTION.parent
        self.outputs: dict[str, dict[str, str]] = {}
        self._files = {"GITHUB_OUTPUT": folder / "output", "GITHUB_PATH": folder / "path"}
        self._path = path
        self._home = folder / "home"
        for made in (self.workspace, self.temp, self._home):
            made.mkdir()

    def step(self, name: str) -> dict[str, Any]:
        """The step with that name or that id."""
        (found,) = (
            step for step in self.action["runs"]["steps"] if name in (step.get("name"), step.get("id"))
        )
        return dict(found)

    def run(self, name: str, inputs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Do the step as the runner would, with these inputs and the defaults of the others."""
        step = self.step(name)
        assert step["shell"] == "bash"
        given = {key: str(entry.get("default", "")) for key, entry in self.action["inputs"].items()} | inputs
        for file in self._files.values():
            file.write_bytes(b"")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env=self._environment(step.get("env", {}), given),
            capture_output=True,
            text=True,
            timeout=600,
        )
        written = self._files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
        self.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in written)
        for line in self._files["GITHUB_PATH"].read_text(encoding="utf-8").splitlines():
            self._path = os.pathsep.join([line, self._path])
        return done

    def _environment(self, env: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
        def value(match: re.Match[str]) -> str:
            kind, name, *more = match[1].split(".")
            return inputs[name] if kind == "inputs" else self.outputs[name][more[-1]]

        return {
            "PATH": self._path,
            "HOME": str(self._home),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(self.action_path),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.temp),
            **{name: str(file) for name, file in self._files.items()},
            **{name: EXPRESSION.sub(value, text) for name, text in env.items()},
        }
