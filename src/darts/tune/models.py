"""Every model that a search space can ask for, and whether it takes the patches."""

import itertools
from typing import Any

from darts.core.log import console
from darts.dataset.joined import open_datasets
from darts.training.model import ModelSpec, build_model, require_model_takes
from darts.tune.plan import CrossValidationSettings
from darts.tune.space import Choice, Constant, Space, Value


def check_space(settings: CrossValidationSettings, space: Space) -> None:
    """Let every model of the search space see one patch of the real size.

    Raises
    ------
    ModelError
        When one can't be built, or can't take the patches.
    """
    patch_size = open_datasets(settings.data.train_data_dir).patch_size
    specs = model_specs(settings, space)
    if len(specs) > 1:
        console.print(f"checking {len(specs)} models with patches of {patch_size} pixels ...", highlight=False)
    for spec, weights in specs:
        require_model_takes(build_model(spec, weights, spec.factory), spec, patch_size)


def model_specs(settings: CrossValidationSettings, space: Space) -> list[tuple[ModelSpec, str | None]]:
    """Every model, with its pretrained weights, that a point of the search space can ask for."""
    names = (*_OF_MODEL, "bands")
    options = [_values(space, name) for name in names]
    dataset = open_datasets(settings.data.train_data_dir)
    found: list[tuple[ModelSpec, str | None]] = []
    for values in itertools.product(*options):
        chosen = settings.at({name: value for (name, value) in zip(names, values, strict=True) if value is not _UNSAID})
        bands = chosen.data.bands or dataset.band_names
        dataset.channel_indices(bands)
        model = ModelSpec.of(chosen.hyperparameters, len(bands)), chosen.hyperparameters.model_encoder_weights
        if model not in found:  # the options of a model aren't hashable
            found.append(model)
    return found


_OF_MODEL = ("model_arch", "model_encoder", "model_encoder_weights", "model_options", "model_factory")
_UNSAID: Any = object()


def _values(space: Space, name: str) -> tuple[Value, ...]:
    match space.dimensions.get(name):
        case Constant(value=value):
            return (value,)
        case Choice(values=values):
            return values
    return (_UNSAID,)
