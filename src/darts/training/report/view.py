"""What the parts of the report of a run need to know of it."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from darts.core.artifacts import RunDirectory
from darts.core.html import Html
from darts.training.run_details import roles, scores_by, throughput
from darts.training.run_doubts import doubts
from darts.training.run_figures import (
    DATA_DISTRIBUTION,
    LOSS_CURVES,
    METRIC_CURVES,
    draw_distribution,
    draw_loss,
    draw_metrics,
)
from darts.training.run_record import RunRecord, read_run


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, and what several parts of its report need to know.

    Attributes
    ----------
    regions, scenes
        Scores by place, worst first; empty if they aren't known.
    roles
        The role of every patch.
    throughput
        The speed of every epoch.
    doubts
        What speaks against taking its numbers at their word.
    figures
        PNG files by name.
    """

    run: RunRecord
    regions: pd.DataFrame
    scenes: pd.DataFrame
    roles: pd.DataFrame
    throughput: pd.DataFrame
    doubts: Sequence[str]
    figures: Mapping[str, bytes]

    @classmethod
    def of(cls, directory: RunDirectory) -> Self:
        """Read a run, and draw what can be drawn from its tables."""
        run = read_run(directory)
        patches = roles(run)
        _draw(run, patches)
        return cls(
            run=run,
            regions=scores_by(run, "region"),
            scenes=scores_by(run, "scene"),
            roles=patches,
            throughput=throughput(run),
            doubts=doubts(run),
            figures={path.name: path.read_bytes() for path in sorted(directory.figures.glob("*.png"))},
        )

    def figure(self, name: str, alternative: str, css: str = "chart") -> Html:
        """A figure, where the run has it.

        Parameters
        ----------
        alternative
            What it shows, for those who can't see it.
        css
            `chart`: drawn on white, turned dark with the page; `photo`: kept as it is, and scrolled where it is too wide.
        """
        if name not in self.figures:
            return Html("")
        data = base64.b64encode(self.figures[name]).decode()
        return Html(f'<img class="{css}" alt="{html.escape(alternative)}" src="data:image/png;base64,{data}">')

    def newest_samples(self, stage: str) -> str | None:
        """The name of the figure of samples of the best checkpoint, else of the last epoch that was drawn."""
        during = [name for name in self.figures if name.startswith(f"{stage}-samples-epoch-")]
        return next(
            (name for name in (f"{stage}-samples.png", *sorted(during, reverse=True)) if name in self.figures), None
        )


def _draw(run: RunRecord, patches: pd.DataFrame) -> None:
    """Curves anew, for there may be more epochs than before; the distribution unless the run drew it, which knows more."""
    folder = run.directory.figures
    if len(run.history):
        draw_loss(run.history, run.best_epoch, folder / LOSS_CURVES)
        draw_metrics(run.history, run.best_epoch, folder / METRIC_CURVES)
    if len(patches) and not (folder / DATA_DISTRIBUTION).exists():
        draw_distribution(patches, folder / DATA_DISTRIBUTION)
