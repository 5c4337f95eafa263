"""What an instance is: the texts of ``--select``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from harness.errors import UsageError
from harness.ntpaths import base_name

__all__ = ["FORMS", "Selection", "parse_selections"]

_Windows: TypeAlias = Literal["image", "tree", "marker"]

FORMS: Final = "image=notepad.exe, tree=notepad.exe, scenario=NAME or marker=TEXT...TEXT"
"""The texts that are understood."""
MAX_TEXT: Final = 1_024
"""Characters that the text of a selection may have."""


@dataclass(frozen=True)
class Selection:
    """How a trace is cut into instances. With nothing said a trace of one scenario run is one instance."""

    cut: _Windows | None = None
    """``image``: each process of a program, from its creation to its exit; ``tree``: with all that descend
    from it, to the last exit; ``marker``: from a line that holds ``first`` to the next that holds ``last``;
    None: each run of a scenario."""
    image: str = ""
    """Base name of the program, in lower case."""
    first: str = ""
    last: str = ""
    scenario: str | None = None
    """Only traces of runs of this scenario are looked at; None: all."""

    def __str__(self) -> str:
        parts = [] if self.scenario is None else [f"scenario={self.scenario}"]
        if self.cut == "marker":
            parts.append(f"marker={self.first}...{self.last}")
        elif self.cut is not None:
            parts.append(f"{self.cut}={self.image}")
        return " ".join(parts) or "each scenario run"


def parse_selections(texts: Sequence[str]) -> Selection:
    """The selection that all the texts together make: ``scenario=`` may stand beside one of the others.

    :raises UsageError: a text of another form, or texts that contradict each other.
    """
    cuts: list[tuple[str, Selection]] = []
    scenario: str | None = None
    for text in texts:
        key, sign, value = text.partition("=")
        if len(text) > MAX_TEXT:
            raise UsageError(f"a selection has {len(text)} characters; the limit is {MAX_TEXT}")
        if not sign or not value or key not in ("image", "tree", "marker", "scenario"):
            raise UsageError(f"{text!r} selects nothing", hint=f"write {FORMS}")
        if key == "scenario":
            if scenario not in (None, value):
                message = f"scenario={scenario} and scenario={value} contradict each other"
                raise UsageError(message, hint="a trace is of one scenario")
            scenario = value
        elif key == "marker":
            first, _, last = value.partition("...")
            if not first or not last or "..." in last:
                raise UsageError(
                    f"{text!r} names no window", hint="write marker=FIRST...LAST, text of two lines"
                )
            cuts.append((text, Selection("marker", first=first, last=last)))
        else:
            name = base_name(value, slashes=True).lower()
            if not name:
                raise UsageError(f"{text!r} names no program", hint="write image=notepad.exe")
            cuts.append((text, Selection("image" if key == "image" else "tree", name)))
    different = list(dict.fromkeys(cut for _, cut in cuts))
    if len(different) > 1:
        first, second = cuts[0][0], next(text for text, cut in cuts if cut != cuts[0][1])
        raise UsageError(
            f"{first} and {second} contradict each other: a trace is cut into instances in one way",
            hint="give one of them; scenario=NAME may stand beside it",
        )
    cut = different[0] if different else Selection()
    return Selection(cut.cut, cut.image, cut.first, cut.last, scenario)
