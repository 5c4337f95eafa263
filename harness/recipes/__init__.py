"""Recipes: files for a user's own project, written once and the user's from then on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Final

from harness.kd.kdnet import Key

__all__ = ["NOT_VERIFIED", "STARTERS", "github_recipe", "starter"]

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


def github_recipe(key: Key) -> Mapping[str, str]:
    """A driver's scenarios on a Windows VM of a hosted Linux runner of GitHub's: path in the project → text.

    :param key: of KDNET, between the runner and its own VM.
    """
    folder = resources.files("harness.recipes") / "github"
    texts = {path: (folder / name).read_text(encoding="utf-8") for path, name in _GITHUB.items()}
    return {path: text.replace(_KEY, key.format()) for path, text in texts.items()}


def starter(kind: str, key: Key) -> str:
    """A commented file that works as it is.

    :param kind: one of :data:`STARTERS`.
    :param key: of KDNET, for a machine.
    """
    text = (resources.files("harness.recipes") / "starters" / f"{kind}.yaml").read_text(encoding="utf-8")
    return text.replace(_KEY, key.format()) if kind == "machine" else text
