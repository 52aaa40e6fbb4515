"""A dataset to make, as a value: how scenes are found and labelled, and every setting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darts.core.config import Config, resolved_settings
from darts.preprocess.config import AuxiliaryConfig, ExecutionConfig, PatchConfig, RegionConfig
from darts.preprocess.labelling import Labelling
from darts.preprocess.scenes import SceneReader

_NOT_RECORDED = frozenset(
    # What the manifest records itself, and what doesn't shape the data.
    {"bands", "patch_size", "overlap", "train_data_dir", "download", "ee_project", "arcticdem_resolution"}
)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A dataset to make: how scenes are found and labelled, and every setting.

    Attributes
    ----------
    reader, labelling
        Of the sensor.
    sources
        The settings of the sensor and of its labels, for the record.
    regions, patches, auxiliary, execution
        The settings that all sensors have in common.
    """

    reader: SceneReader[Any]
    labelling: Labelling
    sources: tuple[Config, ...]
    regions: RegionConfig
    patches: PatchConfig
    auxiliary: AuxiliaryConfig
    execution: ExecutionConfig

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that shape the data, with absolute paths, as flat TOML values."""
        return _recorded(*self.sources, self.patches, self.auxiliary)

    @property
    def places(self) -> frozenset[str]:
        """Names of the settings that only say where things lie."""
        configs = (*self.sources, self.patches, self.auxiliary)
        return frozenset(name for config in configs for name in type(config).model_fields if name.endswith("_dir"))


def _recorded(*configs: Config) -> dict[str, Any]:
    """The settings that shape the data, with absolute paths, as flat TOML values."""
    absolute = [
        config.model_copy(update={name: value.resolve() for name, value in config if isinstance(value, Path)})
        for config in configs
    ]
    return {name: value for name, value in resolved_settings(*absolute).items() if name not in _NOT_RECORDED}
