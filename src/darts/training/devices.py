"""Where a run computes."""

from collections.abc import Sequence
from typing import Literal

import torch

from darts.core.errors import ConfigError, RunError

Accelerator = Literal["cpu", "cuda"]


def resolve_devices(names: Sequence[str]) -> tuple[Accelerator, list[int] | int]:
    """Lightning's `accelerator` and `devices` for `auto`, `cpu`, a CUDA index, or several.

    Raises
    ------
    ConfigError
        When it is none of these.
    RunError
        When a CUDA index doesn't exist, listing those that do.
    """
    if tuple(names) == ("cpu",):
        return "cpu", 1
    if tuple(names) == ("auto",):
        return ("cuda", 1) if torch.cuda.is_available() else ("cpu", 1)
    indices = [name.removeprefix("cuda:") for name in names]
    if not all(index.isdecimal() for index in indices) or len(set(indices)) < len(indices) or not indices:
        raise ConfigError(f"--device: give auto, cpu, or one or more CUDA indices, but got {', '.join(names)}.")
    if len(indices) > 1:
        raise RunError(f"--device: a run uses one device so far, but got {', '.join(indices)}; choose one of them.")
    missing = [index for index in indices if int(index) >= torch.cuda.device_count()]
    if missing:
        there = ", ".join(f"{i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))
        raise RunError(
            f"--device: there is no CUDA device {', '.join(missing)} here (there {f'are {there}' if there else 'is none'}); "
            "use --device cpu or another index."
        )
    return "cuda", [int(index) for index in indices]
