"""Rules of single settings."""

import pytest

from darts.core.config import build_config
from darts.core.errors import ConfigError
from darts.preprocess import config
from darts.preprocess.config import LabelConfig, PatchConfig, Sentinel2Config


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


@pytest.mark.parametrize("band", [*config.TERRAIN_BANDS, *config.TREND_BANDS])
def test_bands_of_other_data_are_refused_with_the_reason(band):
    with pytest.raises(ConfigError, match=f"--bands: only optical bands.*{band}.*elevation"):
        build_config(PatchConfig, {"train_data_dir": "out", "bands": ["blue", band]})


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (PatchConfig, {"bands": "blue,bleu"}, "no band 'bleu'"),
        (PatchConfig, {"bands": "blue,blue"}, "once"),
        (PatchConfig, {"bands": ""}, "at least one band"),
        (PatchConfig, {"patch_size": 16}, "--overlap must be smaller than --patch-size, but got 16 and 16"),
        (PatchConfig, {"patch_size": 0}, "--patch-size"),
        (PatchConfig, {"workers": -1}, "--workers"),
        (Sentinel2Config, {"scl_ignore": "3,12"}, "--scl-ignore"),
        (Sentinel2Config, {"s2_offset": "minus"}, "--s2-offset"),
    ],
)
def test_rules(model, values, message):
    required = {"train_data_dir": "out"} if model is PatchConfig else {"sentinel2_dir": "x"}
    with pytest.raises(ConfigError, match=message):
        build_config(model, required | values)


def test_every_setting_has_help():
    models = [value for name, value in vars(config).items() if name.endswith("Config") and name != "Config"]
    fields = [field for model in models for field in model.model_fields.values()]
    assert len(fields) > 20
    assert all(field.description for field in fields)
