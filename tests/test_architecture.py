"""What holds for the program as a whole: a quick start, and example settings that every command understands."""

import importlib
import importlib.util
import os
import pkgutil
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command

import darts
from darts.cli.app import app
from darts.core.config import RECORD_KEYS, Config, build_config, read_config_file, resolved_settings, unknown_settings

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch lightning pytorch_lightning segmentation_models_pytorch timm torchmetrics optuna wandb geopandas shapely xarray "
    "rioxarray rasterio pandas pyarrow zarr numpy scipy sklearn matplotlib"
).split()

TWO_COMMANDS = '''
from typing import Annotated
import typer

app = typer.Typer(rich_markup_mode="rich")


@app.command(rich_help_panel="Greetings")
def hello(name: Annotated[str, typer.Option(help="Who.", rich_help_panel="People")] = "you") -> None:
    """Say hello."""


@app.command(rich_help_panel="Partings")
def goodbye(loud: Annotated[bool, typer.Option(help="How.", rich_help_panel="Manner")] = False) -> None:
    """Say goodbye."""


app()
'''


def config_models():
    for module in pkgutil.walk_packages(darts.__path__, "darts."):
        if ".config" in module.name:
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, Config) and value.__module__ == module.name:
                    yield value


MODELS = [model for model in config_models() if model is not Config]


def imported_by(*command):
    """The top-level packages that a Python process imports."""
    arguments = [sys.executable, "-X", "importtime", *command]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120)
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("train-smp", "--help"), ("preprocess-s2-train-data", "--help")],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments):
    imported = imported_by("-m", "darts", *arguments)
    assert {"darts", "typer", "pydantic"} <= imported
    assert imported & set(HEAVY) == set()


def test_a_wrong_flag_is_refused_before_anything_heavy_is_imported():
    command = (
        "import sys, darts.cli.app as m\ntry:\n    m.app()\nexcept SystemExit as e:\n    assert e.code == 2, e.code"
    )
    imported = imported_by("-c", command, "train-smp", "--train-data-dir", "d", "--run-name", "a/b")
    assert "darts" in imported
    assert imported & set(HEAVY) == set()


def seconds(*command):
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=120)
    return time.perf_counter() - started


def measure(ours, theirs):
    """Median wall time of two commands, run in turn, so that both meet the same load."""
    seconds(*ours), seconds(*theirs)  # compiled files are written now
    pairs = [(seconds(*ours), seconds(*theirs)) for _ in range(5)]
    return [statistics.median(times) for times in zip(*pairs, strict=True)]


def test_help_is_about_as_quick_as_that_of_a_program_with_two_commands(tmp_path):
    small = tmp_path / "small.py"
    small.write_text(TWO_COMMANDS)
    tries = []
    for _ in range(2):  # another load may disturb one
        tries.append(measure(("-m", "darts", "--help"), (str(small), "--help")))
        if tries[-1][0] <= 3 * tries[-1][1]:
            return
    pytest.fail(f"(darts --help, help of a small program) took {tries} seconds; at most 3 times as long is the rule")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_every_setting_says_what_it_is(model):
    assert model.__doc__
    assert model.panel != "Options"
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no docstring"
        assert field.description.rstrip().endswith((".", ")")), name


REQUIRED = {
    "train_data_dir": "d",
    "sentinel2_dir": "s",
    "data_dir": "p",
    "labels_dir": "l",
    "output_dir": "o",
    "lightning_checkpoint": "l",
    "out_directory": "o",
    "run_name": "r",
    "sweep_id": "s",
    "images_dir": "i",
    "masks_dir": "m",
    "bands": ["red", "nir"],
    "by": "loss",
}
ONE_OF = ("run_name", "by")
"""Settings that a model may need without requiring them: it asks for one of several."""


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_settings_written_beside_an_artifact_and_given_again_are_the_same(model):
    fields = {name: field for name, field in model.model_fields.items() if field.is_required() or name in ONE_OF}
    values = {name: value for name, value in REQUIRED.items() if name in fields}
    config = build_config(model, values)
    again = build_config(model, resolved_settings(config))
    # `augment = true` is a default that is spelt out once it is read.
    assert {name for name, value in again if value != getattr(config, name)} <= {"augment"}
    assert build_config(model, resolved_settings(again)) == again


def known_settings():
    def names(command):
        yield from (parameter.name for parameter in command.params)
        for below in getattr(command, "commands", {}).values():
            yield from names(below)

    return {*names(get_command(app)), *RECORD_KEYS}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("**/*.toml")), ids=lambda path: path.name)
def test_every_example_of_settings_is_understood_by_every_command(path):
    settings = read_config_file(path)
    assert unknown_settings(settings, known_settings()) == []
    for model in MODELS:
        values = REQUIRED | settings
        build_config(model, {name: value for name, value in values.items() if name in model.model_fields})


def test_the_program_is_installed_under_its_name():
    program = Path(sys.executable).with_name("darts")
    result = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, timeout=60, env=os.environ
    )
    assert result.stdout.startswith("darts ")


def test_the_command_reference_is_what_the_commands_say():
    spec = importlib.util.spec_from_file_location("make_cli_reference", ROOT / "docs" / "make_cli_reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == reference.render(), "run: uv run python docs/make_cli_reference.py"


def test_every_test_that_the_table_of_defects_names_exists():
    page = (ROOT / "docs" / "reference" / "defects.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    missing = [
        name
        for file, name in named
        if not re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
    assert len(named) > 40
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == list(range(40))


def test_every_test_that_the_table_of_options_names_exists():
    page = (ROOT / "docs" / "reference" / "options.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:tests/)?([\w/]+\.py)`", page))
    tests = {name for name in named if Path(name).name.startswith("test_")}
    assert [name for name in sorted(tests) if not (ROOT / "tests" / name).exists()] == []
    assert len(tests) > 15
