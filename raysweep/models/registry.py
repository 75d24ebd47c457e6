"""The architectures, norms and initialisations that sweep files name; without torch, so that plans are quick.

To add one, write its function and an entry here: the schema, the documentation, the estimates of a plan and
the workers read this table.
"""

from dataclasses import dataclass

from raysweep.registry import Entry, Registry, is_own

VGG, RESNET = "VGG-16", "ResNet-20"  # the networks whose times on GPUs were measured (`plan/cost/rates.py`)
FOR_INITS = ("model", "generator", "seed")  # arguments of an initialisation's function, besides options


@dataclass(frozen=True)
class Model(Entry):
    """The function takes those of `shape`, `classes`, `width`, `depth` and `norm` that its signature names.

    It returns a module from images (batch, *shape) to logits (batch, classes). `depth` is the default of that
    key, and None for a model that does not read it. On a GPU a model takes about as long as the network that
    it is `like`. One that is not `convolutional` has no channels to be stored last, and is not compiled on a
    GPU: captured it is as fast, and compilation would take longer than all of its work. One without `images`
    takes inputs that are none. One of `tokens` maps (batch, length) to the logits of the token that follows
    each, (batch, length, classes). One that `embeds` draws embeddings in its constructor, which our
    initialisations leave as they are.
    """

    depth: int | None = None
    like: str = RESNET
    convolutional: bool = True
    images: bool = True
    tokens: bool = False
    embeds: bool = False


@dataclass(frozen=True)
class Norm(Entry):
    """The function takes `units` and `pixels` and returns the layer that normalises so many units.

    Where `pixels` is true, its input is (batch, units, height, width), and otherwise (batch, units). `bias`
    says whether the layer before has a bias per unit, which a norm may subtract again.
    """

    running_statistics: bool = False
    bias: bool = True


@dataclass(frozen=True)
class Initialisation(Entry):
    """The function takes those of `FOR_INITS` that its signature names.

    It changes the weights in place. Where `draws` is false they stay as the constructor made them.
    """

    draws: bool = True


OWN_MODEL = Model("", "A network of the user's own.")

MODELS = Registry(
    "model",
    {
        "mlp": Model(
            "raysweep.models.mlp:MLP",
            "A multilayer perceptron with ReLU.",
            depth=3,
            like=VGG,
            convolutional=False,
            images=False,
        ),
        "lenet": Model("raysweep.models.lenet:LeNet", "LeNet-5 with ReLU and max pooling.", like=VGG),
        "vgg11": Model("raysweep.models.vgg:vgg11", "VGG-11 with one linear layer.", like=VGG),
        "vgg16": Model("raysweep.models.vgg:vgg16", "VGG-16 with one linear layer.", like=VGG),
        "resnet20": Model("raysweep.models.resnet:resnet20", "ResNet-20 for small images."),
        "resnet32": Model("raysweep.models.resnet:resnet32", "ResNet-32 for small images."),
        "vit": Model(
            "raysweep.models.vit:VisionTransformer",
            "A vision transformer of 4 x 4 patches, with a head for every 8 units.",
            depth=2,
            convolutional=False,
            embeds=True,
        ),
        "gpt": Model(
            "raysweep.models.gpt:Gpt",
            "A decoder like GPT-2 that predicts the next character, with a head for every 8 units.",
            depth=2,
            convolutional=False,
            images=False,
            tokens=True,
            embeds=True,
        ),
    },
)

NORMS = Registry(
    "norm",
    {
        "none": Norm("raysweep.models.norms:no_norm", "No normalisation."),
        "layer": Norm(
            "raysweep.models.norms:layer_norm",
            "LayerNorm; after a convolution over the channels of each pixel, as in the paper.",
        ),
        "batch": Norm("raysweep.models.norms:batch_norm", "BatchNorm.", running_statistics=True, bias=False),
    },
    own=False,
)

INITS = Registry(
    "init",
    {
        "kaiming_normal": Initialisation(
            "raysweep.models.initialise:kaiming_normal",
            "Weights of linear layers, and of convolutions over one or two axes, are normal with variance "
            "2 / fan_in, biases zero.",
        ),
        "pytorch": Initialisation(
            "raysweep.models.initialise:pytorch",
            "Weights and biases of linear layers, and of convolutions over one or two axes, are uniform "
            "within 1 / sqrt(fan_in), as in torch's own layers.",
        ),
        "own": Initialisation(
            "raysweep.models.initialise:own",
            "The weights stay as the constructor of the network draws them.",
            draws=False,
        ),
    },
)


def model_entry(name: str) -> Model:
    """Return what a plan knows of a model by its name. Raises `ValueError` for an unknown one."""
    return OWN_MODEL if is_own(name) else MODELS[name]


def takes_images_alone(model: str) -> bool:
    """Whether a model takes no other inputs than images; of a user's own it is not known.

    Raises `ValueError` for an unknown one.
    """
    return not is_own(model) and MODELS[model].images


def check_depth(model: str, depth: int | None) -> None:
    """Raise `ValueError` for an unknown model, and where a depth is given to one that does not read it."""
    if depth is not None and not is_own(model) and MODELS[model].depth is None:
        readers = [name for name, each in MODELS.items() if each.depth]
        raise ValueError(f"depth: {model} has no such setting; read by: {', '.join(readers)}")


def draws(init: str) -> bool:
    """Whether an initialisation draws weights. Raises `ValueError` for an unknown name."""
    return is_own(init) or INITS[init].draws


def keeps_drawn(model: str, init: str) -> bool:
    """Whether a network may begin with weights that its constructor drew besides those that `init` draws."""
    return draws(init) and (is_own(model) or is_own(init) or MODELS[model].embeds)
