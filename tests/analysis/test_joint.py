import pandas as pd
import pytest

from analysis.joint import analyse, marks, summarise, verdicts
from tests.analysis.barrier_rows import (
    METHOD,
    NETWORKS,
    joint_alignments,
    joint_rows,
    pair_alignments,
    pair_rows,
    trial_rows,
    via_rows,
)

FIVE = (*NETWORKS, "e@0@9")
ALIGNMENTS = pd.concat([pair_alignments(FIVE), joint_alignments(3, FIVE), joint_alignments(4, FIVE)])


def summary(*rows):
    return summarise(pd.DataFrame([each for part in rows for each in part]), ALIGNMENTS)


def test_ratios_to_alignment_through_a_reference():
    found = summary(
        pair_rows("direct", 8, 0.1, METHOD, splits=("test",)), via_rows(8, 0.4), joint_rows(8, 0.1)
    )
    loss = found[found.risk == "loss"].set_index("kind")
    assert loss.ratio.to_dict() == pytest.approx({"direct": 0.25, "via": 1.0, "joint, 3 networks": 0.25})
    ends = loss.loc["joint, 3 networks"]
    assert (ends.ratio_low, ends.ratio_high) == pytest.approx((0.25, 0.25))
    assert loss.n.to_dict() == {"direct": 6, "via": 12, "joint, 3 networks": 12}


def test_numbers_of_networks_are_kept_apart():
    found = verdicts(summary(via_rows(8, 0.4, FIVE), joint_rows(8, 0.1), joint_rows(8, 0.8, 4, FIVE)))
    three, four = found
    assert three == (
        "joint, 3 networks: loss barrier against that of via: below at every width; "
        "ratio by width 8: 0.250 [0.250, 0.250]"
    )
    assert "joint, 4 networks: loss barrier against that of via: above at every width" in four


def test_widths_are_decided_one_by_one():
    found = verdicts(summary(via_rows(8, 0.4), joint_rows(8, 0.1), via_rows(16, 0.1), joint_rows(16, 0.2)))
    assert "below at 8; above at 16;" in found[0]


def test_three_networks_have_no_interval_and_decide_nothing():
    three = NETWORKS[:3]
    (found,) = verdicts(summary(via_rows(8, 0.4, three), joint_rows(8, 0.1, 3, three)))
    assert "undecided: fewer than four networks at every width; ratio by width 8: 0.250" in found
    assert "nan" not in found


def test_without_a_reference_there_is_nothing_to_compare_with():
    (found,) = verdicts(summary(joint_rows(8, 0.1)))
    assert found == "joint: no alignment through a reference beside it (compare.kinds: via)"


def test_a_reference_without_a_barrier_has_no_ratio():
    (found,) = verdicts(summary(via_rows(8, 0.0), joint_rows(8, 0.1)))
    why = "nothing positive to divide by at every width"
    assert f"undecided: {why}; ratio by width 8: none (the mean loss barrier of via is not" in found


def test_an_alignment_of_all_networks_at_once_tells_nothing_of_others():
    """Of four networks aligned at once every pair depends on all four."""
    (found,) = verdicts(summary(via_rows(8, 0.4), joint_rows(8, 0.1, 4)))
    reason = "without one of the networks nothing is left to compare"
    assert f"undecided: {reason} at every width; ratio by width 8: 0.250" in found


def test_every_number_of_networks_has_a_look():
    found = marks(["direct", "via", *(f"joint, {size} networks" for size in range(3, 12))])
    assert list(found)[:3] == ["direct", "via", "joint, 3 networks"]
    assert len(found) == 11
    assert len(set(found.values())) == 11


def test_text(tmp_path):
    rows = [*pair_rows("direct", 8, 0.1, METHOD), *via_rows(8, 0.4), *joint_rows(8, 0.1)]
    for name, table in (("barriers", rows), ("alignments", ALIGNMENTS), ("trials", trial_rows())):
        pd.DataFrame(table).to_parquet(tmp_path / name)
    assert "0.400 [0.400, 0.400]" in analyse(tmp_path)
    assert (tmp_path / "figures/joint_mlp_digits.png").stat().st_size > 0
