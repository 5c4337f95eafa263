"""What is typed at a DbgPrompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.debuggers.prompts import PREFERENCE, PROMPT_END, answer_prompt


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Break repeatedly, break Once, Ignore, terminate Process or terminate Thread (boipt)? ", "i"),
        ("Break, Ignore (bi)? ", "i"),
        ("Abort or Ignore [A/I]: ", "I"),
        ("Break or break Once (bo)? ", "o"),
        ("Continue (yn)? ", "y"),
        ("Continue (y/n)? ", "y"),
        ("Continue (y, n): ", "y"),
        ("Go on? Y/N: ", "Y"),
        ("y/n", "y"),
        ("No is all there is (n)? ", "n"),
        ("(c)ontinue or (a)bort? ", "c"),
        ("(b)reak, (i)gnore? ", "i"),
        ("[B]reak, [O]nce: ", "O"),
        ("Break, terminate Process or Thread (bpt)? ", ""),
        ("What is its filename? ", ""),
        ("Read from C:/n ", ""),
        ("and/or? ", ""),
        ("call f(c) of x ", ""),
        ("", ""),
    ],
)
def test_the_most_wanted_of_the_choices_is_typed(prompt: str, answer: str) -> None:
    assert answer_prompt(prompt) == answer


def test_choices_are_looked_for_at_the_end_of_a_long_prompt() -> None:
    assert answer_prompt("(i)gnore " + "x" * PROMPT_END) == ""
    assert answer_prompt("x" * 1_000_000 + " (bi)? ") == "i"


@given(st.text(alphabet="()[]/,| aciony?:", max_size=80))
def test_what_is_typed_is_one_of_the_prompt_s_own_letters(prompt: str) -> None:
    answer = answer_prompt(prompt)
    assert answer == "" or (answer in prompt and answer.lower() in PREFERENCE)
