"""Networks whose every layer scales with one `width`."""

from raysweep.models.build import MODELS, NORMS, ModelConfig, build
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialise

__all__ = ["MODELS", "NORMS", "FlatNetwork", "ModelConfig", "build", "initialise"]
