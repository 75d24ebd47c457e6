import threading
import time
from pathlib import Path

import pytest

from raysweep.data import files
from raysweep.data.files import DatasetSource, Layout, existing, find
from raysweep.errors import UserError

SOURCE = DatasetSource(
    "toy", (Layout("toy-py", ("a", "b"), gzipped=True), Layout("toy-bin", ("a.bin",))), "Toy"
)


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("below", ["", "toy-py"])
def test_files_lie_in_the_root_or_in_the_named_folder(below, tmp_path):
    touch(tmp_path / below, "a", "b.gz")
    assert find(SOURCE, str(tmp_path), False) == (tmp_path / below, SOURCE.layouts[0])


def test_the_named_folder_goes_before_the_root(tmp_path):
    touch(tmp_path, "a", "b")
    touch(tmp_path / "toy-py", "a", "b")
    assert find(SOURCE, str(tmp_path), False)[0] == tmp_path / "toy-py"


def test_an_incomplete_layout_is_passed_over(tmp_path):
    touch(tmp_path / "toy-py", "a")
    touch(tmp_path / "toy-bin", "a.bin")
    assert find(SOURCE, str(tmp_path), False) == (tmp_path / "toy-bin", SOURCE.layouts[1])


def test_compressed_files_are_no_layout_whose_reader_takes_plain_ones(tmp_path):
    touch(tmp_path / "toy-bin", "a.bin.gz")
    with pytest.raises(UserError, match="no folder among"):
        find(SOURCE, str(tmp_path), False)


def test_missing_files_say_where_and_what(tmp_path):
    with pytest.raises(UserError) as error:
        find(SOURCE, str(tmp_path), False)
    for text in (
        f"{tmp_path}/toy-py, {tmp_path}, ",
        "(a b, or a.bin)",
        "train.data_root",
        "train.download=true",
    ):
        assert text in str(error.value)


def test_the_plain_file_goes_before_the_compressed_one(tmp_path):
    touch(tmp_path, "a", "a.gz")
    assert existing(tmp_path, "a") == tmp_path / "a"
    assert existing(tmp_path, "b") is None


def toy(write):
    """A class like torchvision's, and the calls that it got."""
    calls = []

    def download(root, download, **options):
        calls.append((Path(root), options))
        write(Path(root))

    return download, calls


def test_download_goes_to_the_root_and_only_when_needed(tmp_path, monkeypatch):
    download, calls = toy(lambda root: touch(root / "toy-py", "a", "b"))
    monkeypatch.setattr("torchvision.datasets.Toy", download, raising=False)
    root = tmp_path / "new"
    assert find(SOURCE, str(root), True) == find(SOURCE, str(root), True)
    assert [options for _, options in calls] == [{}]


def test_download_without_a_root_goes_to_the_cache(tmp_path, monkeypatch):
    download, calls = toy(lambda root: touch(root, "a", "b"))
    monkeypatch.setattr("torchvision.datasets.Toy", download, raising=False)
    monkeypatch.setattr(files, "DEFAULT_ROOT", tmp_path / "cache")
    source = DatasetSource(
        "toy", SOURCE.layouts, "Toy", splits=("train", "test"), system=(tmp_path / "system",)
    )
    assert find(source, None, True)[0] == tmp_path / "cache"
    assert [options for _, options in calls] == [{"split": split} for split in ("train", "test")]


def test_two_that_download_at_once_do_so_once_and_never_see_half_of_it(tmp_path, monkeypatch):
    began, seen = threading.Event(), []

    def slowly(root):
        touch(root / "toy-py", "a")
        began.set()
        time.sleep(0.1)
        (root / "toy-py" / "b").write_text("whole")

    download, calls = toy(slowly)
    monkeypatch.setattr("torchvision.datasets.Toy", download, raising=False)

    def look():
        folder, _ = find(SOURCE, str(tmp_path), True)
        seen.append((folder / "b").read_text())

    first, second = (threading.Thread(target=look) for _ in range(2))
    first.start()
    began.wait()
    with pytest.raises(UserError):
        find(SOURCE, str(tmp_path), False)
    second.start()
    for thread in (first, second):
        thread.join()
    assert seen == ["whole", "whole"]
    assert len(calls) == 1


def test_a_download_that_lacks_a_file_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.Toy", toy(lambda root: touch(root, "a"))[0], raising=False)
    with pytest.raises(UserError, match="Toy lacks some of the files"):
        find(SOURCE, str(tmp_path), True)
    assert [path.name for path in tmp_path.iterdir()] == [".download"]


def test_a_failed_download_is_one_message(tmp_path, monkeypatch):
    def refuse(root):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.Toy", toy(refuse)[0], raising=False)
    with pytest.raises(UserError, match=r"toy cannot be downloaded into .*: no route to host"):
        find(SOURCE, str(tmp_path), True)
