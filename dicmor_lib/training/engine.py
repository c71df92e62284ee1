"""Device, precision and processes of one training run, on Lightning Fabric.

Fabric finds the devices, starts or joins the processes (its own launcher, torchrun, SLURM) and gives the
autocast context. The model is not wrapped in DistributedDataParallel: that averages over processes, which is
wrong when they count different numbers of samples. Here sums and counts are added over the processes before
the division, and gradients are added once per optimiser step.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dicmor_lib.errors import DeviceError, DicmorError
from dicmor_lib.objective import Term
from dicmor_lib.training.config import TrainConfig


@dataclass(frozen=True)
class Engine:
    """One process's view of the run; `launch` makes it.

    Attributes:
        device: where this process computes.
        rank: number of this process, 0 for the one that writes files and prints.
        world: number of processes.
    """

    fabric: Any
    device: torch.device
    rank: int
    world: int

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager:
        """The context of a forward pass in the configured precision."""
        return self.fabric.autocast()

    def share(self, index: Any) -> Any:
        """This process's part of the samples of a batch (every world-th one)."""
        return index[self.rank :: self.world]

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, detached; the tensor itself where there is one process."""
        if self.world == 1:
            return tensor.detach()
        return self.fabric.all_reduce(tensor.detach().clone(), reduce_op="sum")

    def add_up_terms(self, terms: dict[str, Term]) -> dict[str, Term]:
        """Return the terms with totals and counts of all processes, in the same order in every one.

        The value is the global one; the gradient is that of this process's part, so that adding the gradients
        of all processes gives the gradient of the global value.
        """
        if self.world == 1:
            return terms
        sums = self.add_up(
            torch.stack([x.detach().float() for t in terms.values() for x in (t.total, t.count)])
        )
        return {
            name: dataclasses.replace(term, total=term.total + (total - term.total).detach(), count=count)
            for (name, term), (total, count) in zip(terms.items(), sums.view(-1, 2).unbind())
        }

    def add_up_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes, in one message."""
        for parameter in parameters:
            if (
                parameter.grad is None
            ):  # nothing in this step reached it; the optimiser must not skip it in one process
                parameter.grad = torch.zeros_like(parameter)
        if self.world == 1:
            return
        flat = self.add_up(torch.cat([parameter.grad.flatten() for parameter in parameters]))
        for parameter, part in zip(parameters, flat.split([parameter.numel() for parameter in parameters])):
            parameter.grad.copy_(part.view_as(parameter))

    def same_everywhere(self, model: nn.Module) -> None:
        """Give every process the weights of process 0."""
        if self.world > 1:
            for tensor in (*model.parameters(), *model.buffers()):
                torch.distributed.broadcast(tensor.data, src=0)

    def on_main(self, action: Callable[[], Any]) -> Any:
        """Run `action` in process 0; its result, or its `DicmorError`, is the same in every process."""
        result, error = None, None
        if self.is_main:
            try:
                result = action()
            except DicmorError as problem:
                error = problem
        if self.world > 1:
            result, error = self.fabric.broadcast((result, error))
        if error is not None:
            raise error
        return result


def launch(config: TrainConfig) -> Engine:
    """Start or join the processes that `config` asks for and return this one's engine.

    Raises:
        DeviceError: if the accelerator, the number of devices or the precision is not to be had here.
    """
    accelerator = resolve_accelerator(config.accelerator, config.devices, config.precision)
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # importing it sets INFO
    strategy = DDPStrategy() if config.processes > 1 else "auto"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice about settings that are ours to choose
            fabric = Fabric(
                accelerator=accelerator,
                devices=config.devices,
                num_nodes=config.nodes,
                precision=config.precision,
                strategy=strategy,
            )
            fabric.launch()
    except (RuntimeError, ValueError, TypeError) as problem:
        raise DeviceError(
            f"cannot start on {accelerator} with {config.devices} device(s): {problem}"
        ) from problem
    if fabric.world_size != config.processes:
        raise DeviceError(
            f"{fabric.world_size} process(es) were started, the configuration asks for {config.processes}: "
            "make --devices and --nodes equal to what torchrun or SLURM starts"
        )
    return Engine(fabric, fabric.device, fabric.global_rank, fabric.world_size)


def resolve_accelerator(name: str, devices: int = 1, precision: str = "32-true") -> str:
    """Turn "auto" into "cuda" if there is a CUDA device, else "cpu", and check that the devices exist.

    Raises:
        DeviceError: if they do not, or cannot compute in this precision.
    """
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and cuda < devices:
        raise DeviceError(
            f"{devices} CUDA device(s) are asked for and {cuda} found; choose fewer, or accelerator 'cpu'"
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("this machine has no MPS device; choose accelerator 'cpu'")
    if precision == "bf16-mixed" and name == "cuda" and not torch.cuda.is_bf16_supported():
        raise DeviceError("this CUDA device does not support bf16; choose precision '32-true'")
    return name
