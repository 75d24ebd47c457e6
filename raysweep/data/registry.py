"""What a sweep file may name for its data, kept free of torch so that plans are made quickly.

A data set is one file of this folder and one entry here.
"""

from dataclasses import dataclass

from raysweep.registry import Entry, Registry


@dataclass(frozen=True)
class Sizes:
    """Numbers of examples and classes, and the shape (channels, height, width) of an image."""

    train_examples: int
    test_examples: int
    shape: tuple[int, ...]
    classes: int


@dataclass(frozen=True)
class Dataset(Entry):
    """A data set: `function` returns its `Arrays`, and `files` the paths of what it reads, without reading.

    Both are called with those of `dataset` (the name), `split_seed`, `data_root` and `download` that their
    signatures name; the other parameters of `function` are the keys of `dataset_options`. What is known of
    the data is remembered while the files stay the same, and never where there is no `files`. `sizes` are
    those of data that never change, so that a plan needs no files. Inputs of a data set of `tokens` are
    sequences, each token of which is followed by one that is its label.
    """

    files: str = ""
    sizes: Sizes | None = None
    tokens: bool = False


class Datasets(Registry[Dataset]):
    """Data sets by name; an entry such as `folder:PATH` stands for all names that begin with `folder:`."""

    def key(self, name: str) -> str:
        """Return the name of the entry that a name stands for, or the name itself where there is none."""
        scheme, _, rest = name.partition(":")
        return next((key for key in self.entries if rest and key.startswith(f"{scheme}:")), name)

    def __getitem__(self, name: str) -> Dataset:
        return super().__getitem__(self.key(name))

    def check(self, name: str) -> str:
        empty = next((key for key in self.entries if name == f"{key.partition(':')[0]}:"), None)
        if empty:
            raise ValueError(f"write {empty}")
        super().check(self.key(name))
        return name

    def of_tokens(self, name: str) -> bool:
        """Whether inputs are sequences of tokens, each with a label; never for a user's own data."""
        return not self.is_own(name) and self[name].tokens

    def is_own(self, name: str) -> bool:
        return self.key(name) not in self.entries and super().is_own(name)


DATASETS = Datasets(
    "dataset",
    {
        "digits": Dataset(
            "raysweep.data.digits:load",
            "Handwritten digits of 8x8 pixels from scikit-learn; `split_seed` draws the test set.",
            "raysweep.data.digits:files",
        ),
        "mnist": Dataset(
            "raysweep.data.idx:load",
            "Handwritten digits of 28x28 pixels.",
            "raysweep.data.idx:files",
            Sizes(60_000, 10_000, (1, 28, 28), 10),
        ),
        "fashion_mnist": Dataset(
            "raysweep.data.idx:load",
            "Pieces of clothing in 28x28 pixels.",
            "raysweep.data.idx:files",
            Sizes(60_000, 10_000, (1, 28, 28), 10),
        ),
        "cifar10": Dataset(
            "raysweep.data.cifar:load",
            "Ten classes of colour images of 32x32 pixels.",
            "raysweep.data.cifar:files",
            Sizes(50_000, 10_000, (3, 32, 32), 10),
        ),
        "cifar100": Dataset(
            "raysweep.data.cifar:load",
            "A hundred classes of colour images of 32x32 pixels.",
            "raysweep.data.cifar:files",
            Sizes(50_000, 10_000, (3, 32, 32), 100),
        ),
        "svhn": Dataset(
            "raysweep.data.svhn:load",
            "House numbers in colour images of 32x32 pixels.",
            "raysweep.data.svhn:files",
            Sizes(73_257, 26_032, (3, 32, 32), 10),
        ),
        "torchvision:NAME": Dataset(
            "raysweep.data.torchvision_sets:load",
            "A data set of images by its name in torchvision, such as `torchvision:Flowers102`. Options: "
            "`size` (pixels, or [height, width]) and `channels` (1 or 3), to which images are brought, and "
            "`arguments` of the class.",
        ),
        "folder:PATH": Dataset(
            "raysweep.data.folder:load",
            "Images in `PATH/train/CLASS/` and `PATH/test/CLASS/` (or `val`). Options: `size`, `channels`.",
            "raysweep.data.folder:files",
        ),
        "gaussian_mixture": Dataset(
            "raysweep.data.gaussian_mixture:load",
            "Vectors with unit variance around a random point for each class. Options: `examples`, "
            "`test_examples`, `features`, `classes`, `distance`, `seed`.",
            "raysweep.data.files:none",
        ),
        "teacher_network": Dataset(
            "raysweep.data.teacher_network:load",
            "Random vectors, labelled by a random network. Options: `examples`, `test_examples`, `features`, "
            "`classes`, `width`, `depth`, `seed`.",
            "raysweep.data.files:none",
        ),
        "text": Dataset(
            "raysweep.data.text:load",
            "The documentation that comes with Python, of which the next character is predicted. Option: "
            "`length` of a sequence (64).",
            "raysweep.data.text:files",
            tokens=True,
        ),
    },
)
# Arguments that the function of a scaling may take, besides options; it returns a `Scaling`, and a user's
# own function a pair of an offset and a scale.
FOR_SCALINGS = ("arrays",)
SCALINGS: Registry[Entry] = Registry(
    "scaling",
    {
        "unit": Entry(
            "raysweep.data.scaling:unit",
            "The training value of the largest magnitude, such as the brightest pixel, becomes 1.",
        ),
        "standardise": Entry(
            "raysweep.data.scaling:standardise",
            "Each channel of images, and each feature of sequences and vectors, has mean 0 and standard "
            "deviation 1.",
        ),
        "none": Entry("raysweep.data.scaling:none", "Inputs are left as they are."),
    },
)
FOR_AUGMENTATIONS = ("images", "black", "draws")  # arguments of the function of an augmentation


@dataclass(frozen=True)
class Augmentation(Entry):
    """`draw(count, seed)` returns random numbers (kinds, count); `function(images, black, draws)` uses them.

    Further parameters of `function` are the keys of `augment_options`, and `draw` gets those that it names.
    With `images_only` it needs images (channels, height, width).
    """

    draw: str
    images_only: bool = False


AUGMENTATIONS: Registry[Augmentation] = Registry(
    "augmentation",
    {
        "none": Augmentation(
            "raysweep.data.augment:unchanged",
            "Images are left as they are.",
            "raysweep.data.augment:draw_nothing",
        ),
        "flip_crop": Augmentation(
            "raysweep.data.augment:flipped_and_cropped",
            "Images are mirrored at random and shifted by up to 4 pixels. Option: `padding`, the pixels.",
            "raysweep.data.augment:draw_flips_and_crops",
            images_only=True,
        ),
    },
)
