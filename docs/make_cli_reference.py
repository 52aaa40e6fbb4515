"""Render every command and option of the app into `docs/reference/cli.md`; the same app gives the same page."""

import inspect
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from darts.cli.app import app
from darts.core.config import Config, config_models, setting_to_flag

PAGE = Path(__file__).parent / "reference" / "cli.md"
SHARED_PANEL = "Everywhere"

HEAD = """# Command line

<!-- Written by docs/make_cli_reference.py from the commands themselves: change their help, not this page. -->

Every flag is also a key of the config file, without the leading `--`; see [Configuration](../guides/configuration.md).
A *list* is given as a repeated flag, as a TOML list, or as text with commas (but for `--data-split-by`, since names may
hold commas). A *switch* is `true` or `false` in the file. `none` is a word that can be given; where the default is blank,
there is none.
"""

_WORDS: dict[Any, str] = {
    bool: "switch",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "text",
}


def all_commands() -> list[tuple[str, Any, Callable[..., Any] | None, str | None]]:
    """Name, panel, function and example of every command; those of a group bear its name, too."""
    commands = [(info.name or "", info.rich_help_panel, info.callback, info.epilog) for info in app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        commands += [
            (f"{group.name} {info.name}", group.rich_help_panel, info.callback, info.epilog)
            for info in group.typer_instance.registered_commands
        ]
    return commands


def _anchor(name: str) -> str:
    return f"darts-{name.replace(' ', '-')}"


def render() -> str:
    """The page, as Markdown."""
    commands = all_commands()
    panels = dict.fromkeys(str(panel) for _, panel, _, _ in commands)
    parts = [HEAD, _overview(commands)]
    for panel in panels:
        parts.append(f"## {panel}\n")
        parts += [
            _command(name, callback, epilog) for name, of, callback, epilog in commands if of == panel and callback
        ]
    parts.append(_shared(next(callback for _, _, callback, _ in commands if callback)))
    return "\n".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")


def _overview(commands: list[tuple[str, Any, Callable[..., Any] | None, str | None]]) -> str:
    rows = [f"| [`darts {name}`](#{_anchor(name)}) | {inspect.getdoc(callback)} |" for name, _, callback, _ in commands]
    return "\n".join(["| command | does |", "| --- | --- |", *rows, ""])


def _command(name: str, callback: Callable[..., Any], epilog: str | None) -> str:
    lines = [f"### `darts {name}` {{ #{_anchor(name)} }}", "", f"{inspect.getdoc(callback)}", ""]
    if epilog:
        lines += ["```sh", _plain(epilog).removeprefix("Example: "), "```", ""]
    for model in _models(callback):
        if model.panel != SHARED_PANEL:
            lines += [f"**{model.panel}**", "", *_table(_rows(model)), ""]
    lines += ["And the flags of [every command](#every-command).", ""]
    return "\n".join(lines)


def _shared(callback: Callable[..., Any]) -> str:
    """The flags that all commands have: those of the shared model, and those that belong to no model."""
    models = _models(callback)
    known = {name for model in models for name in model.model_fields}
    rows = [row for model in models if model.panel == SHARED_PANEL for row in _rows(model)]
    for name, parameter in inspect.signature(callback).parameters.items():
        if name not in known and get_origin(parameter.annotation) is Annotated:
            kind, option = get_args(parameter.annotation)
            rows.append((setting_to_flag(name), _word(kind), "", _plain(option.help or "")))
    rows.append(("--help, -h", "", "", "Show the flags of a command, with their defaults."))
    return "\n".join(["## Every command", "", *_table(rows), ""])


def _models(callback: Callable[..., Any]) -> list[type[Config]]:
    return list(config_models(inspect.unwrap(callback)).values())


def _rows(model: type[Config]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        flag = setting_to_flag(name)
        if field.annotation is bool:
            flag += f", {setting_to_flag('no_' + name)}"
        yield flag, _word(field.annotation), _default(field), " ".join((field.description or "").split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "`none`" if field.metadata else ""
    if isinstance(value, bool):
        words = ("off", "on") if field.annotation is bool else ("false", "true")
        return f"`{words[value]}`"
    if isinstance(value, tuple):
        return f"`{', '.join(map(str, value))}`" if value else ""
    return f"`{value}`"


def _word(annotation: Any) -> str:
    """What is to be given for a flag, in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _word(inside[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inside)
    if origin is tuple:
        return "list" if get_origin(inside[0]) is Literal else f"list of {_word(inside[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_word(part) for part in inside if part is not types.NoneType))
    return _WORDS[annotation]


def _table(rows: Any) -> list[str]:
    cells = [(_codes(flag), kind, default, text) for flag, kind, default, text in rows]
    lines = ["| flag | takes | default | means |", "| --- | --- | --- | --- |"]
    return lines + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]


def _codes(flags: str) -> str:
    return "<br>".join(f"`{flag}`" for flag in flags.split(", "))


def _plain(text: str) -> str:
    """Text without the markup of rich."""
    return re.sub(r"\[/?(?:bold|italic|dim)\]", "", text).replace("\\[", "[")


if __name__ == "__main__":
    main()
