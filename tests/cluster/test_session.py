import pytest

from raysweep.cluster.session import ray_session
from raysweep.errors import UserError


def test_an_address_that_does_not_answer_is_one_message():
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:1: .*refused"), ray_session("127.0.0.1:1"):
        pass
