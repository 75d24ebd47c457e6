"""Training with explicit seeds: schedule, loop, evaluation."""

from raysweep.training.evaluation import Risk, evaluate
from raysweep.training.loop import Hyperparameters, TrainingRun
from raysweep.training.schedule import SCHEDULES, learning_rate

__all__ = ["SCHEDULES", "Hyperparameters", "Risk", "TrainingRun", "evaluate", "learning_rate"]
