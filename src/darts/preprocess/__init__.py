"""Preprocessing: scenes and label polygons become a dataset directory."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts.preprocess.pipeline import (
        plan_planet_train_data,
        plan_s2_train_data,
        preprocess_planet_train_data,
        preprocess_s2_train_data,
    )

__all__ = [
    "plan_planet_train_data",
    "plan_s2_train_data",
    "preprocess_planet_train_data",
    "preprocess_s2_train_data",
]


def __getattr__(name: str) -> Any:
    """Import the pipeline only when it is used, so that `--help` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from darts.preprocess import pipeline

    return getattr(pipeline, name)
