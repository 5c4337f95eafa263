"""A printed line, cut where its parts may vary from line to line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from harness.ntpaths import base_name

__all__ = ["Atom", "cut", "is_same_program", "shape_of"]

_ROOT: Final = re.compile(
    r"(?:(?:\\\?\?\\|\\\\\?\\)?[A-Za-z]:|\\Device\\[A-Za-z]+[0-9]*|\\SystemRoot)\\\Z", re.IGNORECASE
)
"""What a path may begin with in place of the beginning that the kernel told."""
_WORD: Final = re.compile(r"[0-9A-Za-z_]+", re.ASCII)
_NAME_CUTS: Final = (14, 15)
"""Characters to which the file name in EPROCESS is cut."""


class Atom(NamedTuple):
    """A part of a line."""

    kind: Literal["mark", "word", "text"]
    """``mark``: what stands between words; ``word``: letters and digits; ``text``: one of the known texts."""
    text: str
    labels: frozenset[str] = frozenset()
    """Which of the known texts it may be."""


def is_same_program(text: str, path: str) -> bool:
    """Whether ``text`` names the file at ``path``: its path under another root, its name, or its name as
    EPROCESS has it."""
    name, told = base_name(path, slashes=True).casefold(), base_name(text, slashes=True).casefold()
    return bool(name) and (told == name or (len(told) in _NAME_CUTS and told == name[: len(told)]))


def cut(line: str, texts: Mapping[str, str]) -> tuple[Atom, ...]:
    """The atoms of a line; joined, their texts are the line.

    :param texts: what the line may hold, see :class:`~harness.learning.heard.HeardCall`.
    """
    atoms: list[Atom] = []
    done = 0
    for begin, end in _spans(line, texts):
        atoms += _plain(line[done:begin])
        found = line[begin:end]
        labels = {what for what, text in texts.items() if found == text or is_same_program(found, text)}
        atoms.append(Atom("text", found, frozenset(labels)))
        done = end
    return (*atoms, *_plain(line[done:]))


def shape_of(atoms: tuple[Atom, ...]) -> tuple[str, ...]:
    """What lines of one format have in common whatever their words are."""
    return tuple(atom.text if atom.kind == "mark" else f"<{atom.kind}>" for atom in atoms)


def _plain(text: str) -> Iterator[Atom]:
    done = 0
    for found in _WORD.finditer(text):
        if found.start() > done:
            yield Atom("mark", text[done : found.start()])
        yield Atom("word", found[0])
        done = found.end()
    if done < len(text):
        yield Atom("mark", text[done:])


def _spans(line: str, texts: Mapping[str, str]) -> list[tuple[int, int]]:
    """Where known texts stand in the line, from left to right; of two that overlap the longer."""
    found = {span for text in texts.values() if text for span in _places(line, text)}
    kept: list[tuple[int, int]] = []
    for begin, end in sorted(found, key=lambda span: (span[0] - span[1], span[0])):
        if all(end <= other[0] or begin >= other[1] for other in kept):
            kept.append((begin, end))
    return sorted(kept)


def _places(line: str, text: str) -> Iterator[tuple[int, int]]:
    """Every place of a known text: itself, or the file that it names."""
    yield from _occurrences(line, text)
    name = base_name(text, slashes=True)
    for shown in {name, *(name[:length] for length in _NAME_CUTS if len(name) > length)}:
        for begin, end in _occurrences(line.casefold(), shown.casefold()):
            if len(line.casefold()) == len(line):
                yield _path_begin(line, begin, text), end


def _occurrences(line: str, text: str) -> Iterator[tuple[int, int]]:
    at = line.find(text) if text else -1
    while at >= 0:
        end = at + len(text)
        if not (_is_word(line, at - 1) and _is_word(line, at)) and not (
            _is_word(line, end - 1) and _is_word(line, end)
        ):
            yield at, end
        at = line.find(text, at + 1)


def _is_word(line: str, at: int) -> bool:
    return 0 <= at < len(line) and _WORD.match(line[at]) is not None


def _path_begin(line: str, begin: int, path: str) -> int:
    """Where the path begins whose last part begins at ``begin``."""
    folders = re.split(r"(?<=[\\/])", path)[:-1]
    for folder in reversed(folders):
        if len(folder) > 1 and line[:begin].casefold().endswith(folder.casefold()):
            begin -= len(folder)
        else:
            break
    root = _ROOT.search(line[:begin])
    if root is not None:
        return root.start()
    return begin - 1 if line[:begin].endswith("\\") else begin
