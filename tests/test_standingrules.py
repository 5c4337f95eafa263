"""The table of standing rules: what the kernel can say is in it, and what is asked for is found."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.events import Bugcheck, RuleBroken, ThreadCreate
from harness.outcome import Outcome
from harness.standingrules import STANDING_RULES, check_standing_rules
from harness.verdict.judge import judge
from harness.virtual.kernel.callrules import IRQL_LIMITS
from harness.virtual.kernel.exports import EXPORTS

BROKEN = RuleBroken(index=1, rule="PoolTracking", module="x.sys", message="x.sys left behind pool")
CRASH = Bugcheck(index=2, code=0xCE, parameters=(1, 2, 3, 4))
THREAD = ThreadCreate(index=0, pid=8, tid=12)


def test_every_rule_says_what_it_wants_and_where_that_stands() -> None:
    for name, rule in STANDING_RULES.items():
        assert (name, name.isidentifier(), name[0].isupper()) == (rule.name, True, True)
        assert rule.sentence.endswith(".") and rule.source and not rule.source.endswith(".")


def test_every_limit_of_an_irql_is_of_an_export_and_has_its_rule() -> None:
    assert IRQL_LIMITS.keys() <= EXPORTS.keys()
    assert {limit.rule for limit in IRQL_LIMITS.values()} <= STANDING_RULES.keys()
    assert all(limit.highest in (0, 1) for limit in IRQL_LIMITS.values())


def test_a_rule_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'PoolTraking'; did you mean PoolTracking"):
        check_standing_rules(["PoolTraking"])
    with pytest.raises(UsageError, match=r"'zz'; docs/verdicts.md"):
        check_standing_rules(["zz"])
    assert check_standing_rules(STANDING_RULES) == STANDING_RULES.keys()


def test_a_broken_rule_breaks_a_capture_without_a_scenario_and_a_bugcheck_outweighs_it() -> None:
    verdict = judge(None, [THREAD, BROKEN], {})
    assert (verdict.outcome, verdict.broken_rules) == (Outcome.BROKEN, (BROKEN,))
    assert verdict.reason == "PoolTracking: x.sys left behind pool"
    several = judge(None, [THREAD, BROKEN, BROKEN, BROKEN], {})
    assert several.reason.endswith(" (and 2 more)")
    crashed = judge(None, [THREAD, BROKEN, CRASH], {})
    assert (crashed.outcome, crashed.broken_rules) == (Outcome.BUGCHECK, (BROKEN,))
