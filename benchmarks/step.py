"""What a training step costs beside its model, and with it: loss, metrics, curves, and numbers of 16 bits.

    uv run python benchmarks/step.py [--rounds 15]

It prints a table of goals, with what the reference and we take, their ratio, and whether the goal is met. Times are CPU
time with one thread, medians of rounds in which all cases take their turn, so that other work on the machine does little
harm. The batch has 4 patches of 256 x 256 pixels.
"""

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from measuring import MET, NOT_MET, ONE_THREAD, Row, interleaved, print_table, share, times_cheaper

PATCHES, SIZE, BANDS = 4, 256, 10
BATCHES = 8
ACCURACY = 1e-3


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=15, help="of losses and metrics; epochs and whole steps take a third of it"
    )
    given = parser.parse_args()
    os.environ.update(ONE_THREAD, OMP_WAIT_POLICY="PASSIVE")  # before any library counts the cores
    import torch

    torch.set_num_threads(1)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchmetrics", "segmentation-models-pytorch"))
    print(f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    fewer = max(3, given.rounds // 3)
    print_table(chain(loss_and_metrics(given.rounds), curve_costs(fewer), curve_errors(), model_step(fewer)))


def batch(kind: str = "even", seed: int = 0) -> tuple:
    """Logits float32 (n, h, w) and label codes: 5 % positive, 8 % ignored, and how sure the model is of them."""
    import torch

    drawn = torch.Generator().manual_seed(seed)
    shape = (PATCHES, SIZE, SIZE)
    y = (torch.rand(shape, generator=drawn) < 0.05).to(torch.uint8)
    (background, spread), (positive, other) = {
        "even": ((-1.0, 2.0), (1.0, 2.0)),
        "of rare positives": ((-9.0, 2.0), (-6.0, 2.0)),
        "sure": ((-20.0, 6.0), (8.0, 12.0)),
    }[kind]
    noise = torch.randn(shape, generator=drawn)
    logits = torch.where(y == 1, positive + other * noise, background + spread * noise)
    y[:, : SIZE * 8 // 100] = 2
    return logits, y


def loss_and_metrics(rounds: int) -> Iterator[Row]:
    """D1: focal loss forward and backward, and what a step adds to the metrics of its epoch."""
    import torch
    from segmentation_models_pytorch.losses import FocalLoss

    from darts.training.config import LossConfig
    from darts.training.losses import make_loss
    from darts.training.metrics import PixelStatistics

    logits, y = batch()
    logits.requires_grad_()
    row = torch.arange(PATCHES)
    plain_metrics, plain_loss, unmasked = eight_metrics(), FocalLoss("binary", ignore_index=2), FocalLoss("binary")
    statistics, mean = PixelStatistics(1000), torch.tensor(1.0)
    focal = make_loss(LossConfig(loss="focal"), None)
    others = {name: make_loss(LossConfig(loss=name), None) for name in ("bce + dice", "focal-tversky", "lovasz")}

    def trained(loss: Callable[..., torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        logits.grad = None
        value = loss(logits, labels)
        value.backward()
        return value.detach()

    cases: dict[str, Callable[[], object]] = {
        "plain loss": lambda: trained(plain_loss, y),
        "plain loss, nothing ignored": lambda: trained(unmasked, y.clamp(max=1)),
        "plain metrics": lambda: plain_metrics(logits.detach(), y),
        "loss": lambda: trained(focal, y),
        "metrics": lambda: statistics.update(logits, y, mean, row, with_curves=False),
        **{name: (lambda loss=loss: trained(loss, y)) for name, loss in others.items()},
    }
    cpu = {name: 1000 * seconds for name, seconds in interleaved(cases, rounds).items()}
    plain, ours = cpu["plain loss"] + cpu["plain metrics"], cpu["loss"] + cpu["metrics"]
    yield share("D1 metrics and loss of a training step: at most 0.25", plain, ours, "ms", (0, 0.25))
    yield share("D1 the metrics alone", cpu["plain metrics"], cpu["metrics"], "ms", None)
    yield share("D1 the focal loss alone, forward and backward", cpu["plain loss"], cpu["loss"], "ms", None)
    goal = "D1 the same beside one that ignores nothing"
    yield share(goal, cpu["plain loss, nothing ignored"], cpu["loss"], "ms", None)
    for name in others:
        yield share(f"D1 {name} beside the focal loss of smp", cpu["plain loss"], cpu[name], "ms", None)


def eight_metrics():
    """What a step of the plain way computes with `forward`."""
    import torchmetrics.classification as tm
    from torchmetrics import MetricCollection

    names = "Accuracy Precision Recall Specificity F1Score JaccardIndex CohenKappa HammingDistance".split()
    return MetricCollection([getattr(tm, f"Binary{name}")(ignore_index=2) for name in names])


def curve_metrics_of_torchmetrics(thresholds: int | None) -> list:
    """AUROC and average precision, exact ones without thresholds."""
    import torchmetrics.classification as tm

    return [kind(thresholds=thresholds, ignore_index=2) for kind in (tm.BinaryAUROC, tm.BinaryAveragePrecision)]


def curve_costs(rounds: int) -> Iterator[Row]:
    """D2: eight batches and the metrics of their curves; with the confusion, which ours counts with them."""
    logits, y = batch()
    binned = curve_metrics_of_torchmetrics(20)
    exact = curve_metrics_of_torchmetrics(None)
    cases: dict[str, Callable[[], object]] = {
        "thresholds=20": lambda: computed(binned, [(logits, y)] * BATCHES),
        "exact": lambda: computed(exact, [(logits, y)] * BATCHES),
        "ours": lambda: counted([(logits, y)] * BATCHES),
    }
    cpu = {name: 1000 * seconds for name, seconds in interleaved(cases, rounds).items()}
    goal = f"D2 AUROC and AP of {BATCHES} batches: at least 30 x cheaper than thresholds=20"
    yield times_cheaper(goal, cpu["thresholds=20"], cpu["ours"], "ms", 30)
    yield times_cheaper("D2 the same beside the exact ones", cpu["exact"], cpu["ours"], "ms", None)


def computed(metrics: list, batches: list) -> list[float]:
    """What torchmetrics gives of some batches."""
    for metric in metrics:
        metric.reset()
        for logits, y in batches:
            metric.update(logits, y.long())
    return [float(metric.compute()) for metric in metrics]


def counted(batches: list) -> tuple[list[float], int]:
    """What we give of some batches, and the bytes that were held for it."""
    import torch

    from darts.training.metrics import PixelStatistics, curve_metrics

    statistics, loss, row = PixelStatistics(PATCHES), torch.tensor(1.0), torch.arange(PATCHES)
    for logits, y in batches:
        statistics.update(logits, y, loss, row, with_curves=True)
    values = curve_metrics(statistics.statistics().histogram)
    return list(values.values()), sum(state.nbytes for state in statistics.metric_state.values())


def curve_errors() -> Iterator[Row]:
    """D2: how far from the exact curves, of models that are more or less sure, and the memory that both hold."""
    for kind in ("even", "of rare positives", "sure"):
        batches = [batch(kind, seed) for seed in range(BATCHES)]
        exact = curve_metrics_of_torchmetrics(None)
        theirs, (ours, held) = computed(exact, batches), counted(batches)
        for name, reference, value in zip(("AUROC", "AP"), theirs, ours, strict=True):
            error = abs(value - reference)
            verdict = MET if error <= ACCURACY else NOT_MET
            goal = f"D2 {name}, probabilities {kind}: within {ACCURACY} of the exact one"
            yield Row(goal, f"{reference:.5f}", f"{value:.5f}", f"{error:.0e} apart", verdict)
    kept = sum(part.nbytes for metric in exact for state in metric.metric_state.values() for part in state)
    constant = held == counted(batches[:1])[1]
    goal = f"D2 memory of the states after {BATCHES} batches: that after one"
    yield Row(
        goal, f"{kept / 1e6:.4g} MB", f"{held / 1e6:.4g} MB", f"{kept / held:.0f} x less", MET if constant else NOT_MET
    )


def model_step(rounds: int) -> Iterator[Row]:
    """D3: whole steps of a Unet with resnet18, in float32 and plain layout, and as --precision bf16-mixed trains."""
    cases = {
        "float32, channels first": step_of(channels_last=False, halved=False),
        "float32": step_of(channels_last=True, halved=False),
        "bf16": step_of(channels_last=True, halved=True),
    }
    cpu = interleaved(cases, rounds)
    reference = cpu["float32, channels first"]
    goal = f"D3 step of Unet-resnet18, {BANDS} bands, channels last and bf16: at most 0.6 of float32"
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    has_bf16 = "avx512_bf16" in flags or "amx_bf16" in flags
    yield share(goal, 1000 * reference, 1000 * cpu["bf16"], "ms", (0, 0.6) if has_bf16 else None)
    yield share("D3 channels last in float32", 1000 * reference, 1000 * cpu["float32"], "ms", None)


def step_of(*, channels_last: bool, halved: bool) -> Callable[[], object]:
    """A step: forward, loss, metrics, backward, AdamW."""
    import torch

    from darts.training.config import LossConfig
    from darts.training.losses import make_loss
    from darts.training.metrics import PixelStatistics
    from darts.training.model import ModelSpec, build_model

    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = build_model(ModelSpec("Unet", "resnet18", BANDS)).to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss, statistics = make_loss(LossConfig(loss="focal"), None), PixelStatistics(PATCHES)
    x, (_, y) = torch.rand(PATCHES, BANDS, SIZE, SIZE), batch()

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            logits = model(x.contiguous(memory_format=layout)).squeeze(1)
            value = loss(logits, y)
        statistics.update(logits, y, value, torch.arange(PATCHES), with_curves=False)
        value.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
