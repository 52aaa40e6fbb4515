"""Where a run computes, and how many processes share it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from darts.core.errors import ConfigError, RunError
from darts.training.config import Hyperparameters, TrainerConfig

Accelerator = Literal["cpu", "cuda"]
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


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
    missing = [index for index in indices if int(index) >= torch.cuda.device_count()]
    if missing:
        there = ", ".join(f"{i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))
        raise RunError(
            f"--device: there is no CUDA device {', '.join(missing)} here (there {f'are {there}' if there else 'is none'}); "
            "use --device cpu or another index."
        )
    return "cuda", [int(index) for index in indices]


def one_device(names: Sequence[str]) -> tuple[Accelerator, list[int] | int]:
    """As `resolve_devices`, where one device does the work: a test, or a run of a cross-validation.

    Raises
    ------
    RunError
        When several are given.
    """
    accelerator, devices = resolve_devices(names)
    if isinstance(devices, list) and len(devices) > 1:
        raise RunError(
            f"--device: only train-smp shares a run between devices, but got {', '.join(map(str, devices))}; choose one."
        )
    return accelerator, devices


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one run computes.

    Attributes
    ----------
    accelerator, devices, strategy, num_nodes
        As Lightning takes them.
    processes
        Of all computers together.
    """

    accelerator: Accelerator
    devices: list[int] | int
    strategy: str
    num_nodes: int
    processes: int

    @property
    def is_main_process(self) -> bool:
        """Whether this process plans, writes and reports; others of the same run only compute."""
        return self.processes == 1 or all(os.environ.get(name, "0") == "0" for name in _RANKS)

    def with_idle_parameters(self) -> "Placement":
        """The same, for a model of which some parameters get no gradient: ddp is told to look for them."""
        is_ddp = self.strategy.startswith("ddp")
        return replace(self, strategy=f"{self.strategy}_find_unused_parameters_true") if is_ddp else self

    @property
    def trainer_settings(self) -> dict[str, Any]:
        """Arguments of Lightning's Trainer."""
        return {
            "accelerator": self.accelerator,
            "devices": self.devices,
            "strategy": self.strategy,
            "num_nodes": self.num_nodes,
        }


def place_run(trainer: TrainerConfig, hyperparameters: Hyperparameters) -> Placement:
    """Choose devices and strategy.

    Raises
    ------
    ConfigError, RunError
        When devices, strategy or precision don't fit together, or aren't there.
    """
    accelerator, devices = resolve_devices(trainer.device)
    if trainer.num_processes > 1:
        if accelerator != "cpu":
            raise ConfigError(
                "--num-processes shares work on the CPU; name GPUs with --device 0,1, or give --device cpu."
            )
        devices = trainer.num_processes
    local = devices if isinstance(devices, int) else len(devices)
    if trainer.strategy == "fsdp" and accelerator != "cuda":
        raise RunError("--strategy fsdp needs GPUs, and there is none here; use ddp, or leave it out.")
    if trainer.strategy == "fsdp" and hyperparameters.gradient_clip is not None:
        raise ConfigError(
            "--gradient-clip needs all weights in one place, which fsdp divides; use ddp, or leave it out."
        )
    if trainer.precision == "16-mixed" and accelerator != "cuda":
        raise RunError("--precision 16-mixed needs a GPU, and this run is on the CPU; use bf16-mixed or 32.")
    processes = local * trainer.num_nodes
    strategy = "ddp" if trainer.strategy == "auto" and processes > 1 else trainer.strategy
    return Placement(accelerator, devices, strategy, trainer.num_nodes, processes)
