from raysweep.data import DataConfig, dataset_digest, load_arrays


def test_the_split_has_its_own_seed():
    first, again, other = (load_arrays(DataConfig("digits", split_seed=seed)) for seed in (0, 0, 1))
    assert len(first.train_labels) == 1397
    assert len(first.test_labels) == 400
    assert dataset_digest(first) == dataset_digest(again) != dataset_digest(other)
