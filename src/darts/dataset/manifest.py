"""`config.toml`: what a dataset holds, and all that is needed to build it again."""

import importlib.metadata
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from darts.core.bands import Band, nextgen_bands
from darts.core.config import to_toml_value
from darts.core.errors import ConfigError, DatasetError
from darts.core.files import write_text
from darts.dataset.schema import CONFIG_FILE, SCALE, SCALES, SCHEMA_VERSION

_RECORDED_PACKAGES = (
    "darts numpy opencv-python-headless rasterio geopandas pyproj shapely spyndex zarr pyarrow"
).split()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of `config.toml`.

    Attributes
    ----------
    bands
        The channels of x, in order, with their scaling.
    patch_size, overlap
        In pixels.
    settings
        Every setting that shapes the data, as flat TOML values.
    versions
        `package version` of what wrote it.
    n_patches, fingerprint
        Number of samples, and a hash over all of them; None while the dataset is being built.
    schema_version
        None for a dataset of darts-nextgen.
    """

    bands: tuple[Band, ...]
    patch_size: int
    overlap: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: tuple[str, ...] = ()
    n_patches: int | None = None
    fingerprint: str | None = None
    schema_version: int | None = SCHEMA_VERSION

    @property
    def band_names(self) -> tuple[str, ...]:
        """The names of the channels of x, in order."""
        return tuple(band.name for band in self.bands)

    @property
    def scale(self) -> int:
        """What x is stored with; see `schema.SCALES`."""
        return SCALE if self.schema_version is None else SCALES[self.schema_version]

    @property
    def is_complete(self) -> bool:
        """Whether the dataset was finished; one of darts-nextgen always counts as finished."""
        return self.fingerprint is not None or self.schema_version is None


def software_versions() -> tuple[str, ...]:
    """`package version` of what the bytes of a dataset depend on."""
    return tuple(f"{name} {importlib.metadata.version(name)}" for name in _RECORDED_PACKAGES)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `config.toml` whole or not at all."""
    table: dict[str, Any] = {
        "schema_version": manifest.schema_version,
        "bands": list(manifest.band_names),
        "n_bands": len(manifest.bands),
        "patch_size": manifest.patch_size,
        "overlap": manifest.overlap,
        "lo": [band.lo for band in manifest.bands],
        "hi": [band.hi for band in manifest.bands],
        "unit": [band.unit for band in manifest.bands],
        "fill": [band.fill for band in manifest.bands],
        "versions": list(manifest.versions),
    }
    if manifest.fingerprint is not None:
        table |= {"n_patches": manifest.n_patches, "fingerprint": manifest.fingerprint}
    table |= {name: to_toml_value(value) for name, value in manifest.settings.items() if name not in table}
    write_text(directory / CONFIG_FILE, tomli_w.dumps({"darts": table}))


def read_manifest(directory: Path) -> Manifest:
    """Read `config.toml` of a dataset of ours or of darts-nextgen.

    Raises
    ------
    DatasetError
        When the file is missing, no TOML, or lacks what a reader needs.
    """
    path = directory / CONFIG_FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(
            f"a dataset directory has a {CONFIG_FILE}, but {directory} has none; give the directory that a preprocess "
            "command wrote."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DatasetError(f"{path} can't be read ({error}); build the dataset again.") from None
    try:
        return _parse(dict(content["darts"]))
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise DatasetError(f"{path} is no manifest of a dataset ({error}); build the dataset again.") from None


def _parse(table: dict[str, Any]) -> Manifest:
    version = table.pop("schema_version", None)
    if version is not None and version > SCHEMA_VERSION:
        raise ValueError(f"its schema version is {version}, and this darts reads up to {SCHEMA_VERSION}; update darts")
    names = table.pop("bands")
    scaling = [table.pop(key, None) for key in ("lo", "hi", "unit", "fill")]
    table.pop("n_bands", None)
    return Manifest(
        bands=_scaled_bands(names, scaling) if None not in scaling else nextgen_bands(names),
        patch_size=int(table.pop("patch_size")),
        overlap=int(table.pop("overlap", 0)),
        versions=tuple(table.pop("versions", ())),
        n_patches=table.pop("n_patches", None),
        fingerprint=table.pop("fingerprint", None),
        schema_version=version,
        settings=table,
    )


def _scaled_bands(names: Sequence[str], scaling: Sequence[Any]) -> tuple[Band, ...]:
    return tuple(Band(*values) for values in zip(names, *scaling, strict=True))
