"""Settings that can't be meant are refused."""

from pathlib import Path

import pytest

from darts.core.config import build_config, resolved_settings
from darts.core.errors import ConfigError
from darts.preprocess.importing.config import ImportConfig

from .conftest import run, settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": "blue,swir1"}, "'swir1' has no usual range; give --band-ranges swir1:lo:hi, or use .*swir16"),
        ({"bands": "blue,blue"}, "none twice, but got 'blue, blue'"),
        ({"bands": ""}, "at least one band"),
        ({"image_bands": "1,2"}, "one number for each of the 3 bands of --bands, but gives 2"),
        ({"image_bands": "1,2,2"}, "each channel once, but got 1, 2, 2"),
        ({"image_bands": "0,1,2"}, "--image-bands"),
        ({"band_ranges": "blue:1:0"}, "name:lo:hi with lo below hi"),
        ({"band_ranges": "blue:0:1,blue:0:2"}, "each name once"),
        ({"band_ranges": "nir:0:1"}, "names nir, which is none of the bands"),
        ({"scale": 0}, "--scale"),
        ({"positive_values": "1,2", "ignore_values": "2"}, "must differ, but both have 2"),
        ({"positive_values": ""}, "at least one value must be positive"),
    ],
)
def test_settings_that_cant_be_meant(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, **change)


def test_settings_of_a_dataset_given_again_are_the_same():
    config = build_config(ImportConfig, settings(Path("r"), groups_file="g.json", nodata=[-1, 2]))
    assert build_config(ImportConfig, resolved_settings(config)) == config
    for name, field in ImportConfig.model_fields.items():
        assert field.description, name
        assert field.description.rstrip().endswith("."), name
