"""The part of the report of a run that says what was trained on what."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from darts.core.html import Html, element, section, shown, table
from darts.training.config import DEFAULT_AUGMENTATIONS
from darts.training.report.view import RunView
from darts.training.run_figures import DATA_DISTRIBUTION, ROLES, data_distribution
from darts.training.run_record import setting_text

_OFF: tuple[Any, ...] = (None, "none", "", [], ())


def origin(view: RunView) -> str:
    """Model, data, split and versions."""
    run = view.run
    lists = (("Model", _model_rows(run.settings, run.record)), ("Data", _data_rows(run.settings, run.record)))
    model, data = (element("h3", shown(title)) + _definitions(rows) for title, rows in lists)
    halves = element("div", element("div", model) + element("div", data + _roles(view.roles)), "halves")
    figure = view.figure(DATA_DISTRIBUTION, "Patches and share of positive pixels by region and role")
    return section("What was trained on what", halves, element("div", figure, "scroll wide") if figure else "")


def _model_rows(settings: Mapping[str, Any], record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("architecture", _said(settings, "model_factory") or _said(settings, "model_arch", "model_options")),
        ("encoder", None if _said(settings, "model_factory") else _said(settings, "model_encoder")),
        ("encoder weights", setting_text(settings.get("model_encoder_weights", ""))),
        ("loss", _said(settings, "loss")),
        ("optimiser", _said(settings, "optimizer")),
        ("learning rate", _said(settings, "learning_rate", "lr_schedule")),
        ("batch size", _said(settings, "batch_size")),
        ("normalisation", setting_text(settings.get("normalisation", ""))),
        ("augmentation", _augmentations(settings.get("augment"))),
        ("precision", _said(settings, "precision")),
        ("device", _said(settings, "device")),
        ("seed", settings.get("random_seed")),
        ("git commit", record.get("git_commit")),
        ("versions", setting_text(record.get("versions", ""))),
    ]


def _data_rows(settings: Mapping[str, Any], record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    from_file = settings.get("split_file", "none") != "none"
    of_all = "" if from_file or "total_folds" not in settings else f" of {settings['total_folds']}"
    grouped = ["group_by"] if settings.get("group_by") != "region" else []
    share = record.get("positive_share")
    return [
        ("dataset", _said(settings, "train_data_dir")),
        ("fingerprint", record.get("dataset_fingerprint")),
        ("bands", _said(settings, "bands") or ("all" if "bands" in settings else None)),
        ("subsample", _said(settings, "subsample")),
        ("split file", _said(settings, "split_file")),
        ("test split", _said(settings, "data_split_method", "data_split_by")),
        ("folds", None if from_file else _said(settings, "fold_method", *grouped)),
        ("fold", f"{settings['fold']}{of_all}, counted from 0" if "fold" in settings else None),
        ("positive in train", f"{share:.2%} of the pixels" if isinstance(share, float) else None),
        ("left out of train", _left_out(record.get("dropped_for_overlap"))),
        ("audit", " ".join(record.get("audit", []))),
    ]


def _augmentations(recorded: Any) -> str | None:
    if recorded is None:
        return None
    names = recorded if isinstance(recorded, list) else DEFAULT_AUGMENTATIONS if recorded else ()
    return setting_text(names) or "none"


def _left_out(count: Any) -> str | None:
    return None if count is None else f"{count} patches that share ground or content with val or test"


def _said(settings: Mapping[str, Any], *names: str) -> str:
    """The values of those of these settings that are recorded and aren't switched off."""
    return ", ".join(setting_text(settings[name]) for name in names if settings.get(name) not in _OFF)


def _definitions(rows: Iterable[tuple[str, Any]]) -> Html:
    known = [(name, value) for name, value in rows if value not in (None, "")]
    return element("div", table([], known, ["name", ""]), "settings")


def _roles(patches: pd.DataFrame) -> Html:
    """Patches, regions, scenes and share of positive pixels of each role."""
    if not len(patches):
        return Html("")
    shares = data_distribution(patches.assign(region="all")).set_index("role")["positive_share"]
    has_scenes, is_counted = "sample_id" in patches.columns, bool(shares.notna().any())
    header = ["role", "patches", "regions", *(["scenes"] if has_scenes else []), *(["positive"] if is_counted else [])]
    rows = [
        [
            role,
            len(part),
            part["region"].nunique(),
            *([part["sample_id"].nunique()] if has_scenes else []),
            *([f"{shares[role]:.2%}"] if is_counted else []),
        ]
        for role in ROLES
        for part in [patches[patches["role"] == role]]
        if len(part)
    ]
    return Html(element("h3", "Patches by role", "below") + table(header, rows, ["", *["n"] * (len(header) - 1)]))
