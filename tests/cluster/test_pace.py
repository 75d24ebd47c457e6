"""How long the driver takes to serve all workers is measured."""

import pytest

from raysweep.cluster.pace import BEFORE, MEMORY, Pace


def served(pace, sending, receiving, tiles):
    for _ in range(tiles):
        pace.took(sending, 1)
        pace.took(receiving, 1)
    return pace


def test_a_tile_is_sent_and_received():
    assert served(Pace(), 3e-3, 1e-3, 10 * MEMORY).lap(1000) == pytest.approx(4.0, rel=0.01)


def test_a_first_tile_tells_little():
    assert served(Pace(), 0.1, 0, 1).lap(1) < 3 * BEFORE


def test_a_driver_that_has_become_slower_is_noticed():
    pace = served(Pace(), 2e-4, 1e-4, 100 * MEMORY)
    assert served(pace, 2e-3, 1e-3, 3 * MEMORY).lap(1) == pytest.approx(3e-3, rel=0.3)
