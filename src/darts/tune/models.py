"""Every model that a search space can ask for, and whether it takes the patches."""

import itertools
from typing import Any

from darts.core.log import console
from darts.dataset.reader import open_dataset
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
    dataset = open_dataset(settings.data.train_data_dir)
    patch_size = dataset.manifest.patch_size
    specs = model_specs(settings, space)
    if len(specs) > 1:
        console.print(f"checking {len(specs)} models with patches of {patch_size} pixels ...", highlight=False)
    for spec, weights in specs:
        require_model_takes(build_model(spec, weights), spec, patch_size)


def model_specs(settings: CrossValidationSettings, space: Space) -> list[tuple[ModelSpec, str | None]]:
    """Every model, with its pretrained weights, that a point of the search space can ask for."""
    names = ("model_arch", "model_encoder", "model_encoder_weights", "bands")
    options = [_values(space, name) for name in names]
    dataset = open_dataset(settings.data.train_data_dir)
    found: dict[tuple[ModelSpec, str | None], None] = {}
    for values in itertools.product(*options):
        chosen = settings.at({name: value for (name, value) in zip(names, values, strict=True) if value is not _UNSAID})
        bands = chosen.data.bands or dataset.manifest.band_names
        dataset.channel_indices(bands)
        hyperparameters = chosen.hyperparameters
        spec = ModelSpec(hyperparameters.model_arch, hyperparameters.model_encoder, len(bands))
        found[spec, hyperparameters.model_encoder_weights] = None
    return list(found)


_UNSAID: Any = object()


def _values(space: Space, name: str) -> tuple[Value, ...]:
    match space.dimensions.get(name):
        case Constant(value=value):
            return (value,)
        case Choice(values=values):
            return values
    return (_UNSAID,)
