"""Settings of training, testing and converting; standard library and pydantic only."""

from darts.training.config.data import DataConfig, DatasetConfig, FoldMethod, SplitMethod
from darts.training.config.hyperparameters import (
    AUGMENTATIONS,
    DEFAULT_AUGMENTATIONS,
    ENDING_SCHEDULES,
    Augmentation,
    Hyperparameters,
    LossConfig,
    LossName,
    ModelConfig,
    Normalisation,
    OptimiserConfig,
    SamplingConfig,
    parse_loss,
    parse_options,
    parse_sample_weights,
)
from darts.training.config.running import PLACE, FitConfig, LoggingConfig, RunLoggingConfig, TrainerConfig
from darts.training.config.testing import ConvertConfig, TestConfig, ValidateConfig

__all__ = [
    "AUGMENTATIONS",
    "DEFAULT_AUGMENTATIONS",
    "ENDING_SCHEDULES",
    "PLACE",
    "Augmentation",
    "ConvertConfig",
    "DataConfig",
    "DatasetConfig",
    "FitConfig",
    "FoldMethod",
    "Hyperparameters",
    "LoggingConfig",
    "LossConfig",
    "LossName",
    "ModelConfig",
    "Normalisation",
    "OptimiserConfig",
    "RunLoggingConfig",
    "SamplingConfig",
    "SplitMethod",
    "TestConfig",
    "TrainerConfig",
    "ValidateConfig",
    "parse_loss",
    "parse_options",
    "parse_sample_weights",
]
