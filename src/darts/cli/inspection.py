"""`inspect-dataset`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from darts.cli.config import CommonConfig
from darts.cli.options import config_options
from darts.cli.output import say, say_next, say_table
from darts.core.log import console
from darts.dataset.config import InspectionConfig

if TYPE_CHECKING:
    from darts.dataset.inspection import DatasetFacts, InspectionPlan
    from darts.dataset.inspection.facts import GroupFacts

PANEL = "Data"
_MOST_ROWS = 12
_LINES = 10


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(
        "inspect-dataset",
        rich_help_panel=PANEL,
        epilog="Example: [bold]darts inspect-dataset --train-data-dir data/s2[/bold]",
    )(config_options(inspect_dataset))


def inspect_dataset(*, inspection: InspectionConfig, common: CommonConfig) -> None:
    """Look at a dataset: write one HTML page with maps, pictures, bands, counts and suspicious patches."""
    from darts.dataset.inspection import plan_inspection, spoils_training, write_inspection

    plan = plan_inspection(inspection)
    if common.dry_run:
        _say_plan(plan)
        return
    with _show_reading() as progress:
        facts = write_inspection(plan, progress)
    _say_facts(facts)
    say(f"wrote {plan.page}")
    if spoils_training(facts):
        say_next("darts", "validate-dataset", "--train-data-dir", inspection.train_data_dir, "--deep")
    else:
        say_next("darts", "train-smp", "--train-data-dir", inspection.train_data_dir)


@contextmanager
def _show_reading() -> Iterator[Callable[[int, int], None]]:
    """Show how many patches are read: a bar on a terminal, ten plain lines elsewhere."""
    if not console.is_terminal:
        yield _say_tenths
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say_tenths(done: int, total: int) -> None:
    if done * _LINES // total > (done - 1) * _LINES // total:
        console.print(f"reading patches {done}/{total}", markup=False, highlight=False, soft_wrap=True)


def _say_plan(plan: "InspectionPlan") -> None:
    manifest = plan.dataset.manifest
    verb = "replace" if plan.page.exists() else "write"
    say(
        f"would read {len(plan.dataset)} patches of {manifest.patch_size} pixels and {len(manifest.bands)} bands in "
        f"{plan.dataset.directory}, and {verb} {plan.page} with up to {plan.samples} pictures."
    )


def _say_facts(facts: "DatasetFacts") -> None:
    from darts.dataset.inspection import spoils_training, training_hints
    from darts.dataset.inspection.page import share_text, years_text

    total = facts.total
    say(
        f"{facts.name}: {total.patches} patches, {total.with_positives} with positives, of {len(facts.groups['scene'])} "
        f"scenes in {len(facts.groups['region'])} regions, years {years_text(facts)}; {share_text(total.positive_share)} of "
        f"the pixels that are not ignored are positive, {share_text(total.ignored_share)} of all are ignored."
    )
    for name in ("role", "region", "year"):
        if name in facts.groups:
            _say_groups(name, facts.groups[name])
    _say_bands(facts)
    _say_suspicious(facts)
    for reason, count in facts.dropped.items():
        say(f"dropped {count} patches: {reason}.")
    for scene, reason in facts.failed.items():
        say(f"scene {scene} failed: {reason}")
    for line in (*spoils_training(facts), *training_hints(facts)):
        say(f"warning: {line}")


def _say_groups(name: str, groups: "Sequence[GroupFacts]") -> None:
    from darts.dataset.inspection.page import share_text

    largest = sorted(groups, key=lambda group: -group.patches)[:_MOST_ROWS]
    rows = [
        (one.name, one.patches, one.with_positives, share_text(one.positive_share), share_text(one.ignored_share))
        for one in largest
    ]
    title = f"{name}s" if len(largest) == len(groups) else f"the {len(largest)} largest of {len(groups)} {name}s"
    say_table(title, (name, "patches", "with positives", "positive", "ignored"), rows)


def _say_bands(facts: "DatasetFacts") -> None:
    from darts.core.html import number_text
    from darts.dataset.inspection.page import share_text

    rows = [
        (
            one.band.name,
            *(number_text(value, 4) for value in (one.low, one.mean, one.high)),
            *(share_text(share) for share in (one.at_lo, one.at_hi, one.at_fill)),
        )
        for one in facts.bands
    ]
    say_table("bands", ("band", "min", "mean", "max", "at lo", "at hi", "at fill"), rows)


def _say_suspicious(facts: "DatasetFacts") -> None:
    from collections import Counter

    counts = Counter(finding.rule for finding in facts.findings)
    if counts:
        rows = [(rule, count, facts.found_by(rule)[0].row) for rule, count in counts.items()]
        say_table("suspicious patches", ("rule", "patches", "worst row"), rows)
    else:
        say("no rule finds a patch suspicious.")
