"""Roots as users type them."""

from pathlib import Path

import pytest

from raysweep.errors import UserError
from raysweep.store.files import Files
from tests.inside import here


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("", "is empty; expected a directory, or s3://bucket/prefix or gs://bucket/prefix"),
        (" ", "is empty"),
        ("s3:/bucket/prefix", r"did you mean s3://bucket/prefix\?"),
        ("gs:bucket", r"did you mean gs://bucket\?"),
        ("s3:///prefix", "expected a directory, or s3://bucket/prefix"),
        ("s3://", "expected a directory"),
        ("s3://bucket/x//y", "empty path segment"),
        ("http://bucket", "expected a directory"),
        (__file__, "is a file"),
        ("~nobody-of-this-name/runs", "nobody-of-this-name|home"),
        ("a\0b", "null"),
    ],
)
def test_what_is_no_root_is_refused(root, said):
    with pytest.raises(UserError, match=said) as caught:
        Files(root)
    assert str(caught.value).startswith("root ")


def test_the_home_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Files("~/runs").directory == Path(tmp_path).resolve() / "runs"


@pytest.mark.parametrize("command", ["status", "verify", "gc"])
def test_a_mistyped_root_is_an_error(command, tmp_path):
    assert "there is no such directory" in here(command, tmp_path / "rusn", code=2)
    assert "raysweep has stored nothing there" in here(command, tmp_path, code=2)
    assert not (tmp_path / "rusn").exists()
    assert not list(tmp_path.iterdir())


def test_links_to_folders_below_a_root_end_in_one_line(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / "trials/a").mkdir(parents=True)
    (root / "sweeps/s").mkdir(parents=True)
    (root / "sweeps/s/sweep.yaml").write_text("name: s")
    (elsewhere / "alignments").mkdir(parents=True)
    (root / "results").symlink_to(elsewhere)
    said = here("verify", root, code=2)
    assert f"{root}/results/alignments: leads out of the root, to {elsewhere}/alignments" in said
    (root / "results").unlink()
    for target in (root / "trials", root / "trials/a/loop"):  # the folder above, and the link itself
        (root / "trials/a/loop").symlink_to(target)
        (line,) = here("verify", root, code=2).splitlines()
        assert line.startswith(f"error: {root}/trials/a/loop: is a symbolic link")
        (root / "trials/a/loop").unlink()
