"""Versions of the algorithms, which are part of ids, and why each of them was raised.

Raise one when the numbers that the same configuration gives change, and say in `REASONS` why: results of the
version before are then computed again, and a plan says so.
"""

TRAINING_VERSION = 4
CHANNELS_LAST_VERSION = 5  # of training with the channels last
CUDA_VERSION = 6  # of training on a GPU
CONSTRUCTION_VERSION = 7  # of training networks that keep what their constructors draw
PRUNING_VERSION = 1
SPAWNED_CHAIN_VERSION = 2  # of the chains of spawned runs that keep the order of examples
IMPORT_VERSION = 2
ALIGNMENT_VERSION = 5
EMBEDDING_VERSION = 6  # of alignments of a narrow network in a wide one
PIXELS_VERSION = 2  # of correlations over several pixels of an image
ALL_VALUES_VERSION = 3  # of similarities of all values of a unit
LEARNED_ON_GPU_VERSION = 2  # of permutations learned on a GPU, which takes Adam's steps in other operations
FACTORS_VERSION = 3  # of matching up to scales, signs or rotations, of which narrow networks had false ones
OWN_NETWORKS_VERSION = 11  # of alignments of a user's own networks, of which more symmetries are found
JOINT_RESTARTS_VERSION = 7  # of joint alignments by weights with several restarts
BARRIER_VERSION = 8
CUDA_BARRIER_VERSION = 9  # of barriers on a GPU, where passes are captured, compiled and of another size
MEASURE_VERSION = 1

# By the word with which the text behind an id begins (`SAME` has words that share their versions).
REASONS: dict[str, dict[int, str]] = {
    "trial": {
        3: "the cross-entropy is computed from logsumexp",
        4: "the risks of a network are summed in another order",
        5: "with the channels last, the state of the optimiser keeps its layout",
        6: "on a GPU, steps are compiled and captured in a CUDA graph",
        7: "constructors draw, such as embeddings, from a seed of their own, no longer from that of the "
        "initialisation",
    },
    "chain": {2: "the levels of a spawned run's chain follow the run's own order of examples"},
    "import": {2: "the file's content alone stands for an imported network"},
    "alignment": {
        2: "restarts and orders of the layers were added",
        3: "activations are summed in a stream over the examples",
        4: "results have rows for layers whose units cannot move",
        5: "assignments are solved by lapx, which breaks ties in another way",
        6: "of own networks and of narrow networks in wide ones, assignments are solved by lapx",
        7: "several restarts of a joint alignment begin its whole ascent again",
        8: "of own networks, more symmetries are found (attention and recurrent layers among them)",
        9: "of own networks, units that several heads share move inside these",
        10: "of own networks, cells and recurrences from zeros are followed, and learned positions of heads "
        "are no residual stream",
        11: "of own networks, values of units are told from weights of as many rows, and integers give "
        "mixtures no type",
    },
    "measure": {},
    "barrier": {
        3: "the statistics of BatchNorm can be computed again",
        4: "first layers are answered by mixing responses",
        5: "the cross-entropy is computed from logsumexp",
        6: "convolutions have the channels last, and the logits of a block are summed at once",
        7: "two networks are mixed in one operation (lerp)",
        8: "the ends of a line are measured in the same way as its points",
        9: "on a GPU, passes are captured, compiled and of another size",
    },
}
# These concerned some of the jobs alone.
PARTIAL = {"trial": {5, 6, 7}, "alignment": {6, 7, 8, 9, 10, 11}, "barrier": {9}}
SAME = {"branch": "chain", "stacked": "alignment", "embedding": "alignment", "joint alignment": "alignment"}


def reasons(word: str, before: int, now: int) -> list[str]:
    """Return why the versions after `before` up to `now` were raised, of texts that begin with a word."""
    word = SAME.get(word, word)
    passed = [version for version in range(before + 1, now) if version not in PARTIAL.get(word, ())]
    return [REASONS[word][version] for version in (*passed, now) if version in REASONS[word]]
