"""Settings from flags, keywords and TOML: one name, one value, and an error that says rule, value and way out."""

import inspect
import tomllib
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import tomli_w
from pydantic import Field, PositiveInt, ValidationError

from darts.core.config import (
    RECORD_KEYS,
    Config,
    Listed,
    OrNone,
    build_config,
    build_configs,
    config_models,
    flat_settings,
    keyword_settings,
    read_config_file,
    resolved_settings,
    setting_to_flag,
    to_toml_value,
    unknown_settings,
)
from darts.core.errors import ConfigError


class Kitchen(Config, frozen=True):
    """Where the meal is made."""

    panel: ClassVar[str] = "Kitchen"

    oven_dir: Path
    """Folder of the oven."""
    heat: int = Field(default=180, ge=50, le=300)
    """Degrees."""
    spices: Listed[str] = ("salt",)
    """What goes in."""
    lid: OrNone[float] = 1.5
    """Weight of the lid, or none."""


class Table(Config, frozen=True):
    """Where the meal is eaten."""

    seats: PositiveInt = 4
    """Chairs."""
    cloth: OrNone[Path] = None
    """Table cloth."""
    style: Literal["plain", "fancy"] = "plain"
    """Cutlery."""
    note: str | None = None
    """What to say."""


def cook(kitchen: Kitchen, table: Table) -> tuple[Kitchen, Table]:
    return kitchen, table


@pytest.fixture
def config_file(tmp_path):
    def write(text):
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# --- the file


def test_headings_are_ignored_and_dash_is_underscore(config_file):
    path = config_file(
        """
        [darts]
        oven-dir = "a"
        [darts.one.two]
        batch_size = 3
        [darts.three]
        learning-rate = 1e-3
        spices = ["salt", "dill"]
        [elsewhere]
        heat = 1
        """
    )
    assert read_config_file(path) == {
        "oven_dir": "a",
        "batch_size": 3,
        "learning_rate": 1e-3,
        "spices": ["salt", "dill"],
    }


@pytest.mark.parametrize(
    "text",
    [
        "[darts]\npatch-size = 1\npatch_size = 2\n",
        "[darts]\npatch-size = 1\n[darts.a]\npatch-size = 2\n",
        "[darts.a]\npatch_size = 1\n[darts.b.c]\npatch-size = 2\n",
    ],
)
def test_one_name_set_to_two_values_is_an_error_that_names_both(config_file, text):
    path = config_file(text)
    with pytest.raises(ConfigError, match=r"'patch_size' is set twice, to 1 and 2; keep one") as caught:
        read_config_file(path)
    assert str(path) in str(caught.value)


def test_one_name_set_twice_to_one_value_is_fine(config_file):
    assert read_config_file(config_file("[darts]\na-b = [1]\n[darts.x]\na_b = [1]\n")) == {"a_b": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heat = 3\n", r"has no \[darts\] table"),
        ("darts = 3\n", r"has no \[darts\] table"),
        ("", r"has no \[darts\] table"),
        ("[darts\n", "is not valid TOML"),
        ("[darts]\nheat = 1\nheat = 2\n", "is not valid TOML"),
    ],
)
def test_a_file_that_says_nothing_to_darts_is_refused(config_file, text, message):
    path = config_file(text)
    with pytest.raises(ConfigError, match=f"--config-file: .*{message}") as caught:
        read_config_file(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"--config-file: there is no file .*gone\.toml"):
        read_config_file(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        read_config_file(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'[darts]\nname = "\xe9"\n')
    with pytest.raises(ConfigError, match="can't be read"):
        read_config_file(tmp_path / "latin.toml")


def test_an_unknown_key_is_warned_of_with_the_nearest_known_one():
    warnings = unknown_settings(["patch_size", "batchsize", "zzz"], {"patch_size", "batch_size", "heat"})
    assert len(warnings) == 2
    assert "'batchsize'" in warnings[0]
    assert "did you mean 'batch_size'?" in warnings[0]
    assert "'zzz'" in warnings[1]
    assert "did you mean" not in warnings[1]


# --- one group of settings


def test_defaults_hold_where_nothing_is_given():
    kitchen = build_config(Kitchen, {"oven_dir": "oven"})
    assert flat_settings(kitchen) == {"oven_dir": Path("oven"), "heat": 180, "spices": ("salt",), "lid": 1.5}


@pytest.mark.parametrize(
    ("values", "rule", "came"),
    [
        ({"heat": 301}, "--heat: input should be less than or equal to 300", "301"),
        ({"heat": "warm"}, "--heat: input should be a valid integer", "'warm'"),
        ({"lid": "heavy"}, "--lid: input should be a valid number", "'heavy'"),
    ],
)
def test_an_error_says_the_flag_the_rule_and_what_came(values, rule, came):
    with pytest.raises(ConfigError) as caught:
        build_config(Kitchen, {"oven_dir": "x", **values})
    assert str(caught.value).startswith(rule)
    assert str(caught.value).endswith(f", but got {came}.")
    assert "\n" not in str(caught.value)


def test_a_required_setting_that_is_missing_says_how_to_give_it():
    with pytest.raises(
        ConfigError, match=r"--oven-dir is required: give the flag, or set oven-dir in the config file\."
    ):
        build_config(Kitchen, {})


def test_a_choice_names_the_alternatives():
    with pytest.raises(ConfigError, match=r"--style: .*'plain' or 'fancy', but got 'rustic'"):
        build_config(Table, {"style": "rustic"})


def test_settings_cannot_be_changed_after_the_fact():
    table = build_config(Table, {})
    with pytest.raises(ValidationError):
        table.seats = 5


@pytest.mark.parametrize("word", ["none", "None", " NONE ", None])
def test_the_word_none_means_no_value(word):
    assert build_config(Kitchen, {"oven_dir": "x", "lid": word}).lid is None


@pytest.mark.parametrize("word", ["none", Path("none")])
def test_the_word_none_means_no_path_also_where_the_command_line_made_it_a_path(word):
    assert build_config(Table, {"cloth": word}).cloth is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("salt,dill", ("salt", "dill")),
        (["salt", "dill"], ("salt", "dill")),
        (["salt, dill", "mint"], ("salt", "dill", "mint")),
        ("salt", ("salt",)),
        (" salt , ", ("salt",)),
        ([], ()),
        ("", ()),
    ],
)
def test_several_values_come_repeated_with_commas_or_as_a_list(given, expected):
    assert build_config(Kitchen, {"oven_dir": "x", "spices": given}).spices == expected


