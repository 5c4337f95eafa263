"""One expectation, compiled: what the search and the checker of proofs hold events to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.callbacks import CALLBACK_KINDS
from harness.events import KINDS, Event
from harness.order.observation import kinds_spoken_of
from harness.order.ops import Compiler, ListOp
from harness.order.patterns import Bindings, CompiledPattern, compile_pattern, field_of, kinds_of
from harness.scenario.model import Expectation, Pattern, Repeat, Scenario
from harness.scenario.variables import count_uses, local_variables

__all__ = ["MAX_SCOPES", "Block", "compile_block", "scope_values", "scope_variables", "scoped_block"]

MAX_SCOPES = 1_000
"""Values tried for a variable that only the trace can give to a scope."""


@dataclass(frozen=True)
class Block:
    """One expectation, compiled."""

    order: ListOp | None
    scope: tuple[CompiledPattern, ...]
    """Empty: every event whose type is in ``types``."""
    types: frozenset[type[Event]]
    """Types that can be in scope."""
    never: tuple[CompiledPattern, ...]
    only: bool

    def has_in_scope(self, event: Event, bindings: Bindings) -> bool:
        """Is the event in scope?"""
        if type(event) not in self.types:
            return False
        return not self.scope or any(pattern.match(event, bindings) is not None for pattern in self.scope)


def compile_block(
    scenario: Scenario, whole: Expectation, expectation: Expectation, constants: Bindings
) -> Block:
    """``expectation`` is what can be judged of ``whole``, which says what is in scope."""
    names = scenario.names()
    everywhere = count_uses(expectation)
    spoken = kinds_spoken_of(whole)

    def compiled(pattern: Pattern) -> CompiledPattern:
        return compile_pattern(pattern, kinds_of(pattern, spoken), constants)

    def promised(pattern: Pattern) -> CompiledPattern:
        return compile_pattern(pattern, kinds_of(pattern, spoken), constants, promised=True)

    def local(repeat: Repeat) -> frozenset[str]:
        return local_variables(repeat, everywhere, names)

    order = (
        None
        if expectation.order is None
        else Compiler(promised, compiled, local, constants).list(expectation.order.items)
    )
    scope = tuple(map(compiled, expectation.scope))
    kinds = frozenset(KINDS[kind] for kind in spoken | set(CALLBACK_KINDS))
    types = frozenset().union(*(pattern.types for pattern in scope)) if scope else kinds
    return Block(order, scope, types, tuple(map(compiled, expectation.never)), expectation.only)


def scope_variables(block: Block) -> list[str]:
    """The variables of the scope, to which only the trace can give a value."""
    return sorted({name for pattern in block.scope for _, name in (*pattern.variables, *pattern.differs)})


def scope_values(block: Block, events: Iterable[Event]) -> list[Bindings]:
    """What the trace has for the variables of the scope, in the order in which it came; of more than
    :data:`MAX_SCOPES` at least one more."""
    values: dict[frozenset[tuple[str, object]], Bindings] = {}
    for event in events:
        for pattern in block.scope:
            if type(event) in pattern.types and pattern.may_match(event):
                found: Bindings = {name: field_of(event, field) for field, name in pattern.variables}
                if None not in found.values():  # what an event does not carry is no value
                    values.setdefault(frozenset(found.items()), found)
        if len(values) > MAX_SCOPES:
            break
    return list(values.values())


def scoped_block(block: Block, given: Bindings) -> Block:
    """The block with its scope's variables known."""
    scope = tuple(compile_pattern(p.source, kinds_of(p.source, _kinds(p)), given) for p in block.scope)
    return replace(block, scope=scope)


def _kinds(pattern: CompiledPattern) -> frozenset[str]:
    return frozenset(kind for kind, cls in KINDS.items() if cls in pattern.types)
