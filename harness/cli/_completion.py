"""What the shell completes: the values of options that are names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

__all__ = ["names_or_files"]


def names_or_files(
    names: Iterable[str], *, files: bool = False
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """For the ``shell_complete`` of an option that takes one of ``names``, or with ``files`` a path."""
    known = tuple(names)

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in known if name.startswith(incomplete)]
        # bash drops the names that stand before the word that paths are wanted.
        return [CompletionItem(incomplete, type="file"), *found] if files else found

    return complete
