"""What is counted of the train patches."""

import numpy as np
import pandas as pd

from darts.dataset.reader import open_dataset
from darts.dataset.schema import IGNORE, POSITIVE, SCALE
from darts.training.config import DataConfig, Hyperparameters, TrainerConfig
from darts.training.datamodule import PatchDataModule, with_shares
from darts.training.train_pixels import LabelCounts, count_train_pixels, labels_in_metadata


def module(dataset_dir, **hyperparameters):
    data = DataConfig(train_data_dir=dataset_dir, fold_method="region-kfold", total_folds=4)
    return PatchDataModule(data, Hyperparameters(**hyperparameters), TrainerConfig(num_workers=2))


def test_every_pixel_of_the_train_patches_is_counted_once_and_none_of_another(dataset_dir):
    data = module(dataset_dir, batch_size=5)
    counted = count_train_pixels(data.train_rows_loader(), len(data.bands))
    alone = open_dataset(dataset_dir)
    xs = np.stack([alone.read_x(row) for row in data.fold_rows.train])
    ys = np.stack([alone.read_y(row) for row in data.fold_rows.train])
    seen = xs.transpose(1, 0, 2, 3)[:, ys != IGNORE].astype(float)
    values = np.arange(SCALE + 1) / SCALE
    means = [np.average(values, weights=weights) for weights in counted.values]  # noqa: PD011 -- no pandas
    np.testing.assert_allclose(means, seen.mean(axis=1), atol=1e-6)
    assert counted.labels.positive == (ys == POSITIVE).sum()
    assert counted.labels.background == (ys == 0).sum()


def test_the_metadata_count_labels_as_the_pixels_do(dataset_dir):
    data = module(dataset_dir)
    train = data.metadata.loc[data.fold_rows.train]
    counted = count_train_pixels(data.train_rows_loader(), len(data.bands))
    assert labels_in_metadata(train, 64) == counted.labels
    assert labels_in_metadata(train.drop(columns="positive_pixels"), 64) is None


def test_shares_of_pixels_are_among_those_that_are_seen():
    table = pd.DataFrame({"positive_pixels": [0, 6], "ignored_pixels": [16, 4]})
    shares = with_shares(table, patch_size=4)
    assert shares["positive_fraction"].tolist() == [0.0, 0.5]
    assert shares["ignored_fraction"].tolist() == [1.0, 0.25]
    assert with_shares(table[["positive_pixels"]], 4).columns.tolist() == ["positive_pixels"]


def test_the_weight_of_positives_is_background_over_positives():
    assert LabelCounts(background=90, positive=10).pos_weight == 9
    assert LabelCounts(background=90, positive=10).positive_share == 0.1
    assert LabelCounts(0, 0).positive_share == 0
    assert LabelCounts(5, 0).pos_weight == 1
