"""One Ray for all tests whose driver is the test's process."""

import os

import pytest
import ray

from raysweep.cluster.session import ray_session
from tests.cluster import poison
from tests.environment import restore
from tests.store.servers import s3_server


@pytest.fixture(scope="package")
def switches(tmp_path_factory):
    """The folder of the switches and notes of `poison`, for Rays that start from now on."""
    before = {poison.FOLDER: os.environ.get(poison.FOLDER)}
    os.environ[poison.FOLDER] = str(tmp_path_factory.mktemp("switches"))
    yield
    restore(before)


@pytest.fixture(scope="package")
def shared_ray(switches):
    """Four CPUs, two (fake) GPUs, and an S3 server that its processes know."""
    with s3_server():
        ray.init("local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
        with ray_session(None):
            yield
        ray.shutdown()


@pytest.fixture
def session(shared_ray):
    poison.reset()
