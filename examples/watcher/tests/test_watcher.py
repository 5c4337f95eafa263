"""The promises of the watcher that are easier said in Python than in a scenario."""

from collections import Counter

import pytest

import harness

SCENARIO = "scenarios/parent-and-child.yaml"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_holds_whoever_goes_first(run_scenario, seed):
    result = run_scenario(SCENARIO, seed=seed)
    assert result.held > 0


@pytest.mark.scenario(SCENARIO)
def test_nothing_is_told_twice(trace):
    told = Counter(event.pid for event in trace if isinstance(event, harness.ProcessCreate))
    assert told and max(told.values()) == 1


@pytest.mark.scenario(SCENARIO)
def test_only_processes_are_told_of(trace):
    assert not any(isinstance(event, harness.ThreadCreate | harness.ImageLoad) for event in trace)


def test_the_driver_is_loaded_under_its_name(debugger, machine):
    assert "watcher" in debugger.execute("lm", timeout=10)
    assert machine.status().state == "halted"
