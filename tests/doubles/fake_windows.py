"""A Windows machine of small scripts: the launcher ``py`` and interpreters that know only what is asked."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.debuggers.pykd.interpreters import Environment, Host, run_program
from harness.wine.command import Finished

_PYTHON = """\
#!{real} -IS
import json, os, shutil, signal, sys
me = os.path.abspath(sys.argv[0])
words = [word for word in sys.argv[1:] if word != "-I"]
with open(me + ".json") as file:
    self = json.load(file)
if self.get("hangs"):
    signal.pause()
if "says" in self:
    print(self["says"])
    sys.exit(self.get("code", 0))
if words[0] == "-c" and "import pykd" in words[1]:
    if self.get("import_fails"):
        print("Traceback (most recent call last):")
        sys.exit(self["import_fails"])
    print(json.dumps({{"python": ".".join(map(str, self["version"])), "pykd": "0.3.4.15"}}))
elif words[0] == "-c":
    print(json.dumps({{"executable": me, **{{key: self[key] for key in ("version", "bits", "pykd")}}}}))
elif words[:2] == ["-m", "venv"]:
    if self.get("venv_fails"):
        sys.exit(self["venv_fails"])
    scripts = os.path.join(words[2], "Scripts")
    os.makedirs(os.path.join(words[2], "Lib") if self.get("elsewhere") else scripts)
    if self.get("elsewhere"):
        print("Actual environment location may have moved due to redirects, links or junctions.")
        sys.exit()
    copy = shutil.copy(me, os.path.join(scripts, "python.exe"))
    with open(copy + ".json", "w") as file:
        json.dump({{**self, "pykd": False, **self.get("in_venv", {{}})}}, file)
elif words[:3] == ["-m", "pip", "install"]:
    if self.get("pip_fails"):
        print("Looking in indexes: somewhere", self["pip_fails"], "WARNING: the last word", sep="\\n")
        sys.exit(1)
    with open(me + ".json", "w") as file:
        json.dump({{**self, "pykd": True}}, file)
else:
    sys.exit("unexpected: " + repr(words))
"""

_LAUNCHER = """\
#!{real} -IS
import json, os, sys
with open(sys.argv[0] + ".json") as file:
    installed = json.load(file)
if "PYLAUNCHER_ALLOW_INSTALL" in os.environ or os.environ.get("PYTHON_MANAGER_AUTOMATIC_INSTALL") != "false":
    sys.exit("this would install a Python")
version = sys.argv[1].lstrip("-")
if version not in installed:
    print("Python %s not found!" % version)
    sys.exit(103)
os.execv(installed[version], [installed[version], *sys.argv[2:]])
"""


class FakeWindows:
    """Its files lie in ``root``; :attr:`runs` are the command lines that were run there."""

    def __init__(self, root: Path) -> None:
        if sys.platform == "win32":
            pytest.skip("the programs of this Windows are POSIX scripts")
        self.root = root
        self.bin = root / "bin"
        self.cache = root / "cache"
        for folder in (self.bin, self.cache):
            folder.mkdir()
        self.variables: dict[str, str] = {"PYLAUNCHER_ALLOW_INSTALL": "1"}
        self.runs: list[list[str]] = []
        self.environment = Environment(self.cache)

    def host(self, *, probe_seconds: float = 60.0) -> Host:
        return Host(
            windows=True,
            environment=self.variables,
            which=lambda name: shutil.which(name, path=str(self.bin)),
            run=self._run,
            cache=lambda: self.cache,
            probe_seconds=probe_seconds,
        )

    def python(self, name: str, version: tuple[int, int, int] = (3, 9, 13), **facts: Any) -> Path:
        """An interpreter, by default a 64-bit one without pykd."""
        return self._script(
            self.root / name / "python.exe", _PYTHON, {"version": version, "bits": 64, "pykd": False} | facts
        )

    def launcher(self, **installed: Path) -> Path:
        """``py``, with what is installed: ``py39=PATH``."""
        known = {f"{name[2]}.{name[3:]}": str(path) for name, path in installed.items()}
        return self._script(self.bin / "py.exe", _LAUNCHER, known)

    def own(self, **facts: Any) -> Path:
        """What a finished setup leaves behind."""
        base = {"version": (3, 9, 13), "bits": 64, "pykd": True}
        made = self._script(self.environment.python, _PYTHON, base | facts)
        self.environment.stamp.write_text("{}", encoding="utf-8")
        return made

    def ran(self, *words: str) -> int:
        """How many command lines had all these words."""
        return sum(all(word in command for word in words) for command in self.runs)

    def _script(self, path: Path, text: str, facts: Mapping[str, Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(real=sys.executable), encoding="utf-8")
        path.chmod(0o755)
        Path(f"{path}.json").write_text(json.dumps(facts), encoding="utf-8")
        return path

    def _run(self, command: Sequence[str], timeout: float, environment: Mapping[str, str]) -> Finished:
        self.runs.append(list(command))
        return run_program(command, timeout, environment)
