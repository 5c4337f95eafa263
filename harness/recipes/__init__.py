"""Recipes: files for a user's own project, written once and the user's from then on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Final

from harness.kd.kdnet import Key

__all__ = ["NOT_VERIFIED", "STARTERS", "github_action_recipe", "github_recipe", "starter"]

NOT_VERIFIED: Final = "not verified"
"""What a line says that nobody here could try."""
_KEY: Final = "KEY"
STARTERS: Final = ("scenario", "grammar", "machine")
"""Kinds of files to begin with."""
_GITHUB: Final = {
    ".github/workflows/driver-on-windows.yaml": "driver-on-windows.yaml",
    "vm/lab.yaml": "lab.yaml",
    "vm/make-image.sh": "make-image.sh",
}
_GITHUB_ACTION: Final = {".github/workflows/driver.yaml": "driver.yaml"}


def github_recipe(key: Key) -> Mapping[str, str]:
    """A driver's scenarios on a Windows VM of a hosted Linux runner of GitHub's: path in the project → text.

    :param key: of KDNET, between the runner and its own VM.
    """
    return {path: text.replace(_KEY, key.format()) for path, text in _texts(_GITHUB).items()}


def github_action_recipe() -> Mapping[str, str]:
    """A driver's scenarios on the virtual target, by procnotify's own action: path in the project → text."""
    return _texts(_GITHUB_ACTION)


def starter(kind: str, key: Key) -> str:
    """A commented file that works as it is.

    :param kind: one of :data:`STARTERS`.
    :param key: of KDNET, for a machine.
    """
    text = (resources.files("harness.recipes") / "starters" / f"{kind}.yaml").read_text(encoding="utf-8")
    return text.replace(_KEY, key.format()) if kind == "machine" else text


def _texts(files: Mapping[str, str]) -> dict[str, str]:
    folder = resources.files("harness.recipes") / "github"
    return {path: (folder / name).read_text(encoding="utf-8") for path, name in files.items()}
