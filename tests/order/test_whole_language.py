"""The search agrees with a reference that tries everything, on random orders of the whole language.

``PROCNOTIFY_ORDER_CASES`` is the number of cases to compare; the suite's own sample is small.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from random_orders import Orders, events
from reference import holds
from scenarios_of import HEAD, OFF

from harness.errors import ScenarioError
from harness.order import check
from harness.scenario import parse

CASES = int(os.environ.get("PROCNOTIFY_ORDER_CASES", "1200"))


@pytest.mark.parametrize("part", range(4))
def test_the_search_agrees_with_the_reference(part: int) -> None:
    seen: Counter[bool] = Counter()
    seed = part
    while seen.total() < CASES // 4:
        seed += 4
        chance = random.Random(seed)
        block = Orders(chance).block()
        text = HEAD % OFF + "  " + json.dumps(block) + "\n"
        try:
            scenario = parse(text, Path("t.yaml"))
        except ScenarioError:
            continue
        for _ in range(3):
            trace = events(chance)
            result = check(scenario, trace, {})
            if result.unjudged:
                continue  # too ambiguous
            passed = result.passed
            if passed and any(said.expectation for said in result.unobserved):
                continue  # held to what the trace carries alone: test_not_observed.py has a reference for it
            assert passed is holds(scenario.expect[0], trace), f"seed {seed}: {json.dumps(block)}\n{trace}"
            seen[passed] += 1
    assert min(seen[True], seen[False]) > CASES // 40, "the sample has hardly any of one kind"
