"""A process that was given a GPU and cannot use it says what is wrong with the machine."""

import pytest

from raysweep.work.cuda_driver import LEAST_DRIVERS, why_no_cuda

PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder@host)  Tue\n"


@pytest.mark.parametrize("text", [PROPRIETARY, OPEN.format("535.183.01")])
def test_a_driver_that_is_too_old_is_named_with_the_one_that_is_needed(tmp_path, text):
    (tmp_path / "version").write_text(text)
    said = why_no_cuda("13.0", tmp_path / "version")
    assert "CUDA 13.0" in said
    assert "driver 580 or newer" in said
    assert "has 535.183.01" in said
    assert why_no_cuda("12.8", tmp_path / "version") is None


def test_a_new_enough_driver_and_a_machine_without_one_are_not_blamed(tmp_path):
    (tmp_path / "version").write_text(OPEN.format(f"{LEAST_DRIVERS[13]}.65.06"))
    assert why_no_cuda("13.0", tmp_path / "version") is None
    assert why_no_cuda("13.0", tmp_path / "missing") is None
    assert why_no_cuda("14.0", tmp_path / "version") is None


def test_a_build_without_cuda_is_named(tmp_path):
    assert "built without CUDA" in why_no_cuda(None, tmp_path / "missing")