# --- several groups


def test_flat_settings_are_divided_over_the_groups_that_declare_them():
    models = config_models(cook)
    assert models == {"kitchen": Kitchen, "table": Table}
    built = build_configs(models, {"seats": 2, "oven_dir": "x"})
    assert built == {"kitchen": Kitchen(oven_dir="x"), "table": Table(seats=2)}


def test_keyword_settings_takes_what_the_flags_take():
    serve = keyword_settings(cook)
    kitchen, table = serve(oven_dir="x", heat=200, cloth="none")
    assert (kitchen, table) == (Kitchen(oven_dir=Path("x"), heat=200), Table())
    assert serve.__doc__ == cook.__doc__


def test_the_signature_shows_every_setting_required_ones_first():
    parameters = inspect.signature(keyword_settings(cook)).parameters
    assert list(parameters) == ["oven_dir", "heat", "spices", "lid", "seats", "cloth", "style", "note"]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())
    assert parameters["oven_dir"].default is inspect.Parameter.empty
    assert parameters["heat"].default == 180


def test_a_keyword_that_no_group_declares_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"no setting 'heet'; did you mean 'heat'\?"):
        keyword_settings(cook)(oven_dir="x", heet=1)


def test_a_required_keyword_that_is_missing_is_refused():
    with pytest.raises(ConfigError, match="--oven-dir is required"):
        keyword_settings(cook)(heat=100)


# --- out again


def test_every_value_has_a_form_in_toml():
    nested = {"a": None, "b": Path("x/y"), "c": (1, Path("z"), None), "d": {"e": True}, "f": 0.5}
    plain = to_toml_value(nested)
    assert plain == {"a": "none", "b": "x/y", "c": [1, "z", "none"], "d": {"e": True}, "f": 0.5}
    assert tomllib.loads(tomli_w.dumps(plain)) == plain


@pytest.mark.parametrize(
    "settings",
    [
        {"oven_dir": "x"},
        {"oven_dir": "x/y", "heat": 60, "spices": (), "lid": None},
        {"oven_dir": "x", "spices": ("a", "b"), "seats": 1, "cloth": "silk", "style": "fancy", "note": "hello"},
    ],
)
def test_resolved_settings_written_to_a_file_give_the_same_settings_again(config_file, settings):
    before = build_configs(config_models(cook), settings)
    path = config_file(tomli_w.dumps({"darts": resolved_settings(*before.values())}))
    assert build_configs(config_models(cook), read_config_file(path)) == before


def test_the_keys_that_artifacts_record_are_no_settings():
    assert RECORD_KEYS.isdisjoint({*Kitchen.model_fields, *Table.model_fields})
    assert all(key == key.replace("-", "_") for key in RECORD_KEYS)


def test_a_setting_has_one_spelling_as_a_flag():
    assert setting_to_flag("batch_size") == "--batch-size"
