"""What became of scenes and labels, for `report.csv`: made of the plan, the journal, and an earlier report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from darts.dataset.journal import SceneEntry
from darts.preprocess.findings import Finding, Kind
from darts.preprocess.plan import Plan
from darts.preprocess.staging import IN_NO_PATCH, WITHOUT_PIXEL

_LOST_ON_THE_WAY = (
    (Kind.LABELS_WITHOUT_PIXEL, WITHOUT_PIXEL, "too small or too thin to hold a pixel"),
    (Kind.LABELS_IN_NO_PATCH, IN_NO_PATCH, "all of their pixels are ignored, or in patches that were dropped"),
)


def make_report(plan: Plan, entries: Sequence[SceneEntry], earlier: Sequence[Finding] | None) -> list[Finding]:
    """The findings on a dataset, sorted, each once.

    Parameters
    ----------
    plan
        What was planned by this start.
    entries
        All scenes of the dataset.
    earlier
        The report of the dataset that was added to; None when the plan is of all its scenes.
    """
    now = [*plan.findings, *_of_scenes(plan, entries)]
    if earlier is None:
        return sorted(set(now))
    planned = {scene.scene_id for scene in plan.scenes} | {scene.scene_id for scene in plan.unusable}
    others = [one for one in earlier if one.kind != Kind.LABEL_WITHOUT_IMAGE and one.name not in planned]
    kept = [one for one in now if one.kind != Kind.LABEL_WITHOUT_IMAGE]
    return sorted({*others, *kept, *_lost_to_all(plan, entries, earlier, now)})


def _of_scenes(plan: Plan, entries: Sequence[SceneEntry]) -> Iterator[Finding]:
    labels = {scene.scene_id: len(scene.labels) for scene in plan.scenes}
    for entry in entries:
        if entry.failed:
            count = labels.get(entry.scene_id, 0)
            unused = f" Its {count} labels are not used." if count else ""
            yield Finding(Kind.FAILED_SCENE, entry.scene_id, "", "", entry.failed + unused)
        for kind, fact, reason in _LOST_ON_THE_WAY:
            if count := entry.facts.get(fact, 0):
                yield Finding(kind, entry.scene_id, "", "", f"{count}: {reason}")


def _lost_to_all(
    plan: Plan, entries: Sequence[SceneEntry], earlier: Sequence[Finding], now: Sequence[Finding]
) -> Iterator[Finding]:
    """The labels that reached a scene neither of the dataset as it was nor of those that are planned."""
    lost = [
        {(one.file, one.feature): one for one in found if one.kind == Kind.LABEL_WITHOUT_IMAGE}
        for found in (earlier, now)
    ]
    planned = {scene.scene_id for scene in plan.scenes}
    before = [entry.inputs for entry in entries if entry.scene_id not in planned]
    files = [_label_files(before), _label_files([scene.inputs for scene in plan.scenes])]
    for label, finding in (lost[0] | lost[1]).items():
        if all(label in those or finding.file not in known for those, known in zip(lost, files, strict=True)):
            yield finding


def _label_files(inputs: Iterable[Mapping[str, object]]) -> set[str]:
    """The label files among the inputs of scenes, as findings name them."""
    prefix = "labels: "
    return {name.removeprefix(prefix) for one in inputs for name in one if name.startswith(prefix)}
