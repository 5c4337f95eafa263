"""Scenario files: YAML in, frozen steps and expectations out, every error with file and line."""

from harness.scenario.load import load, parse
from harness.scenario.model import Expectation, Scenario, Step
from harness.scenario.rules import RULES, Rule

__all__ = ["RULES", "Expectation", "Rule", "Scenario", "Step", "load", "parse"]
