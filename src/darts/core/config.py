"""Settings: declared once as frozen models, filled from flags, keywords or a TOML file."""

import difflib
import functools
import inspect
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from darts.core.errors import ConfigError

RECORD_KEYS = frozenset(
    (
        "schema_version n_patches n_bands fingerprint lo hi unit fill versions run_id dataset_fingerprint git_commit "
        "dropped_for_overlap audit positive_share"
    ).split()
)
"""What the `config.toml` of an artifact records beside settings; such a file can be given as config file."""

T = TypeVar("T")
R = TypeVar("R")


class Config(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True, coerce_numbers_to_str=True):
    """A group of settings; a field's docstring is its `--help` and its row in the docs."""

    panel: ClassVar[str] = "Options"
    """Heading of the group's flags in `--help`."""


def _none_word(value: Any) -> Any:
    # The command line has made a path of the word by the time it comes here.
    return None if isinstance(value, (str, Path)) and str(value).strip().lower() == "none" else value


def _listed(value: Any) -> Any:
    """One value, a list, or text with commas, as a list."""
    values = value if isinstance(value, (list, tuple)) else [value]
    parts = [part.strip() if isinstance(part, str) else part for one in values for part in _split(one)]
    return [part for part in parts if part != ""]


def _split(value: Any) -> list[Any]:
    return value.split(",") if isinstance(value, str) else [value]


OrNone = Annotated[T | None, BeforeValidator(_none_word)]
"""A value, or the word `none`: neither TOML nor a flag can say null."""

Listed = Annotated[tuple[T, ...], BeforeValidator(_listed)]
"""Several values: a repeated flag, text with commas, or a TOML list."""


def setting_to_flag(name: str) -> str:
    """`batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def panel_of(model: type[Config], name: str) -> str:
    """The heading of a setting: that of the class that declares it, where a group is made of several."""
    declaring = next(cls for cls in reversed(model.__mro__) if name in getattr(cls, "model_fields", {}))
    return declaring.panel if issubclass(declaring, Config) else model.panel


def build_config(model: type[Config], values: Mapping[str, Any]) -> Config:
    """Validate the values of one group of settings.

    Raises
    ------
    ConfigError
        Naming the flag, the rule and what came.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(_first_problem(error)) from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return (
            f"{setting_to_flag(name)} is required: give the flag, or set {name.replace('_', '-')} in the config file."
        )
    message = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:]
    if not name:
        return f"{message.rstrip('.')}."
    return f"{setting_to_flag(name)}: {message.rstrip('.')}, but got {first['input']!r}."


def build_configs(models: Mapping[str, type[Config]], values: Mapping[str, Any]) -> dict[str, Config]:
    """Divide flat settings over the groups that declare them, and validate each group.

    Parameters
    ----------
    models
        Group name -> the model of the group.
    values
        Flat settings, only those that were given; every name must belong to one of the groups.

    Raises
    ------
    ConfigError
        When a name belongs to no group, or a value breaks a rule.
    """
    known = {name for model in models.values() for name in model.model_fields}
    for name in values:
        if name not in known:
            raise ConfigError(f"there is no setting {name!r}{_did_you_mean(name, known)}")
    return {
        group: build_config(model, {name: values[name] for name in model.model_fields if name in values})
        for group, model in models.items()
    }


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"; did you mean {nearest[0]!r}?" if nearest else "."


def config_models(function: Callable[..., Any]) -> dict[str, type[Config]]:
    """The parameters of a function that are groups of settings: name -> model."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {p.name: p.annotation for p in parameters if _is_config(p.annotation)}


def _is_config(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def keyword_settings(function: Callable[..., R]) -> Callable[..., R]:
    """Let a function that takes groups of settings take the settings themselves, as keywords.

    The keywords are those of the command's flags, with underscores, so that a notebook and the command line
    read alike.
    """
    models = config_models(function)
    fields = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True),
            annotation=field.annotation,
        )
        for model in models.values()
        for name, field in model.model_fields.items()
    ]

    @functools.wraps(function)
    def call(**settings: Any) -> R:
        return function(**build_configs(models, settings))

    vars(call)["__signature__"] = inspect.Signature(sorted(fields, key=lambda p: p.default is not p.empty))
    return call


def read_config_file(path: Path) -> dict[str, Any]:
    """Settings below the `[darts]` table of a TOML file, keyed with underscores; headings are ignored.

    Raises
    ------
    ConfigError
        When the file is missing or no TOML, has no `[darts]` table, or sets one name to two values.
    """
    found: dict[str, Any] = {}
    for name, value in _leaves(_darts_table(path)):
        if name in found and found[name] != value:
            raise ConfigError(
                f"{path}: {name!r} is set twice, to {found[name]!r} and {value!r}; keep one of them "
                "(headings are ignored, and - and _ are the same)."
            )
        found[name] = value
    return found


def _darts_table(path: Path) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"--config-file: there is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config-file: {path} can't be read ({error}).") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--config-file: {path} is not valid TOML ({error}).") from None
    table = content.get("darts")
    if not isinstance(table, dict):
        raise ConfigError(f"--config-file: {path} has no [darts] table; settings are read from below it only.")
    return table


def _leaves(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield key.replace("-", "_"), value


def unknown_settings(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """One warning for each name that no command knows, with the nearest known name."""
    known = set(known)
    return [
        f"the config file sets {name!r}, which no command knows{_did_you_mean(name, known)}"
        for name in names
        if name not in known
    ]


def to_toml_value(value: Any) -> Any:
    """A setting as TOML can hold it: paths and tuples become text and lists, None the word `none`."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return {key: to_toml_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_toml_value(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def flat_settings(*configs: Config) -> dict[str, Any]:
    """The settings of several groups, as keywords of a `keyword_settings` function."""
    return {name: value for config in configs for name, value in config}


def resolved_settings(*configs: Config) -> dict[str, Any]:
    """The flat settings of several groups, as TOML can hold them; read again, they give the same groups.

    A setting that has no value, and doesn't take the word `none`, is left out.
    """
    return {
        name: to_toml_value(value)
        for config in configs
        for name, value in config.model_dump().items()
        if value is not None or _takes_none_word(type(config).model_fields[name])
    }


def _takes_none_word(field: FieldInfo) -> bool:
    return any(getattr(part, "func", None) is _none_word for part in field.metadata)
