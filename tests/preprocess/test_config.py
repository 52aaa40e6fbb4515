"""Rules of single settings."""

import pytest

from darts.core.config import build_config
from darts.core.errors import ConfigError
from darts.preprocess import config
from darts.preprocess.config import (
    AuxiliaryConfig,
    ExecutionConfig,
    LabelConfig,
    PatchConfig,
    Sentinel2Config,
    parse_ranges,
)


def test_defaults():
    patches = build_config(PatchConfig, {"train_data_dir": "out"})
    assert (patches.patch_size, patches.overlap, patches.exclude_nopositive, patches.exclude_nan) == (
        1024,
        16,
        False,
        True,
    )
    assert patches.bands == ("blue", "green", "red", "nir", "ndvi")
    assert set(build_config(Sentinel2Config, {"sentinel2_dir": "x"}).scl_ignore) == {0, 1, 3, 8, 9, 11}


def test_words_and_commas():
    assert build_config(
        Sentinel2Config, {"sentinel2_dir": "x", "scl_ignore": "0,3", "s2_offset": "none"}
    ).scl_ignore == (0, 3)
    assert build_config(Sentinel2Config, {"sentinel2_dir": "x", "s2_offset": "-1000"}).s2_offset == -1000
    assert build_config(LabelConfig, {"labels_dir": "none"}).labels_dir is None


def test_ranges_are_read_as_numbers():
    ranges = build_config(PatchConfig, {"train_data_dir": "out", "band_ranges": "curvature:-5:5,red:0:0.8"}).band_ranges
    assert parse_ranges(ranges) == {"curvature": (-5, 5), "red": (0, 0.8)}


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (PatchConfig, {"bands": "blue,blue"}, "once"),
        (PatchConfig, {"bands": ""}, "at least one band"),
        (PatchConfig, {"patch_size": 16}, "--overlap must be smaller than --patch-size, but got 16 and 16"),
        (PatchConfig, {"patch_size": 0}, "--patch-size"),
        (PatchConfig, {"band_ranges": "red:1:0"}, "name:lo:hi with lo below hi, but got 'red:1:0'"),
        (ExecutionConfig, {"workers": -1}, "--workers"),
        (ExecutionConfig, {"append": True, "force": True}, "--append adds .* --force removes"),
        (AuxiliaryConfig, {"tpi_outer_radius": "inf"}, "--tpi-outer-radius"),
        (Sentinel2Config, {"s2_offset": "nan"}, "--s2-offset"),
        (ExecutionConfig, {"memory_limit": "0GB"}, "--memory-limit"),
        (AuxiliaryConfig, {"tpi_inner_radius": 100}, "--tpi-inner-radius must be smaller than --tpi-outer-radius"),
        (Sentinel2Config, {"scl_ignore": "3,12"}, "--scl-ignore"),
        (Sentinel2Config, {"s2_offset": "minus"}, "--s2-offset"),
    ],
)
def test_rules(model, values, message):
    required = {PatchConfig: {"train_data_dir": "out"}, Sentinel2Config: {"sentinel2_dir": "x"}}.get(model, {})
    with pytest.raises(ConfigError, match=message):
        build_config(model, required | values)


def test_every_setting_has_help():
    models = [value for name, value in vars(config).items() if name.endswith("Config") and name != "Config"]
    fields = [field for model in models for field in model.model_fields.values()]
    assert len(fields) > 20
    assert all(field.description for field in fields)
