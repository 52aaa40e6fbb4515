"""Config models become flags: flag over file over default, and every failure is one line and an exit code."""

import errno
import re
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import typer
from pydantic import Field, model_validator

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.core.config import Config, Listed, OrNone, resolved_settings
from darts.core.errors import ConfigError, DatasetError

from .conftest import fails, run, succeeds

Choice = Literal["a-rather-long-choice", "another-rather-long-choice", "a-third-one"]


class Oven(Config, frozen=True):
    """How it is baked."""

    panel: ClassVar[str] = "The oven"

    oven_dir: Path
    """Where it stands, see [darts] and [bold]."""
    heat: int = Field(default=180, ge=50)
    """Degrees."""
    steam: bool = False
    """Water, too."""
    door: bool = True
    """Shut it."""
    factor: OrNone[float] = 1.5
    """Times."""
    shelf: OrNone[Path] = None
    """Board."""
    recipe: Choice = "a-third-one"
    """One of three."""


class Dough(Config, frozen=True):
    """What is baked."""

    panel: ClassVar[str] = "The dough"

    grains: Listed[str] = ("rye", "oat")
    """Ground."""
    turns: Listed[int] = ()
    """Kneaded."""

    @model_validator(mode="after")
    def _no_sand(self):
        if "sand" in self.grains:
            raise ConfigError("--grains: sand is no grain; leave it out.")
        if "rice" in self.grains and "oat" in self.grains:
            raise ValueError("--grains takes rice or oat, but got both")
        return self


class Guests(Config, frozen=True):
    """Another command's."""

    seats: int = 4
    """Chairs."""


BAKED: list[dict] = []


def bake(*, oven: Oven, dough: Dough, common: CommonConfig) -> None:
    """Bake bread."""
    if oven.heat == 666:
        raise ValueError("the oven\nis a [red]volcano[/red]")
    if oven.heat == 500:
        raise DatasetError("it burnt:\n  all of it.")
    if oven.heat == 400:
        raise KeyboardInterrupt
    BAKED.append(resolved_settings(oven, dough) | {"verbose": common.verbose})


def serve(*, guests: Guests, common: CommonConfig) -> None:
    """Serve it."""


@pytest.fixture
def bakery():
    app = typer.Typer(rich_markup_mode="rich")
    app.command("bake")(config_options(bake))
    group = typer.Typer()
    group.command("serve")(config_options(serve))
    app.add_typer(group, name="table")
    BAKED.clear()
    return app


@pytest.fixture
def given(bakery, tmp_path):
    """Run `bake` with flags and a file, and return the settings that arrived."""

    def call(*flags, file=None, warnings=0):
        if file is not None:
            (tmp_path / "c.toml").write_text(file, encoding="utf-8")
            flags = ("--config-file", tmp_path / "c.toml", *flags)
        result = run("bake", *flags, app=bakery)
        succeeds(result)
        call.stderr = result.stderr.splitlines()
        assert [line.startswith("warning: ") for line in call.stderr] == [True] * warnings
        return BAKED.pop()

    return call


DEFAULTS = {
    "oven_dir": "o",
    "heat": 180,
    "steam": False,
    "door": True,
    "factor": 1.5,
    "shelf": "none",
    "recipe": "a-third-one",
    "grains": ["rye", "oat"],
    "turns": [],
    "verbose": False,
}


def test_defaults_hold_where_nothing_is_given(given):
    assert given("--oven-dir", "o") == DEFAULTS


def test_a_flag_wins_over_the_file_which_wins_over_the_default(given):
    file = '[darts]\noven-dir = "f"\nheat = 200\n[darts.dough]\ngrains = ["corn"]\n'
    assert given(file=file) == DEFAULTS | {"oven_dir": "f", "heat": 200, "grains": ["corn"]}
    arrived = given("--heat", 300, "--grains", "wheat", file=file)
    assert arrived == DEFAULTS | {"oven_dir": "f", "heat": 300, "grains": ["wheat"]}


def test_a_flag_that_says_the_default_wins_over_the_file_too(given):
    file = '[darts]\noven_dir = "f"\nheat = 200\nsteam = true\ndoor = false\n'
    arrived = given("--heat", 180, "--no-steam", "--door", file=file)
    assert (arrived["heat"], arrived["steam"], arrived["door"]) == (180, False, True)


