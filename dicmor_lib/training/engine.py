"""Device, precision and processes of one training run, on Lightning Fabric.

Fabric finds the devices, starts or joins the processes (its own launcher, torchrun, SLURM) and gives the
autocast context. The model is not wrapped in DistributedDataParallel: that averages over processes, which is
wrong when they count different numbers of samples. Here sums and counts are added over the processes before
the division, and gradients are added once per optimiser step.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dicmor_lib.errors import DeviceError, DicmorError
from dicmor_lib.objective import Term
from dicmor_lib.training.allocator import keep_freed_memory
from dicmor_lib.training.config import TrainConfig


@dataclass(frozen=True)
class Engine:
    """One process's view of the run; `launch` makes it.

    Attributes:
        device: where this process computes.
        rank: number of this process, 0 for the one that writes files and prints.
        world: number of processes.
        compile: whether `compile_blocks` does anything.
        hooks: what `plain_blocks` has to remove.
    """

    fabric: Any
    device: torch.device
    rank: int
    world: int
    compile: bool = False
    hooks: list[Any] = field(default_factory=list)

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

    def compile_blocks(self, model: nn.Module, backend: str = "inductor") -> None:
        """Let torch.compile run the model's blocks, in place, if the configuration asks for it.

        Block by block, because checking the inputs and planning which rows are missing is Python that looks at masks
        on the CPU. On CUDA the blocks are captured as CUDA graphs, which launch as one. Weights, their names and
        results (to rounding) stay the same; `plain_blocks` undoes it.

        Raises:
            DeviceError: if there is no C++ compiler for a CPU.
        """
        if not self.compile:
            return
        if self.device.type == "cpu" and backend == "inductor":
            _check_compiler()
        cuda = self.device.type == "cuda"
        for name, block in model.named_children():
            if name != "shallow":  # three convolutions, nothing to fuse
                block.compile(mode="reduce-overhead" if cuda else None, backend=backend)
        if (
            cuda
        ):  # a pass begins with the shallow features: those before may be overwritten in the graphs' memory
            mark = torch.compiler.cudagraph_mark_step_begin
            self.hooks.append(model.get_submodule("shallow").register_forward_pre_hook(lambda *_: mark()))

    def plain_blocks(self, model: nn.Module) -> None:
        """Undo `compile_blocks`."""
        for block in model.children():
            block._compiled_call_impl = None  # what nn.Module.compile sets; there is no public way back
        while self.hooks:
            self.hooks.pop().remove()

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
        parts = [x.detach().float() for t in terms.values() for x in (t.total, t.count)]
        sums = self.add_up(torch.cat([x.flatten() for x in parts]))  # one message for all terms
        added = [s.view_as(x) for s, x in zip(sums.split([x.numel() for x in parts]), parts)]
        return {
            name: dataclasses.replace(term, total=term.total + (total - term.total).detach(), count=count)
            for (name, term), total, count in zip(terms.items(), added[::2], added[1::2])
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
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]  # all of them
        flat = self.add_up(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
            gradient.copy_(part.view_as(gradient))

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
    keep_freed_memory()
    with _hidden("torchmetrics"):  # Fabric loads it, with scipy and transformers, only to read its version
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
    return Engine(fabric, fabric.device, fabric.global_rank, fabric.world_size, config.compile)


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let `import package` fail for now, unless it is loaded already; it saves seconds and 130 MB at every start."""
    loaded = package in sys.modules
    if not loaded:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del sys.modules[package]


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise DeviceError(
            "compile needs a C++ compiler on a CPU and none was found; install g++ or clang++, or leave compile out"
        ) from None


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
