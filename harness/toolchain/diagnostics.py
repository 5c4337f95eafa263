"""What the compiler and the linker say: made into one error, or into the warnings that matter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.errors import UsageError
from harness.toolchain.ziglang import CompilerRefusal

__all__ = ["SourceError", "refusal_of_all", "users_sources", "warnings_that_matter"]

_MACHINE = ("No space left on device", "Too many open files", "Cannot allocate memory", "out of memory")
"""What the compiler says when the machine, not the source, is at fault."""
_DIAGNOSTIC = re.compile(r"^\S.*: (?:warning|error|fatal error): ")
_CONTEXT = re.compile(r"^In file included from ")
_COUNT = re.compile(r"^\d+ (?:warnings?|errors?)(?: and \d+ errors?)? generated\.$")
_FORMAT = re.compile(
    r"format specifies type '(?P<wanted>[^']+)'(?: \(aka '(?P<wanted_is>[^']+)'\))?"
    r" but the argument has type '(?P<given>[^']+)'(?: \(aka '(?P<given_is>[^']+)'\))?"
)
_32_BITS = frozenset({"int", "unsigned int", "long", "unsigned long"})


class SourceError(UsageError):
    """The compiler or linker refused the user's sources.

    The message is the first error; ``output`` is everything that was said, with source lines and carets.
    """

    def __init__(self, message: str, *, output: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = output


@contextmanager
def users_sources() -> Iterator[None]:
    """What is compiled and linked in the block is the user's: refused, it is the user's mistake.

    :raises SourceError: the compiler found something wrong in it.
    :raises ToolchainError: the machine is at its limit, or the compiler fell.
    """
    try:
        yield
    except CompilerRefusal as refusal:
        if "error:" not in refusal.output or any(words in refusal.output for words in _MACHINE):
            raise
        raise SourceError(refusal.message, output=refusal.output, hint=refusal.hint) from None


def refusal_of_all(refusals: Sequence[CompilerRefusal]) -> CompilerRefusal:
    """One refusal that stands for those of several sources."""
    output = "".join(refusal.output for refusal in refusals)
    errors = output.count("error: ")
    hint = f"{errors} errors in all" if errors > 1 else ""
    return CompilerRefusal(refusals[0].message, output=output, hint=hint)


def warnings_that_matter(output: str) -> str:
    """The compiler's warnings, without those that a Windows target makes moot.

    There ``long`` has 32 bits as ``int`` has, so ``%x`` for a ULONG or an NTSTATUS prints what it should.
    """
    kept = [block for block in _blocks(output) if not _is_moot(block)]
    return "".join(f"{line}\n" for block in kept for line in block)


def _blocks(output: str) -> Iterator[list[str]]:
    """The diagnostics, each with what belongs to it."""
    block: list[str] = []
    context: list[str] = []
    for line in output.splitlines():
        if _COUNT.match(line):
            continue
        if _CONTEXT.match(line):
            context.append(line)
        elif _DIAGNOSTIC.match(line):
            if block:
                yield block
            block = [*context, line]
            context = []
        else:
            block.append(line)
    if block:
        yield block


def _is_moot(block: Sequence[str]) -> bool:
    found = next((found for line in block if (found := _FORMAT.search(line))), None)
    if found is None:
        return False
    wanted = found["wanted_is"] or found["wanted"]
    given = found["given_is"] or found["given"]
    return wanted in _32_BITS and given in _32_BITS
