"""README.md: its commands for a cluster run on one that was started apart, with an S3 server, reduced."""

import shlex

import pandas as pd

from tests.cluster.heads import ray_head
from tests.data.formats import write_cifar_python
from tests.readmes import PROJECT, as_a_process, marked
from tests.store.servers import s3_server
from tests.sweeps.test_sweep_files import SMALL

SIZE = {
    **SMALL,
    "train.width": 2,
    "train.replicates": 3,
    "train.milestones": "[1]",
    "compare.mean_networks": "[]",
    "analyses": "[]",
}


def test_cluster_commands_run(tmp_path):
    write_cifar_python(tmp_path / "data" / "cifar-10-batches-py", "cifar10")
    (tmp_path / "sweeps").symlink_to(PROJECT / "sweeps")
    sets = [f"{key}={value}" for key, value in {"train.data_root": tmp_path / "data", **SIZE}.items()]
    with s3_server(), ray_head() as address:
        for line in marked(".", "cluster").lines:
            assert shlex.split(line)[:1] == ["raysweep"]
            output = as_a_process(line.replace("http://head:8265", address), tmp_path, sets)
            assert "s3://bucket/prefix/sweeps/strong_vgg16_cifar10" in output
        stored = "s3://bucket/prefix/sweeps/strong_vgg16_cifar10/barriers"
        assert set(pd.read_parquet(stored).kind) == {"unaligned", "direct", "via", "joint"}
