"""What every check asks first: something came back, of the right kind and shape, finite, and the inputs were left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

Answer = Callable[..., Any]
Mistakes = Mapping[str, Any] | Iterable[tuple[Any, str]]


def expect_tensor(value: Any, what: str) -> Tensor:
    """Assert that a finite tensor came back, and return it."""
    assert value is not None, f"{what} is None; did you forget `return`?"
    assert isinstance(value, Tensor), f"{what} is a {type(value).__name__}, not a tensor"
    assert torch.isfinite(value).all(), f"{what} holds NaN or infinite values; is something divided by zero?"
    return value


def expect_shape(value: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """Assert that a finite tensor of that shape came back, and return it."""
    value = expect_tensor(value, what)
    assert tuple(value.shape) == tuple(shape), (
        f"{what} has shape {tuple(value.shape)}, expected {tuple(shape)}"
    )
    return value


def expect_number(value: Any, what: str) -> float:
    """Assert that one finite number came back, and return it as a float."""
    assert value is not None, f"{what} is None; did you forget `return`?"
    if isinstance(value, (Tensor, np.ndarray)):
        assert value.size == 1 if isinstance(value, np.ndarray) else value.numel() == 1, (
            f"{what} has shape {tuple(value.shape)}, expected a single number"
        )
        value = value.item()
    assert isinstance(value, (int, float, np.number)) and not isinstance(value, bool), (
        f"{what} is a {type(value).__name__}, not a number"
    )
    assert np.isfinite(value), f"{what} is {value}"
    return float(value)


def close(value: Any, true: Any, atol: float = 1e-6, rtol: float = 1e-6) -> bool:
    """Whether two tensors, arrays or numbers agree; to recognise a mistake by its result."""
    a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (value, true))
    return a.shape == b.shape and bool(torch.allclose(a, b, atol=atol, rtol=rtol))


def expect_close(value: Any, true: Any, message: str, atol: float = 1e-6, rtol: float = 1e-6) -> None:
    """Assert that an answer agrees with the true value; the message names the likely mistake."""
    if not close(value, true, atol, rtol):
        a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (value, true))
        gap = (
            f"largest difference {float((a - b).abs().max()):.2g}"
            if a.shape == b.shape
            else (f"shape {tuple(a.shape)} instead of {tuple(b.shape)}")
        )
        raise AssertionError(f"{message} ({gap})")


def expect_no_mistake(
    value: Any, mistakes: Mistakes, true: Any = None, atol: float = 1e-6, rtol: float = 1e-6
) -> None:
    """Assert that an answer is not what a known mistake gives; the message names the mistake.

    Args:
        mistakes: pairs of what a mistake gives and its message, or message -> what it gives.
        true: the right value, with which a mistake may agree by chance: then it is no sign of one.
    """
    pairs = ((wrong, m) for m, wrong in mistakes.items()) if isinstance(mistakes, Mapping) else mistakes
    for wrong, message in pairs:
        by_chance = true is not None and close(wrong, true, atol, rtol)
        assert by_chance or not close(value, wrong, atol, rtol), message


@contextmanager
def left_alone(*tensors: Tensor) -> Iterator[None]:
    """Assert that the code inside does not change these tensors in place."""
    before = [x.detach().clone() for x in tensors]
    yield
    for x, kept in zip(tensors, before):
        assert torch.equal(x.detach(), kept), (
            "your code changes one of its arguments in place; work on a copy (x = x.clone()) or make a new tensor"
        )


def generator(seed: int) -> torch.Generator:
    """A seeded generator for a check's random cases."""
    return torch.Generator().manual_seed(seed)


def random_tensors(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Standard normal float64 tensors of these shapes."""
    rng = generator(seed)
    return [torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in shapes]


def step_mask(lengths: Tensor, time: int) -> Tensor:
    """Which of `time` steps are valid: lengths (...) to 0 and 1 in float64, (..., time)."""
    return (torch.arange(time) < lengths[..., None]).double()
