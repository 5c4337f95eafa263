"""Every situation and what it means: outcome, exit code, words. ``docs/verdicts.md`` has the same table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from lives import born, died, thread, thread_end
from traces import BREAKING, SECOND, entry, image, placed, removal, scenario, totals

from harness.debuggers.base import Release
from harness.errors import DriverHang, TargetLost
from harness.events import Bugcheck, Disconnect, Event, Marker, Print, Reboot, RuleBroken, Stop
from harness.grammars import builtin_grammar
from harness.outcome import Outcome
from harness.scenario import RULES
from harness.verdict.ending import Ending
from harness.verdict.judge import Verdict, judge
from harness.verdict.survey import MAX_BOOTS, MAX_BROKEN_RULES, Survey

LIFE = "  order:\n    - process_create: {pid: 8}\n    - process_exit: {pid: 8}"
TWO = f"- {LIFE.strip()}\n- order: [image_load: any]".replace("\n    ", "\n      ")
MISSING = ", ".join(["optional: {process_create: any}"] * 40)
AMBIGUOUS = (
    f"  order: [one_of: [[image_load: any, image_load: any], [process_create: any, any_order: [{MISSING}],"
    " process_exit: {pid: 12}]]]"
)
"""Too ambiguous for a trace in which a process is created."""
CRASH = Bugcheck(index=0, code=0x50, parameters=(1, 2, 3, 4), module="bad.sys")
PLACED = Bugcheck(index=0, code=0x50, parameters=(1, 2, 3, 4), module="bad.sys", offset=0x10)
REFUSED = RuleBroken(index=0, rule="CallbackRefused", module="bad.sys", message="bad.sys was refused")
SECOND_CHANCE = Stop(index=0, code=0xC0000005, address=0x10, first_chance=False, module="bad.sys")
FIRST_CHANCE = Stop(index=0, code=0xC0000005, address=0x10, first_chance=True)
LOST = Ending.of(TargetLost("the link died", hint="look at the cable"))
HANG = Ending.of(DriverHang("a callback did not return", address=0x10))
HALTED = Release(False, "it did not take a continue")
KEPT: list[Event] = [born(), died()]
ENDED = "[procnotify] F PID(8) was terminated {seq=2 t=2 cpu=0 by=8.12}"
NOISE = Print(index=0, line="hello")
ACTED = Marker(index=0, action="launch", phase="begin", step=1, pid=4)
ASKED = Marker(index=0, action="ioctl", phase="end", step=1, pid=4, status=0)
NO_REBOOT = "  never: [reboot: any]"
ASKED_TWICE = "  order: [marker: {action: ioctl}, marker: {action: ioctl}]"


@dataclass(frozen=True)
class Situation:
    events: list[Event]
    outcome: Outcome
    words: str = ""
    expect: str = LIFE
    off: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)


P, B, R, C = Outcome.PASSED, Outcome.BROKEN, Outcome.RIG, Outcome.BUGCHECK

SITUATIONS = {
    "all held": Situation(KEPT, P),
    "the order is broken": Situation([died(), born()], B, "s.yaml:"),
    "a lifecycle rule is broken": Situation([*KEPT, thread()], B, "nothing_after_process_exit: "),
    # what the target did
    "a bugcheck": Situation([*KEPT, CRASH], C, "0x00000050 PAGE_FAULT_IN_NONPAGED_AREA"),
    "a bugcheck at a known instruction": Situation([PLACED], C, " in bad.sys, instruction at bad.sys+0x10"),
    "a bugcheck, and the rig failed after it": Situation([CRASH], C, "bugchecked", given={"ending": LOST}),
    "a bugcheck in a trace that is cut off": Situation([CRASH], C, "", given={"unfinished": "no end"}),
    "an exception that nothing handled": Situation(
        [*KEPT, SECOND_CHANCE], B, "exception 0xc0000005 at 0x0000000000000010 in bad.sys (event 2)"
    ),
    "... whatever follows": Situation(
        [SECOND_CHANCE, *KEPT], B, "exception 0xc0000005", given={"ending": LOST}
    ),
    "... but a bugcheck after it": Situation([SECOND_CHANCE, CRASH], C, "bugchecked"),
    "an exception that the target handled": Situation([FIRST_CHANCE, *KEPT], P),
    "a hang of the driver": Situation(KEPT, B, "a callback did not return", given={"ending": HANG}),
    "a hang is no matter of parts": Situation(KEPT, B, "", given={"ending": HANG, "partial": True}),
    # how the capture ended
    "the rig failed": Situation(KEPT, R, "the link died; look at the cable", given={"ending": LOST}),
    "the rig failed, judged in part": Situation(KEPT, P, given={"ending": LOST, "partial": True}),
    "a rule broken in a part": Situation(
        [*KEPT, thread()], B, "nothing_after", given={"ending": LOST, "partial": True}
    ),
    "what came never in a part": Situation(
        [born()], R, "not judged: s.yaml:", given={"ending": LOST, "partial": True}
    ),
    "what must not come, in a part": Situation(
        KEPT, B, "forbidden", "  never: [process_exit: any]", given={"ending": LOST, "partial": True}
    ),
    "no end": Situation(
        KEPT, R, "no end; judge what there is of it with --partial", given={"unfinished": "no end"}
    ),
    "no end, judged in part": Situation(KEPT, P, given={"unfinished": "no end", "partial": True}),
    "a target not proved to run": Situation(
        KEPT,
        R,
        "was left halted: it did not take a continue; should it stand still",
        given={"release": HALTED},
    ),
    "a target that was left running": Situation(KEPT, P, given={"release": Release(True, "it ran")}),
    # whether the lines can be judged
    "a number is missing": Situation(
        [born(seq=1), died(seq=3)], R, "1 line of the driver never arrived (seq 2); nothing is judged"
    ),
    "fewer lines than the driver counted": Situation(
        [entry(), *KEPT, removal(), totals(process_create=1, process_exit=2)],
        R,
        "the driver counted 2 process_exit, but 1 arrived",
    ),
    "more lines than the driver counted": Situation(
        [entry(), *KEPT, removal(), totals(process_create=1)],
        B,
        "totals_count_every_line: the driver counted 0 process_exit, but 1 arrived",
    ),
    "totals with a counter more": Situation(
        [entry(), *KEPT, removal(), totals(process_create=1, process_exit=1, registry=7)], P
    ),
    "a callback after the totals": Situation(
        [entry(), removal(), totals(), *KEPT],
        B,
        "2 callback lines came after the driver's totals, from event 3",
    ),
    "another line after the totals": Situation(
        [entry(), *KEPT, removal(), totals(process_create=1, process_exit=1), NOISE], P
    ),
    "a line twice, byte for byte": Situation(
        [born(seq=1, time=1), *[builtin_grammar().parse(ENDED, 0)] * 2],
        R,
        "1 line of the driver arrived twice, byte for byte",
    ),
    "... where that is switched off": Situation(
        [born(seq=1, time=1), *[builtin_grammar().parse(ENDED, 0)] * 2],
        P,
        off=("seq_unique", "nothing_after_process_exit"),
    ),
    "numbers and clock that go back": Situation(
        [born(seq=1, time=SECOND), died(seq=2, time=9 * SECOND), died(seq=2, time=2 * SECOND, context_pid=1)],
        R,
        "numbers and clock went back to seq 2 after 2 (event 2); a VM that is put back",
    ),
    "a number on another line": Situation(
        [born(seq=1, time=1), died(seq=2, time=2), image(12, seq=2, time=3)], B, "seq_unique: seq 2"
    ),
    # nothing heard
    "nothing at all": Situation(
        [], R, "no line of the driver arrived; is it loaded? a plain DbgPrint is hidden until Kd_DEFAULT_Mask"
    ),
    "nothing of the driver": Situation(
        [NOISE, NOISE, ACTED],
        R,
        "no line of the driver arrived; 2 other lines came that fit no form; is it loaded?",
    ),
    "a driver that is loaded while nothing happens": Situation([entry()], R, "reported no callback"),
    "a driver that reports nothing of what was done": Situation([entry(), ACTED], B, "not found"),
    # what nobody can judge
    "a never that nothing could break": Situation(
        [NOISE], R, "no line of the driver arrived", expect="  never: [process_exit: any]"
    ),
    # boots
    "each boot by itself": Situation([born(), Reboot(index=0), born(), died()], P),
    "an order over two boots": Situation([born(), Reboot(index=0), died()], B, "not found"),
    "a rule broken in one boot": Situation(
        [*KEPT, thread(), Reboot(index=0), *KEPT], B, "boot 1 of 2: nothing_after_process_exit"
    ),
    "the same number in another boot": Situation(
        [born(seq=1, time=5), died(seq=2, time=6), Reboot(index=0), born(seq=1, time=5), died(seq=2, time=6)],
        P,
    ),
    "a number missing in one boot": Situation(
        [born(seq=1), thread(seq=3), thread_end(seq=4), Reboot(index=0), *KEPT], R, "seq 2"
    ),
    "a reboot before the driver was loaded": Situation([NOISE, Reboot(index=0), *KEPT], P),
    "a reboot that is forbidden, before the driver was loaded": Situation(
        [NOISE, Reboot(index=0), *KEPT], B, "boot 1 of 2: s.yaml:4: forbidden", expect=NO_REBOOT
    ),
    "an order of markers over two boots, the driver asked alone": Situation(
        [ASKED, Reboot(index=0), ASKED], B, "s.yaml:4: not found: marker", expect=ASKED_TWICE
    ),
    "more boots than are judged": Situation(
        [*[Reboot(index=0)] * (MAX_BOOTS + 1), *KEPT], R, "more than 64 boots"
    ),
    "a rule broken in one of more boots than are judged": Situation(
        [*KEPT, thread(), *[Reboot(index=0)] * (MAX_BOOTS + 1), *KEPT],
        B,
        "boot 1 of 64 and more: nothing_after_process_exit",
    ),
    "an order in none of the boots that are judged": Situation(
        [born(), *[Reboot(index=0)] * (MAX_BOOTS + 1), *KEPT], R, "more than 64 boots"
    ),
    "two orders, each in a boot of its own": Situation([*KEPT, Reboot(index=0), image()], P, expect=TWO),
    "two orders, one in no boot": Situation(
        [*KEPT, Reboot(index=0), born(), Reboot(index=0), *KEPT], B, "s.yaml:7: not found: image", expect=TWO
    ),
    "what is forbidden beside the order, in a boot without it": Situation(
        [thread(), Reboot(index=0), *KEPT],
        B,
        "boot 1 of 2: s.yaml:7: forbidden, but it came (event 0)",
        expect=f"{LIFE}\n  never: [thread_create: any]",
    ),
    "what is forbidden in the order, in one boot of two": Situation(
        [born(), image(), died(), Reboot(index=0), *KEPT],
        P,
        expect=LIFE.replace("    - process_exit", "    - never: {image_load: any}\n    - process_exit"),
    ),
    # the connection closed
    "closed where the numbers go on": Situation([born(seq=1), Disconnect(index=0), died(seq=2)], P),
    "closed where numbers are missing": Situation(
        [born(seq=1), Disconnect(index=0), died(seq=4)], R, "seq 2..3"
    ),
    "closed where there are no numbers": Situation(
        [born(), Disconnect(index=0), died()],
        R,
        "the connection was closed (event 1), and nothing proves that no line was lost until it was back; "
        "what lies on one side of it can be judged as a part",
    ),
    "... where lost lines do not matter": Situation(
        [born(), Disconnect(index=0), died()], P, off=("no_lost_lines",)
    ),
    "closed, and a rule is broken": Situation([died(), Disconnect(index=0), image(8)], R, "nothing proves"),
    "closed, and it bugchecked": Situation([CRASH, Disconnect(index=0)], C, "0x00000050"),
    # what is too ambiguous
    "too ambiguous": Situation([*KEPT, *KEPT], R, "s.yaml:4: the trace is too ambiguous", expect=AMBIGUOUS),
    "too ambiguous, and a rule is broken": Situation(
        [*KEPT, thread()], B, "nothing_after_process_exit: ", expect=AMBIGUOUS
    ),
    "too ambiguous in a boot, and the order found in the other": Situation(
        [*KEPT, Reboot(index=0), image(8), image(8)],
        R,
        "boot 1 of 2: s.yaml:4: the trace is too ambiguous",
        expect=AMBIGUOUS,
    ),
}


def judged(situation: Situation) -> Verdict:
    rules = scenario(situation.expect, situation.off)
    return judge(rules, placed(situation.events), {}, **situation.given)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
def test_a_situation(situation: Situation) -> None:
    verdict = judged(situation)
    assert verdict.outcome is situation.outcome, verdict
    assert situation.words in verdict.line
    assert verdict.events == len(situation.events)
    assert (verdict.line == "") == (situation.outcome is Outcome.PASSED)


def test_a_standing_rule_that_is_switched_off_hides_no_other() -> None:
    broken = [
        RuleBroken(index=0, rule=rule, module="d.sys", message=f"{rule} {place}")
        for rule, places in (("PoolTracking", MAX_BROKEN_RULES + 1), ("UnloadThreads", 1))
        for place in range(places)
    ]
    events = placed([*KEPT, *broken])
    said = judge(scenario(LIFE).without_rules(frozenset({"PoolTracking"})), events, {})
    assert (said.outcome, said.reason) == (B, "UnloadThreads: UnloadThreads 0")
    assert len(judge(scenario(LIFE), events, {}).broken_rules) == MAX_BROKEN_RULES


def test_a_verdict_in_part_says_so() -> None:
    assert judged(SITUATIONS["the rig failed, judged in part"]).partial == "the link died"
    assert judged(SITUATIONS["no end, judged in part"]).partial == "no end"
    assert judged(SITUATIONS["all held"]).partial == ""


def test_lines_that_fit_no_form_are_told_with_the_place() -> None:
    lines = [
        "[procnotify] F PID(8) was terminated",
        "[procnotify] F PID(x) was terminated",
        "[procnotify] F PID(1) loaded x",
        "[procnotify] 1",
        "[procnotify] 2",
        "another driver's",
    ]
    verdict = judge(None, [builtin_grammar().parse(line, n) for n, line in enumerate(lines)], {})
    assert verdict.notes == (
        "4 lines of the driver fit no form:",
        "  event 1 fits image_load up to character 20, where a decimal number is expected: " + lines[1],
        "  event 2 fits image_load up to character 30, where 'a/an ' is expected: " + lines[2],
        "  event 3 fits thread_create up to character 14, where an identifier is expected: [procnotify] 1",
    )


def test_lines_of_nobody_are_shown_where_the_driver_was_not_heard() -> None:
    events = [Print(index=n, line=f"[other] {n}") for n in range(5)]
    verdict = judge(scenario(), events, {})
    assert len(verdict.notes) == 3
    assert verdict.notes[0].startswith("  event 0 fits ")
    assert verdict.notes[0].endswith(": [other] 0")


def test_a_capture_without_a_scenario_is_no_failure_for_silence() -> None:
    assert judge(None, [], {}).outcome is Outcome.PASSED
    assert judge(None, placed([CRASH]), {}).outcome is Outcome.BUGCHECK
    assert judge(None, placed([born(seq=1), died(seq=3)]), {}).outcome is Outcome.RIG


def test_stops_are_counted_and_the_findings_are_values() -> None:
    verdict = judge(scenario(LIFE), placed([FIRST_CHANCE, FIRST_CHANCE, SECOND_CHANCE, *KEPT]), {})
    assert (verdict.stops, verdict.unhandled is not None) == (3, True)
    assert verdict.unhandled is not None and verdict.unhandled.index == 2
    assert verdict.counts == {"stop": 3, "process_create": 1, "process_exit": 1}
    assert verdict.check is None
    held = judged(SITUATIONS["all held"])
    assert held.check is not None and [m.index for m in held.check.witnesses[0].matches] == [0, 1]


def test_a_survey_that_was_made_before_gives_the_same_verdict() -> None:
    events = placed([entry(), *KEPT, removal(), totals(process_create=1)])
    survey = Survey()
    for event in events:
        survey.feed((event,))
    assert judge(scenario(LIFE), events, {}, survey=survey) == judge(scenario(LIFE), events, {})


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_trace_that_breaks_it_and_no_other(rule: str) -> None:
    others = [other for other in RULES if other != rule]
    verdict = judge(scenario(off=others), placed(BREAKING[rule]), {})
    assert verdict.outcome is (Outcome.RIG if rule == "no_lost_lines" else Outcome.BROKEN)
    assert judge(scenario(off=[rule]), placed(BREAKING[rule]), {}).outcome is Outcome.PASSED


def test_a_broken_rule_says_better_than_the_bugcheck_where_it_was() -> None:
    verdict = judge(scenario(LIFE), [PLACED, REFUSED], {})
    assert verdict.outcome is Outcome.BUGCHECK
    assert verdict.reason.endswith(") in bad.sys")
