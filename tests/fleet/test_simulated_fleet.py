"""However many workers contend, whoever crashes, whatever answer is lost: the log replayed by one thread gives the
states, byte for byte, and the decisions; who sat somewhere was told what was sent, and nothing acknowledged is lost.

More than a thousand schedules, each drawn from a seed; ``FLEET_SCHEDULES=20000`` plays more. One that goes wrong says
which it was.
"""

from __future__ import annotations

import os

import pytest
from simulated_fleet import World

SCHEDULES = int(os.environ.get("FLEET_SCHEDULES", "1200"))
PIECES = 8


@pytest.mark.parametrize("piece", range(PIECES))
async def test_a_replay_of_the_log_alone_gives_what_the_fleet_came_to(piece: int) -> None:
    failed = refused = takeovers = 0
    for seed in range(piece, SCHEDULES, PIECES):
        world = World(seed)
        await world.play()
        failed += world.chance.failed
        refused += world.refused
        takeovers += world.takeovers
    # What the schedules are for has been met in them.
    assert failed > 1_000
    assert refused > 100
    assert takeovers > 10
