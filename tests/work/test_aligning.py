"""Where a tile is aligned, and how many of its jobs are computed at a time, changes no result."""

from dataclasses import replace

import pytest

from raysweep.errors import CorruptObject
from raysweep.plan.desired import desired
from raysweep.store.files import Files
from raysweep.store.resume_points import ResumePoints
from raysweep.store.trials import TrialStore
from raysweep.sweep.load import check
from raysweep.work.aligning import Aligner
from raysweep.work.networks import Networks
from raysweep.work.resuming import Resuming
from raysweep.work.unit_values import UnitValues
from tests.pretended_device import DEVICE, pretended_device
from tests.work.plans import BASE, carry_out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    train = {**BASE, "width": [4, 6], "replicates": 3, "epochs": 1}
    sections = {
        "name": "s",
        "train": train,
        "align": {
            "methods": ["weight_matching", "activation_matching", "learned"],
            "activation_matching": {"examples": 100},
            "learned": {"steps": 3, "batch_size": 8, "examples": 20, "rounds": 1, "candidates": 6},
        },
        "compare": {"kinds": ["direct", "joint"], "joint_networks": [3], "across": ["widths"]},
    }
    wanted = desired(check("test", sections))
    files = Files(str(tmp_path_factory.mktemp("root")))
    carry_out(wanted, files, align=False)
    return wanted, files


class Moved(Networks):
    """Moves a data set as a whole, because `torch.tensor` knows no pretended device."""

    def architecture_and_data(self, trial, device="cpu"):
        config, data = super().architecture_and_data(trial)
        return config, replace(data, train=replace(data.train, images=data.train.images.to(device)))


def rows(trained, device="cpu", at_once=1, cache=10**6, but=""):
    """The rows of the alignments without their times, but for those of one method."""
    wanted, files = trained
    sections = wanted.sweep.sections
    align = sections.align.model_copy(update={"device": device})
    networks = Moved(TrialStore(files), sections, cache)
    values = UnitValues(align.activation_matching, cache)
    aligner = Aligner(align, networks, values, Resuming(ResumePoints(files), 30, "cpu"), at_once)
    by_setting = {}
    for job in (each for each in wanted.alignments.values() if each.method != but):
        by_setting.setdefault(job.setting, []).append(job)
    found = [row for jobs in by_setting.values() for row in aligner.rows(jobs, wanted.trials)]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


@pytest.fixture(scope="module")
def alone(trained):
    """The rows of the alignments, computed one at a time on the CPU."""
    return rows(trained)


def test_the_number_of_jobs_at_a_time_changes_no_bit(trained, alone):
    assert len(alone) == len(trained[0].alignments)
    assert rows(trained, at_once=4) == alone
    assert rows(trained, at_once=4, cache=0) == alone


def test_a_tile_on_a_device_gives_the_bits_of_the_cpu(trained, alone):
    with pretended_device():
        found = rows(trained, DEVICE, but="learned")  # whose many steps take long there
    methods = {name: each.method for name, each in trained[0].alignments.items()}
    assert found == [row for row in alone if methods[row["alignment_id"]] != "learned"]


def test_a_failing_job_of_several_raises(trained):
    wanted, files = trained
    job = next(each for each in wanted.alignments.values() if each.method == "weight_matching")
    broken = replace(job, networks=(job.target, replace(job.networks[1], step=10**6)))
    present = {**wanted.alignments, job.alignment_id: broken}
    with pytest.raises(CorruptObject, match="1000000"):
        rows((replace(wanted, alignments=present), files), at_once=4)
