"""Many lines over a noisy serial line: none lost in silence, none doubled.

The suite sends a sample. The whole, 100,000 lines at each noise, is asked for with an environment variable::

    PROCNOTIFY_SERIAL_LINES=100000 python -m pytest tests/kd/test_kdcom_noise.py -s
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from noise import Noise
from noisy_line import print_lines

LINES = int(os.environ.get("PROCNOTIFY_SERIAL_LINES", "3000"))
"""At each noise."""
ALTERED = 1000
"""Of this many lines at most one is altered, that is: changed in ways that cancel out in KD's checksum, which
is a sum. No receiver can see that."""


@pytest.mark.parametrize(
    "noise",
    [
        Noise(),
        Noise(lost=3e-4, changed=3e-4, doubled=1e-4),
        Noise(lost=1e-3, changed=1e-3, doubled=3e-4),
        Noise(lost=2e-3),
        Noise(changed=2e-3),
    ],
    ids=["none", "some", "much", "bytes lost", "bits changed"],
)
def test_no_line_is_lost_in_silence_and_none_is_doubled(noise: Noise) -> None:
    found = print_lines(LINES, noise, seed=7)
    print(
        f"\n{LINES} lines, {found.bytes_carried} bytes, {found.faults} faults: "
        f"{len(found.got)} received, {len(found.misplaced)} misplaced, {found.altered} altered, "
        f"{found.simulated:.0f} s simulated in {found.seconds:.1f} s; {dict(found.events)}"
    )
    assert len(found.got) == LINES
    assert found.misplaced == []
    assert found.altered <= LINES // ALTERED
    assert (found.faults > 0) == (noise != Noise())
    assert found.faults == 0 or found.events["Dropped"] > 0


def test_what_a_target_gives_up_it_knows_of() -> None:
    # As kdcom does after 20 tries; here after two, on a line that damages every second packet or so.
    found = print_lines(500, Noise(lost=4e-3, changed=4e-3), seed=1, max_tries=2)
    arrived = Counter((len(payload), sum(payload)) for payload in found.got)
    for number, sent in enumerate(found.sent):
        assert arrived[len(sent), sum(sent)] or number in found.given_up
    assert 0 < len(found.given_up) < 250
    assert [payload for payload, times in Counter(found.got).items() if times > 1] == []
