import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.data import Arrays, DataConfig, dataset_digest, load_arrays
from raysweep.data.subset import permute_pixels, subset_indices
from raysweep.errors import UserError

counts, seeds = st.integers(2, 300), st.integers(0, 2**40)


def chosen(count, **subset):
    return subset_indices(DataConfig("digits", **subset), count).tolist()


@given(counts, seeds)
def test_halves_are_disjoint_and_together_the_whole(count, seed):
    first, second = (chosen(count, half=half, subset_seed=seed) for half in (0, 1))
    assert sorted(first + second) == list(range(count))
    assert len(first) - len(second) == count % 2


@given(counts, seeds, st.floats(0.3, 1), st.floats(0.3, 1))
def test_a_smaller_fraction_lies_within_a_larger_one(count, seed, one, other):
    small, large = (chosen(count, fraction=f, subset_seed=seed) for f in sorted((one, other)))
    assert set(small) <= set(large)
    assert len(large) == round(max(one, other) * count)


@given(counts, seeds, st.data())
def test_consecutive_ranges_partition_the_examples(count, seed, data):
    cut = data.draw(st.integers(1, count - 1))
    first, second = (chosen(count, examples=e, subset_seed=seed) for e in ((0, cut), (cut, count)))
    assert len(first) == cut
    assert sorted(first + second) == list(range(count))


@given(counts, seeds)
def test_indices_are_sorted_and_repeatable(count, seed):
    indices = chosen(count, half=0, subset_seed=seed)
    assert indices == sorted(indices) == chosen(count, half=0, subset_seed=seed)


def test_another_seed_draws_another_subset():
    assert chosen(1000, half=0) != chosen(1000, half=0, subset_seed=1)


def test_a_range_beyond_the_examples_names_the_size():
    with pytest.raises(UserError, match=r"examples \[1000, 1398\) of digits: it has 1397 training examples"):
        load_arrays(DataConfig("digits", examples=(1000, 1398)))


@pytest.mark.parametrize(("count", "subset"), [(100, {"fraction": 0.001}), (1, {"half": 1})])
def test_an_empty_subset_is_refused(count, subset):
    with pytest.raises(UserError, match=rf"empty: it has {count} training"):
        chosen(count, **subset)


def test_the_fraction_1_is_the_whole_set():
    whole, same = load_arrays(DataConfig("digits")), load_arrays(DataConfig("digits", fraction=1.0))
    assert dataset_digest(whole) == dataset_digest(same)


def test_a_subset_keeps_test_examples_classes_and_the_pairs_of_image_and_label():
    whole = load_arrays(DataConfig("digits"))
    part = load_arrays(DataConfig("digits", examples=(0, 5)))
    indices = chosen(len(whole.train_labels), examples=(0, 5))
    assert np.array_equal(part.train_images, whole.train_images[indices])
    assert np.array_equal(part.train_labels, whole.train_labels[indices])
    assert np.array_equal(part.test_images, whole.test_images)
    assert part.classes == 10


def test_the_order_of_pixels_is_one_permutation_for_all_images():
    plain = load_arrays(DataConfig("digits"))
    shuffled, again, other = (load_arrays(DataConfig("digits", pixel_seed=seed)) for seed in (7, 7, 8))
    assert dataset_digest(shuffled) == dataset_digest(again) != dataset_digest(other)
    before = np.concatenate([plain.train_images, plain.test_images]).reshape(-1, 64)
    after = np.concatenate([shuffled.train_images, shuffled.test_images]).reshape(-1, 64)
    assert sorted(map(bytes, before.T)) == sorted(map(bytes, after.T))
    assert not np.array_equal(before, after)
    assert np.array_equal(plain.train_labels, shuffled.train_labels)


def test_subset_and_order_of_pixels_commute():
    half = load_arrays(DataConfig("digits", half=1, pixel_seed=7))
    whole = load_arrays(DataConfig("digits", pixel_seed=7))
    assert np.array_equal(half.train_images, whole.train_images[chosen(len(whole.train_labels), half=1)])


@pytest.mark.parametrize(
    ("shape", "positions"), [((6,), (6, 1)), ((5, 4), (5, 4)), ((3, 2, 2), (3, 4)), ((2, 3, 2, 2), (2, 12))]
)
def test_positions_of_any_inputs_are_permuted_alike(shape, positions):
    images = np.random.default_rng(0).normal(size=(7, *shape)).astype(np.float32)
    arrays = Arrays(images, np.zeros(7, np.int64), images[:2], np.zeros(2, np.int64), 1)
    shuffled = permute_pixels(arrays, 3)
    before, after = (a.train_images.reshape(7, *positions) for a in (arrays, shuffled))
    if len(shape) > 2:  # (examples, positions, channels)
        before, after = (each.transpose(0, 2, 1) for each in (before, after))
    order = [int(np.flatnonzero((before[0] == row).all(axis=1))[0]) for row in after[0]]
    assert sorted(order) == list(range(before.shape[1])) != order
    assert np.array_equal(before[:, order], after)
    assert np.array_equal(shuffled.test_images, shuffled.train_images[:2])
