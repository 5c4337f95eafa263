"""The plan of breakpoints, held to processors that run at once: no call is missed and none is told twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.breakpoints.debugregisters import DR7_OFF
from harness.breakpoints.plan import MAX_PLANTED, BreakpointPlan, Meeting, StopAt, WayOn
from harness.kd.status import STATUS_ACCESS_VIOLATION, STATUS_BREAKPOINT, STATUS_SINGLE_STEP

FUNCTIONS = [0xFFFF_8000_0000_0000 + 0x100 * number for number in range(8)]


@dataclass
class Processor:
    """Runs one thread, which calls the functions of its program one after another."""

    thread: int
    program: list[int]
    done: int = 0
    resume_flag: bool = False
    trap_flag: bool = False
    trap: tuple[int, int] | None = None
    """Code and program counter of an exception that it has taken and that KD has not reported yet."""


@dataclass
class Target:
    """Processors that obey the debug registers, the flags and the breakpoint instructions in memory."""

    plan: BreakpointPlan
    processors: list[Processor]
    hits: list[tuple[int, int]] = field(default_factory=list)
    """Thread and function."""
    memory: frozenset[int] = frozenset()
    armed: frozenset[int] = frozenset()

    def obey(self) -> None:
        on = self.plan.dr7
        self.armed = frozenset(
            address for number, address in enumerate(self.plan.addresses) if on >> 2 * number & 1
        )
        self.memory = self.plan.planted

    def run(self, processor: Processor) -> None:
        """One instruction, or the report of an exception."""
        if processor.trap is not None:
            self._report(processor, *processor.trap)
            return
        at = processor.program[processor.done]
        if at in self.armed and not processor.resume_flag:
            processor.trap = (STATUS_SINGLE_STEP, at)
        elif at in self.memory:
            processor.trap = (STATUS_BREAKPOINT, at)
        else:
            processor.done += 1
            processor.resume_flag = False
            if processor.trap_flag:
                processor.trap_flag = False
                processor.trap = (STATUS_SINGLE_STEP, at + 4)

    def _report(self, processor: Processor, code: int, pc: int) -> None:
        # The stack is as deep in each call, so nothing but what has happened tells two calls apart.
        processor.trap = None
        if self.plan.meet(StopAt(processor.thread, pc, 0x1000, code)) is Meeting.HIT:
            self.hits.append((processor.thread, pc))
        way = self.plan.way_on
        processor.resume_flag, processor.trap_flag = way.resume_flag, way.step
        self.obey()


@given(
    programs=st.lists(st.lists(st.sampled_from(FUNCTIONS), max_size=12), min_size=1, max_size=4),
    often=st.sets(st.sampled_from(FUNCTIONS)),
    rarely=st.sets(st.sampled_from(FUNCTIONS)),
    seed=st.integers(0, 1 << 32),
)
@settings(max_examples=300, deadline=None)
def test_every_call_is_told_once_whichever_processor_goes_first(
    programs: list[list[int]], often: set[int], rarely: set[int], seed: int
) -> None:
    plan = BreakpointPlan()
    for address in sorted(rarely):
        assert plan.add(address, often=False)
    for address in sorted(often):
        assert plan.add(address, often=True)
    target = Target(plan, [Processor(number, program) for number, program in enumerate(programs)])
    target.obey()
    rng = random.Random(seed)
    for _ in range(5_000):
        busy = [each for each in target.processors if each.trap or each.done < len(each.program)]
        if not busy:
            break
        target.run(rng.choice(busy))
    for processor in target.processors:
        assert processor.done == len(processor.program), "it never came past a breakpoint"
        told = [function for thread, function in target.hits if thread == processor.thread]
        assert told == [function for function in processor.program if function in often | rarely]
    plan.clear()
    assert (plan.planted, plan.dr7, plan.addresses) == (frozenset(), DR7_OFF, (0, 0, 0, 0))


def test_three_have_registers_and_the_others_are_planted() -> None:
    plan = BreakpointPlan()
    for address in FUNCTIONS[:5]:
        assert plan.add(address, often=True)
    assert plan.addresses[:3] == tuple(FUNCTIONS[:3])
    assert plan.planted == set(FUNCTIONS[3:5])
    assert plan.dr7 == DR7_OFF | 0b010101


def test_an_address_that_is_left_free_is_given_to_the_next() -> None:
    plan = BreakpointPlan()
    for address in FUNCTIONS[:3]:
        plan.add(address, often=True)
    plan.remove([FUNCTIONS[1]])
    plan.add(FUNCTIONS[5], often=True)
    assert plan.addresses[:3] == (FUNCTIONS[0], FUNCTIONS[5], FUNCTIONS[2])


def test_no_more_are_planted_than_kd_has_slots_for() -> None:
    plan = BreakpointPlan()
    assert all(plan.add(0x1000 * (number + 1), often=False) for number in range(MAX_PLANTED))
    assert not plan.add(0x99_0000, often=False)
    assert plan.add(0x99_0000, often=True), "a debug register is still free"


def test_a_planted_one_leaves_an_address_in_the_registers_for_whoever_comes_next() -> None:
    plan = BreakpointPlan()
    plan.add(FUNCTIONS[0], often=False)
    assert any(plan.addresses)
    assert plan.dr7 == DR7_OFF


@pytest.mark.parametrize(
    ("pc", "code"),
    [(FUNCTIONS[0], STATUS_ACCESS_VIOLATION), (FUNCTIONS[0] + 1, STATUS_BREAKPOINT), (0, STATUS_SINGLE_STEP)],
)
def test_a_stop_elsewhere_or_for_another_reason_is_none_of_its_own(pc: int, code: int) -> None:
    plan = BreakpointPlan()
    plan.add(FUNCTIONS[0], often=True)
    assert plan.meet(StopAt(1, pc, 0x1000, code)) is Meeting.NONE
    assert plan.way_on == WayOn()


def test_an_instruction_that_repeats_itself_is_stepped_until_it_is_through() -> None:
    plan = BreakpointPlan()
    plan.add(FUNCTIONS[0], often=False)
    assert plan.meet(StopAt(1, FUNCTIONS[0], 0, STATUS_BREAKPOINT)) is Meeting.HIT
    for _ in range(3):
        assert plan.meet(StopAt(1, FUNCTIONS[0], 0, STATUS_SINGLE_STEP)) is Meeting.STEPPED
        assert plan.way_on == WayOn(resume_flag=True, step=True)
        assert plan.planted == frozenset()
    assert plan.meet(StopAt(1, FUNCTIONS[0] + 2, 0, STATUS_SINGLE_STEP)) is Meeting.STEPPED
    assert plan.planted == {FUNCTIONS[0]}


def test_a_hit_that_is_reported_after_its_breakpoint_was_taken_away_is_a_hit() -> None:
    plan = BreakpointPlan()
    plan.add(FUNCTIONS[0], often=True)
    plan.clear()
    assert plan.meet(StopAt(1, FUNCTIONS[0], 0, STATUS_SINGLE_STEP)) is Meeting.HIT


def test_nothing_is_left_by_a_processor_that_was_stepping_when_all_were_taken_away() -> None:
    plan = BreakpointPlan()
    plan.add(FUNCTIONS[0], often=False)
    assert plan.meet(StopAt(1, FUNCTIONS[0], 0, STATUS_BREAKPOINT)) is Meeting.HIT
    plan.clear()
    assert plan.addresses == (0, 0, 0, FUNCTIONS[0]) and plan.stepping, "it is still on its way past it"
    assert plan.meet(StopAt(1, FUNCTIONS[0] + 4, 0, STATUS_SINGLE_STEP)) is Meeting.STEPPED
    assert (plan.planted, plan.dr7, plan.addresses) == (frozenset(), DR7_OFF, (0, 0, 0, 0))
    assert not plan.stepping


def test_what_is_hit_after_all_were_taken_away_plants_nothing() -> None:
    plan = BreakpointPlan()
    plan.clear()
    assert not plan.add(FUNCTIONS[0], often=True)
    assert (plan.planted, plan.dr7, plan.addresses) == (frozenset(), DR7_OFF, (0, 0, 0, 0))


def test_a_stepped_instruction_that_faults_keeps_nobody_from_the_next_breakpoint() -> None:
    plan = BreakpointPlan()
    plan.add(FUNCTIONS[0], often=False)
    plan.add(FUNCTIONS[1], often=False)
    assert plan.meet(StopAt(1, FUNCTIONS[0], 0x2000, STATUS_BREAKPOINT)) is Meeting.HIT
    # What handles the fault calls another function in the same thread.
    assert plan.meet(StopAt(1, FUNCTIONS[1], 0x1000, STATUS_BREAKPOINT)) is Meeting.HIT
    assert plan.meet(StopAt(1, FUNCTIONS[1] + 4, 0x1000, STATUS_SINGLE_STEP)) is Meeting.STEPPED
    # Then the instruction is executed again.
    assert plan.meet(StopAt(1, FUNCTIONS[0], 0x2000, STATUS_BREAKPOINT)) is Meeting.AGAIN
