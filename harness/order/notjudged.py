"""What could not be judged, in words: a line for each reason."""

from __future__ import annotations

from collections.abc import Iterable

from harness.order.result import Unobserved

__all__ = ["not_judged_lines"]


def not_judged_lines(unobserved: Iterable[Unobserved], file: str) -> tuple[str, ...]:
    """``not judged: creating_tid (3 lines of a.yaml): no thread_create of this driver carries it``.

    :param file: the name of the scenario's file.
    """
    lines: dict[tuple[str, str], dict[int, None]] = {}
    rules: dict[str, list[str]] = {}
    for said in unobserved:
        if said.line is None:
            rules.setdefault(said.why, []).append(said.what)
        else:
            lines.setdefault((said.what, said.why), {})[said.line] = None
    told = [f"{what} ({_places(tuple(places), file)}): {why}" for (what, why), places in lines.items()]
    told += [
        f"{', '.join(names)} (lifecycle rule{'s' * (len(names) > 1)}): {why}" for why, names in rules.items()
    ]
    return tuple(f"not judged: {each}" for each in told)


def _places(lines: tuple[int, ...], file: str) -> str:
    return f"line {lines[0]} of {file}" if len(lines) == 1 else f"{len(lines)} lines of {file}"
