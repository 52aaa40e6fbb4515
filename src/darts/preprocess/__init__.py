"""Preprocessing: scenes and label polygons, or ready patches, become a dataset directory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts.preprocess.importing.pipeline import import_patches, plan_import_patches
    from darts.preprocess.pipeline import (
        plan_planet_train_data,
        plan_s2_train_data,
        preprocess_planet_train_data,
        preprocess_s2_train_data,
    )

__all__ = [
    "import_patches",
    "plan_import_patches",
    "plan_planet_train_data",
    "plan_s2_train_data",
    "preprocess_planet_train_data",
    "preprocess_s2_train_data",
]


def __getattr__(name: str) -> Any:
    """Import the pipeline only when it is used, so that `--help` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "importing.pipeline" if name.endswith("import_patches") else "pipeline"
    return getattr(import_module(f"{__name__}.{module}"), name)
