import pytest

from analysis.deciding import share_connected, state

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "unaligned", "word"),
    [
        (0.01, 0.02, 0.5, "holds"),
        (0.01, 0.02, None, "holds"),
        (0.01, 0.021, 0.5, "undecided"),
        (0.021, 0.03, 0.5, "fails"),
        (NAN, NAN, 0.5, "undecided"),
        (0.0, 0.01, 0.02, "not informative"),
        (0.03, 0.04, 0.02, "not informative"),
    ],
)
def test_states(low, high, unaligned, word):
    assert state(low, high, unaligned) == word


def test_the_last_bits_do_not_decide():
    assert state(0.0, 0.035 - 0.015, 0.5) == "holds"
    assert share_connected([0.035 - 0.015, 0.0225]) == 0.5