def test_a_switch_has_two_flags(given):
    arrived = given("--oven-dir", "o", "--steam", "--no-door", "--verbose")
    assert (arrived["steam"], arrived["door"], arrived["verbose"]) == (True, False, True)


@pytest.mark.parametrize("flags", [("--grains", "a", "--grains", "b"), ("--grains", "a,b"), ("--grains", " a , b ")])
def test_several_values_come_repeated_or_with_commas(given, flags):
    assert given("--oven-dir", "o", *flags)["grains"] == ["a", "b"]


def test_several_values_have_the_type_of_the_model(given):
    assert given("--oven-dir", "o", "--turns", "3,-2", "--turns", "1")["turns"] == [3, -2, 1]
    assert given("--oven-dir", "o", file="[darts]\nturns = [3, 4]\n")["turns"] == [3, 4]
    assert given("--oven-dir", "o", file='[darts]\nturns = "3,4"\n')["turns"] == [3, 4]


def test_the_word_none_means_no_value_in_flag_and_file(given):
    arrived = given("--oven-dir", "o", "--factor", "none", "--shelf", "none")
    assert (arrived["factor"], arrived["shelf"]) == ("none", "none")
    arrived = given("--oven-dir", "o", file='[darts]\nfactor = "none"\nshelf = "board"\n')
    assert (arrived["factor"], arrived["shelf"]) == ("none", "board")
    assert given("--oven-dir", "o", "--factor", "2.5", file='[darts]\nfactor = "none"\n')["factor"] == 2.5


def test_a_key_of_another_command_is_passed_over_silently(given):
    assert given("--oven-dir", "o", file="[darts]\nseats = 9\n") == DEFAULTS


def test_a_key_that_no_command_knows_is_a_warning_with_the_nearest_one(given):
    assert given("--oven-dir", "o", file="[darts]\nheet = 9\n", warnings=1) == DEFAULTS
    assert given.stderr == ["warning: the config file sets 'heet', which no command knows; did you mean 'heat'?"]


def test_the_record_of_an_artifact_can_be_given_as_a_config_file(given):
    file = '[darts]\noven_dir = "f"\nrun_id = "1a2b3c4d"\nversions = ["darts 0.1.0"]\nlo = [0.0]\n'
    assert given(file=file) == DEFAULTS | {"oven_dir": "f"}


def test_a_config_file_that_names_a_config_file_is_not_followed(given):
    assert given("--oven-dir", "o", file='[darts]\nconfig-file = "other.toml"\n') == DEFAULTS


def test_verbosity_may_come_from_the_file(given):
    assert given("--oven-dir", "o", file="[darts]\nverbose = true\n")["verbose"] is True


