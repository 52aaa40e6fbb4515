"""The recommended recipe against the required defaults, and against a threshold, on real images of water.

    uv run python benchmarks/water.py FOLDER [--epochs 12] [--seeds 3] [--precision bf16-mixed] [--only recipe|defaults]

FOLDER holds `images/N.tif` (twelve bands, Landsat and Sentinel-2 reflectance times 10000 in the first seven), `masks/N.png`
and `groups.json` (patch -> group of patches that share ground). Each fold holds out whole groups. Both sides have the same
encoder, epochs, folds and seeds; runs that are finished are kept in `--output`, so that it can be stopped and gone on with.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from darts.core.config import read_config_file
from darts.core.log import set_up_logging
from darts.dataset.joined import open_datasets
from darts.preprocess import import_patches
from darts.training.config import DataConfig
from darts.training.leakage import divide_all
from darts.tune import cross_validation_smp

BANDS = ("coastal", "blue", "green", "red", "nir", "swir16", "swir22")
FOLDS = {"fold_method": "region-stratified", "total_folds": 5}
COMMON = {"model_arch": "Unet", "model_encoder": "resnet18", "batch_size": 8, "early_stopping_patience": 0}
RECIPE_FILE = Path(__file__).parents[1] / "configs" / "recipe-sentinel2-few-labels.toml"
RECIPE_KEYS = ("loss", "lr_schedule", "learning_rate", "gradient_clip", "normalisation", "augment")
"""All that the recipe says of training, but for which patches come how often: both sides see the same ones."""
SIDES = ("defaults", "recipe")
STEPS = np.linspace(-1, 1, 401)
"""Thresholds of MNDWI that are tried."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Intersection and union of the positive class, summed over folds."""

    intersection: int
    union: int

    @property
    def iou(self) -> float:
        """Intersection over union."""
        return self.intersection / max(1, self.union)


def dataset(folder: Path, output: Path) -> Path:
    """The dataset directory, imported once."""
    target = output / "dataset"
    import_patches(
        images_dir=folder / "images",
        masks_dir=folder / "masks",
        groups_file=folder / "groups.json",
        train_data_dir=target,
        bands=BANDS,
        scale=1e-4,
        exclude_nan=False,
    )
    return target


def settings_of(side: str) -> dict[str, object]:
    """What a side changes of the defaults."""
    if side == "defaults":
        return {}
    recipe = read_config_file(RECIPE_FILE)
    return {name: recipe[name] for name in RECIPE_KEYS}


def cross_validate(name: str, data: Path, options: argparse.Namespace) -> pd.DataFrame:
    """Fold, seed and IoU of every run of a side, and its counts of the val pixels."""
    result = cross_validation_smp(
        train_data_dir=data,
        cv_name=name,
        artifact_dir=options.output / f"epochs-{options.epochs}-{options.precision}",
        max_epochs=options.epochs,
        check_val_every_n_epoch=options.epochs,
        n_randoms=options.seeds,
        precision=options.precision,
        scoring_metric="val/JaccardIndex",
        plot_every_n_val_epochs=1000,
        **FOLDS,
        **COMMON,
        **settings_of(name),
    )
    rows = []
    for info in result.runs:
        run = Path(info.checkpoint).parents[1]
        counts = pd.read_parquet(run / "confusion.parquet").query("split == 'val' and region == '(all)'").iloc[0]
        rows.append(
            {
                "fold": info.fold,
                "seed": info.seed,
                "iou": info.metrics["val/JaccardIndex"],
                **counts[["tp", "fp", "fn"]],
            }
        )
    return pd.DataFrame(rows)


def threshold(directory: Path) -> Counts:
    """MNDWI = (green - swir1) / (green + swir1) (Xu 2006, doi 10.1080/01431160600589179), positive above a threshold.

    The threshold of a fold is the one with the best IoU on its train patches.
    """
    joined = open_datasets([directory])
    data = DataConfig(train_data_dir=directory, **FOLDS)
    tables = np.stack([_above(joined, row) for row in range(len(joined))])  # (patches, steps, tp fp fn)
    total = np.zeros(3, dtype=int)
    for division in divide_all(joined.metadata, data, joined.patch_size):
        train = tables[division.fold.train].sum(axis=0)
        best = np.argmax(train[:, 0] / np.maximum(train.sum(axis=1), 1))
        total += tables[division.fold.val, best].sum(axis=0)
    return Counts(int(total[0]), int(total.sum()))


def _above(joined, row: int) -> np.ndarray:
    bands = joined.bands(("green", "swir16"))
    x = np.empty((2, joined.patch_size, joined.patch_size), np.float32)
    y = np.empty(x.shape[1:], np.uint8)
    joined.read_into(row, joined.channel_indices(("green", "swir16")), x, y)
    green, swir = (band.lo + values.astype(float) * (band.hi - band.lo) for band, values in zip(bands, x, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.nan_to_num((green - swir) / (green + swir), nan=-1)
    seen, positive = y != 2, y == 1
    above = index[seen][None] > STEPS[:, None]
    tp = (above & positive[seen]).sum(axis=1)
    return np.stack([tp, above.sum(axis=1) - tp, positive.sum() - tp], axis=1)


def report(tables: dict[str, pd.DataFrame], water: Counts) -> None:
    """Print what each side reached, and the paired differences."""
    for name, table in tables.items():
        pooled = Counts(int(table["tp"].sum()), int(table[["tp", "fp", "fn"]].to_numpy().sum()))
        print(f"{name:10} IoU of {len(table)} runs {table['iou'].mean():.4f} (pooled over folds {pooled.iou:.4f})")
    print(f"{'MNDWI':10} IoU pooled over folds {water.iou:.4f}, threshold from the train patches of each fold")
    if len(tables) == len(SIDES):
        pairs = tables["recipe"].merge(tables["defaults"], on=["fold", "seed"])
        difference = pairs["iou_x"] - pairs["iou_y"]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        met = "met" if difference.mean() > error else "not met"
        print(f"recipe - defaults: {difference.mean():+.4f} +- {error:.4f} (standard error, {len(pairs)} pairs): {met}")
        print(pairs[["fold", "seed", "iou_x", "iou_y"]].round(4).to_string(index=False))


def main() -> None:
    """Import, cross-validate both sides, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("water-benchmark"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", default="32")
    parser.add_argument("--only", choices=SIDES)
    options = parser.parse_args()
    set_up_logging(verbose=False, debug=False, log_dir=None)
    data = dataset(options.folder, options.output)
    sides = [options.only] if options.only else SIDES
    tables = {name: cross_validate(name, data, options) for name in sides}
    print(json.dumps({"epochs": options.epochs, "precision": options.precision, "recipe": settings_of("recipe")}))
    report(tables, threshold(data))


if __name__ == "__main__":
    main()
