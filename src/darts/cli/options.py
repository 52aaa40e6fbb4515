"""Config models as flat Typer options, so that no setting is declared twice."""

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from rich.markup import escape

from darts.cli.config import CommonConfig
from darts.core.config import (
    RECORD_KEYS,
    Config,
    build_config,
    build_configs,
    config_models,
    panel_of,
    unknown_settings,
)
from darts.core.config import read_config_file as read_file
from darts.core.errors import DartsError, Interrupted, one_line
from darts.core.log import console, get_logger, set_up_logging

_log = get_logger(__name__)
_LONGEST_CHOICES = 40
_LONGEST_MESSAGE = 2000
_SIGNALS = 128
_STOPPED = "stopped; run the same command to go on."


def config_options(function: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter of a command that is a config model by one option for each of its fields.

    A flag wins over the config file, which wins over the default. Errors that a user can do something about become one
    line and an exit code.
    """
    models = config_models(function)

    @functools.wraps(function)
    def run(ctx: typer.Context, config_file: Path | None, **flags: Any) -> None:
        given = {name: value for name, value in flags.items() if _is_given(ctx, name)}
        with_debug = bool(given.get("debug"))
        try:
            values, warnings = _merge(ctx, config_file, given)
            common = build_config(CommonConfig, {k: v for k, v in values.items() if k in CommonConfig.model_fields})
            assert isinstance(common, CommonConfig)
            with_debug = common.debug
            set_up_logging(verbose=common.verbose, debug=common.debug, log_dir=common.log_dir)
            for warning in warnings:
                _log.warning(warning)
            function(**build_configs(models, values))
        except DartsError as error:
            _fail(error, error.exit_code, with_debug)
        except KeyboardInterrupt as error:
            _fail(error, 130, with_debug)
        except SystemExit as stop:
            if isinstance(stop.code, int) and stop.code > _SIGNALS:
                console.print(_STOPPED)
            raise
        except Exception as error:  # noqa: BLE001 -- the last frame before the user
            _fail(error, 1, with_debug)

    fields = [_option(name, field, model) for model in models.values() for name, field in model.model_fields.items()]
    # Signature() refuses a name that two groups declare, at import, so options can't collide.
    signature = inspect.Signature([_CONTEXT, *fields, _CONFIG_FILE])
    vars(run)["__signature__"] = signature
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    return run


def _merge(ctx: typer.Context, config_file: Path | None, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings of this command from file and flags, and what is odd about the file."""
    in_file = read_file(config_file) if config_file is not None else {}
    own = {parameter.name for parameter in ctx.command.params} - {_CONFIG_FILE.name}
    known = {*_flag_names(ctx.find_root().command), *RECORD_KEYS}
    values = {name: value for name, value in in_file.items() if name in own} | given
    return values, unknown_settings(in_file, known)


def _flag_names(command: Any) -> Iterator[str]:
    """The settings of a command and of all commands below it."""
    yield from (parameter.name for parameter in command.params)
    for below in getattr(command, "commands", {}).values():
        yield from _flag_names(below)


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _fail(error: BaseException, code: int, with_debug: bool) -> None:
    _log.debug("the command ended with an error", exc_info=error)
    if with_debug:
        console.print_exception()
    if isinstance(error, (KeyboardInterrupt, Interrupted)):
        message = str(error) or _STOPPED
    elif isinstance(error, DartsError):
        message = f"error: {one_line(error, _LONGEST_MESSAGE)}"
    elif isinstance(error, OSError) and error.errno is not None:
        message = f"error: {one_line(error)}; free the disk, or look at the rights of the file."
    else:
        message = f"error: {type(error).__name__}: {one_line(error)} (this is a bug of darts; --debug shows where)"
    console.print(message, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _option(name: str, field: FieldInfo, model: type[Config]) -> inspect.Parameter:
    help_text = escape(" ".join((field.description or "").split()))
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    option = typer.Option(
        help=f"{help_text} (required)" if field.is_required() else help_text,
        rich_help_panel=panel_of(model, name),
        show_default=_shown(default, field),
        metavar=_metavar(name, field),
    )
    annotation = _typed(field.annotation)
    if get_origin(annotation) is list and default is not None:
        default = [str(item) for item in default]
    elif annotation is str and default is not None:
        default = str(default).lower() if isinstance(default, bool) else str(default)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_annotate(annotation, default, option)
    )


def _shown(default: Any, field: FieldInfo) -> bool | str:
    """Whether `--help` shows the default, or the word that it shows."""
    if default is None and not field.is_required() and field.metadata:
        return "none"
    return default is not None and default != ()


def _metavar(name: str, field: FieldInfo) -> str | None:
    """A short word in the place of a list of choices that would fill the column; the help text names them."""
    is_long = get_origin(field.annotation) is Literal and len("|".join(get_args(field.annotation))) > _LONGEST_CHOICES
    return f"<{name.rpartition('_')[2]}>" if is_long else None


def _annotate(annotation: Any, default: Any, option: Any) -> Any:
    return Annotated[annotation if default is not None else annotation | None, option]


def _typed(annotation: Any) -> Any:
    """The type that the command line is split into; the model does the real validation."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        members = [_typed(member) for member in get_args(annotation) if member is not types.NoneType]
        return Path if members == [Path] else str
    if origin is tuple:
        return list[str]
    return annotation


_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
_CONFIG_FILE = inspect.Parameter(
    "config_file",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            help=escape("TOML file with settings below [darts]; a flag wins over it."), rich_help_panel="Everywhere"
        ),
    ],
)