# --- failures


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--oven-dir is required: give the flag, or set oven-dir in the config file."),
        (("--oven-dir", "o", "--heat", 5), "--heat: input should be greater than or equal to 50, but got 5."),
        (("--oven-dir", "o", "--factor", "x"), "--factor: input should be a valid number.*, but got 'x'."),
        (("--oven-dir", "o", "--turns", "1,x"), "--turns: input should be a valid integer.*, but got 'x'."),
        (("--oven-dir", "o", "--grains", "sand"), "--grains: sand is no grain; leave it out."),
        (("--oven-dir", "o", "--grains", "rice,oat"), "--grains takes rice or oat, but got both."),
        (("--config-file", "gone.toml"), "--config-file: there is no file gone.toml."),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(bakery, flags, message):
    line = fails(run("bake", *flags, app=bakery), 2)
    assert re.fullmatch(f"error: {message}", line)
    assert BAKED == []


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("heat = 3\n", "has no [darts] table"),
        ("[darts]\nheat = 100\n[darts.x]\nheat = 200\n", "'heat' is set twice, to 100 and 200"),
        ('[darts]\noven-dir = "o"\nheat = "warm"\n', "--heat: input should be a valid integer"),
        ('[darts]\noven-dir = "o"\nrecipe = "none"\n', "--recipe: input should be 'a-rather-long-choice'"),
        ("[darts]\n[[darts]]\n", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_2(bakery, tmp_path, file, message):
    (tmp_path / "c.toml").write_text(file)
    assert message in fails(run("bake", "--config-file", tmp_path / "c.toml", app=bakery), 2)


@pytest.mark.parametrize(
    "flags", [("--heat", "warm"), ("--recipe", "x"), ("--oven-dir",), ("--nope",), ("--steam=maybe",), ("extra",)]
)
def test_what_is_no_flag_is_exit_code_2_without_a_traceback(bakery, flags):
    result = run("bake", *flags, app=bakery)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert "Traceback" not in result.output
    assert BAKED == []


def test_a_failure_that_the_user_can_mend_is_one_line_and_exit_code_1(bakery):
    assert fails(run("bake", "--oven-dir", "o", "--heat", 500, app=bakery), 1) == "error: it burnt: all of it."


def test_a_failure_that_nobody_foresaw_is_one_line_and_exit_code_1(bakery):
    result = run("bake", "--oven-dir", "o", "--heat", 666, app=bakery)
    assert result.exit_code == 1
    assert result.stderr.strip() == (
        "error: ValueError: the oven is a [red]volcano[/red] (this is a bug of darts; --debug shows where)"
    )
    assert result.stdout == ""


def test_a_stop_from_the_keyboard_is_exit_code_130(bakery):
    result = run("bake", "--oven-dir", "o", "--heat", 400, app=bakery)
    assert (result.exit_code, result.stderr.strip()) == (130, "stopped; run the same command to go on.")


def test_a_full_disk_is_no_bug():
    app = typer.Typer()

    def write(*, common: CommonConfig) -> None:
        """Write."""
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x")

    app.command()(config_options(write))
    result = run(app=app)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "bug" not in result.stderr


@pytest.mark.parametrize("heat", [666, 500])
def test_the_traceback_is_shown_with_debug(bakery, heat):
    result = run("bake", "--oven-dir", "o", "--heat", heat, "--debug", app=bakery)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")


def test_debug_in_the_file_shows_the_traceback_too(bakery, tmp_path):
    (tmp_path / "c.toml").write_text("[darts]\ndebug = true\n")
    result = run("bake", "--oven-dir", "o", "--heat", 666, "--config-file", tmp_path / "c.toml", app=bakery)
    assert "Traceback" in result.stderr


def test_warnings_go_to_the_log_folder_too(bakery, tmp_path):
    (tmp_path / "c.toml").write_text("[darts]\nheet = 9\n")
    result = run(
        "bake", "--oven-dir", "o", "--config-file", tmp_path / "c.toml", "--log-dir", tmp_path / "l", app=bakery
    )
    succeeds(result)
    assert "did you mean 'heat'?" in (tmp_path / "l" / "darts.log").read_text()


def test_a_log_folder_that_cannot_be_made_is_one_line(bakery, tmp_path):
    (tmp_path / "file").touch()
    line = fails(run("bake", "--oven-dir", "o", "--log-dir", tmp_path / "file" / "l", app=bakery), 2)
    assert "can't be written to (Not a directory)" in line
    assert BAKED == []


# --- help


def test_help_shows_each_group_in_a_panel_with_every_field_and_its_docstring(bakery):
    text = succeeds(run("bake", "--help", app=bakery, columns=2000))
    for panel in ("The oven", "The dough", "Everywhere"):
        assert f"─ {panel} ─" in text
    for model in (Oven, Dough, CommonConfig):
        for name, field in model.model_fields.items():
            assert f"--{name.replace('_', '-')}" in text
            assert field.description in text
    assert "[darts] and [bold]. (required)" in text
    assert "settings below [darts]; a flag wins" in text


def test_help_shows_defaults_and_keeps_long_choices_short(bakery):
    text = succeeds(run("bake", "--help", app=bakery, columns=2000))
    assert "Degrees. [default: 180]" in text
    assert "Ground. [default: rye, oat]" in text
    assert "Kneaded. " in text
    assert "Kneaded. [default" not in text
    assert "Board. [default: (none)]" in text
    assert "<recipe>" in text


def test_two_groups_that_declare_one_name_are_refused_when_the_program_starts():
    class Again(Config, frozen=True):
        heat: int = 1
        """Twice."""

    def cook(*, oven: Oven, again: Again) -> None:
        """Cook."""

    cook.__annotations__ = {"oven": Oven, "again": Again}
    with pytest.raises(ValueError, match="duplicate parameter name: 'heat'"):
        config_options(cook)
