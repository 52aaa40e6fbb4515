"""The settings that a cross-validation or a sweep was started with, and what may differ when it is gone on with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darts.core.config import Config, build_configs, resolved_settings, setting_to_flag, to_toml_value
from darts.core.errors import ConfigError
from darts.training.config import PLACE as RUN_PLACE

PLACE = RUN_PLACE | {"train_data_dir"}
"""Where and how work is done, but not what comes out; may differ from start to start and from computer to computer."""


def settings_record(groups: Mapping[str, Config]) -> dict[str, Any]:
    """The settings as TOML and JSON can hold them, with whole paths; the device belongs to a runner, not to them."""
    # Read again, a default is spelt out as a given value is, so that two records of the same settings are equal.
    models = {name: type(group) for name, group in groups.items()}
    record = resolved_settings(*build_configs(models, resolved_settings(*groups.values())).values())
    for name in ("train_data_dir", "artifact_dir", "split_file"):
        if name in record:
            record[name] = _whole(next(getattr(group, name) for group in groups.values() if hasattr(group, name)))
    return {name: value for name, value in record.items() if name != "device"}


def _whole(paths: Path | tuple[Path, ...] | None) -> Any:
    """A path, or several, from the root on."""
    return to_toml_value([path.resolve() for path in paths] if isinstance(paths, tuple) else paths and paths.resolve())


def join_settings(
    recorded: Mapping[str, Any], groups: Mapping[str, Config], what: str, free: frozenset[str] = frozenset()
) -> dict[str, Config]:
    """The settings to go on with: what was recorded, and of what is given now, all that can't change a result.

    Parameters
    ----------
    recorded
        What `settings_record` gave at the first start.
    groups
        The settings of this start, of which some were given and the others are defaults.
    what
        What is gone on with, as in "the sweep first", for the error.
    free
        Further settings that may be given anew.

    Raises
    ------
    ConfigError
        When a setting is given that was another one at the first start, naming all of them.
    """
    models = {name: type(group) for name, group in groups.items()}
    known = {name for model in models.values() for name in model.model_fields}
    before = {name: value for name, value in recorded.items() if name in known}
    given = {name: getattr(group, name) for group in groups.values() for name in group.model_fields_set}
    may_differ = PLACE | free
    rebuilt = {name: value for group in build_configs(models, before).values() for name, value in group}
    differing = [name for name, value in given.items() if name not in may_differ and rebuilt[name] != value]
    if differing:
        was = ", ".join(f"{setting_to_flag(name)} was {_shown(rebuilt[name])}" for name in differing)
        now = ", ".join(_shown(given[name]) for name in differing)
        raise ConfigError(
            f"{what} keeps the settings it was started with, but {was}, and is now {now}; leave "
            f"{'it' if len(differing) == 1 else 'them'} out, or choose another name."
        )
    return build_configs(models, before | {name: value for name, value in given.items() if name in may_differ})


def _shown(value: Any) -> str:
    return str(to_toml_value(value))


def differing_settings(recorded: Mapping[str, Any], now: Mapping[str, Any], free: frozenset[str]) -> list[str]:
    """The names of the settings that make another result, and aren't what they were."""
    return sorted(name for name in {*recorded, *now} - PLACE - free if name in now and recorded.get(name) != now[name])


def require_same_dataset(recorded: Mapping[str, Any], fingerprint: str, what: str) -> None:
    """Refuse to go on with other patches.

    Raises
    ------
    ConfigError
        When the dataset isn't the one that `what` was started with.
    """
    if recorded.get("dataset_fingerprint") != fingerprint:
        raise ConfigError(
            f"{what} was started with a dataset whose fingerprint is {recorded.get('dataset_fingerprint')}, but that of "
            f"--train-data-dir is {fingerprint}; name that dataset, or choose another name."
        )
