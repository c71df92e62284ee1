"""A conditional auto-encoder: the learned recovery that knows of no distributions, trained like ours."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.baselines import Imputer, target_source_pairs, training_steps
from dicmor_lib.modalities import PATTERNS, pattern_mask

HELD_OUT = 0.1
LEARNING_RATE, WEIGHT_DECAY, BATCH = 1e-3, 1e-2, 32
_MASKS = np.array([pattern_mask(pattern) for pattern in PATTERNS])  # (7, 3)


class TemporalConv(nn.Linear):
    """A convolution over three steps, (B, T, c) to (B, T, c): one product of each step with its neighbours."""

    def __init__(self, channels: int) -> None:
        super().__init__(3 * channels, channels)

    def forward(self, h: Tensor) -> Tensor:
        around = F.pad(h, (0, 0, 1, 1))
        return super().forward(torch.cat([around[:, :-2], h, around[:, 2:]], dim=2))


class ConditionalAutoEncoder(nn.Module):
    """Available modalities and which they are, (B, T, 3 d) and (B, T, 3), to all three, (B, T, 3 d).

    Two residual temporal convolutions, a bottleneck of 2 d channels at each step, two convolutions back. What
    no source covers is zero before each convolution, as if the sequence ended there.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(3 * channels + 3, width)
        self.encoder = nn.ModuleList(TemporalConv(width) for _ in range(2))
        self.code = nn.Linear(width, 2 * channels)
        self.open = nn.Linear(2 * channels, width)
        self.decoder = nn.ModuleList(TemporalConv(width) for _ in range(2))
        self.down = nn.Linear(width, 3 * channels)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        running = seen.any(dim=2, keepdim=True).to(x.dtype)  # (B, T, 1)
        h = self.up(torch.cat([x, seen.to(x.dtype)], dim=2))  # (B, T, width)
        for conv in self.encoder:
            h = h + conv(F.relu(h) * running)
        h = self.open(self.code(F.relu(h)))
        for conv in self.decoder:
            h = h + conv(F.relu(h) * running)
        return self.down(F.relu(h))


class AutoEncoder(Imputer):
    """One network fills in every missing modality from every set of sources, with context in time.

    It is trained as stage 2 trains the recovery: each training clip gets one of the seven patterns at random,
    and the loss is the squared error of what is missing, in training standard deviations. AdamW, learning rate
    1e-3, batches of 32 clips. A tenth of the training clips is held out; their error over all patterns is
    measured after each epoch, the best epoch's weights are kept, and training ends after `patience` epochs
    without a better one, after `epochs`, or with the epoch that reaches `updates` (large data).

    If training data never have the sources and the target together, the training mean is the estimate. The
    seed decides everything that is drawn; PyTorch's own random state is left as it was.
    """

    name = "auto-encoder"

    def __init__(
        self, width: int = 64, epochs: int = 40, patience: int = 8, updates: int = 1500, seed: int = 0
    ) -> None:
        if min(width, epochs, patience, updates) < 1:
            raise ConfigError(
                f"width, epochs, patience and updates are {width}, {epochs}, {patience} and {updates}; "
                "each must be at least 1"
            )
        self.width, self.epochs, self.patience, self.updates = width, epochs, patience, updates
        self.seed = seed
        self.held_out_errors: list[float] = []

    def _learn(self, shallow: np.ndarray, inside: np.ndarray) -> None:
        self._known = {pair for pair in target_source_pairs() if training_steps(inside, *pair).any()}
        mean, sd = (a[:, None, None].astype(np.float32) for a in (self.frame.mean, self.frame.sd))
        x = np.where(inside[..., None], (shallow.astype(np.float32) - mean) / sd, np.float32(0))
        x, inside = x.transpose(1, 2, 0, 3), inside.transpose(1, 2, 0)  # (N, T, 3, d), (N, T, 3)
        with _own_randomness(self.seed):
            self.network = ConditionalAutoEncoder(self.channels, self.width)
            if self._known:
                self._train(torch.from_numpy(x), torch.from_numpy(np.ascontiguousarray(inside)))

    def _train(self, x: Tensor, inside: Tensor) -> None:
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(x))
        split = max(1, round(HELD_OUT * len(x)))
        held, clips = order[:split], order[split:] if len(x) > 1 else order
        lengths = _lengths(inside)
        steps_an_epoch = math.ceil(len(clips) / BATCH)
        epochs = min(self.epochs, math.ceil(self.updates / steps_an_epoch))
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        best: dict[str, Tensor] = {}
        self.held_out_errors = []
        for _ in range(epochs):
            self.network.train()
            for rows in _batches(rng, clips, lengths, steps_an_epoch):
                available = torch.from_numpy(_MASKS[rng.integers(len(_MASKS), size=len(rows))])
                total, count = self._error(*_cropped(x, inside, rows), available)
                optimiser.zero_grad()
                (total / max(count, 1)).backward()
                optimiser.step()
            self.held_out_errors.append(self._held_out_error(x, inside, held))
            if self.held_out_errors[-1] == min(self.held_out_errors):
                best = copy.deepcopy(self.network.state_dict())
            elif len(self.held_out_errors) - np.argmin(self.held_out_errors) > self.patience:
                break
        self.network.load_state_dict(best)

    def _held_out_error(self, x: Tensor, inside: Tensor, held: np.ndarray) -> float:
        """The mean squared error over all patterns on the held-out clips; infinity if none can be compared."""
        self.network.eval()
        error, compared = 0.0, 0
        with torch.no_grad():
            for rows in np.array_split(
                held[np.argsort(_lengths(inside)[held], kind="stable")], math.ceil(len(held) / BATCH)
            ):
                clips = _cropped(x, inside, rows)
                for mask in torch.from_numpy(_MASKS[:-1]):  # with everything available nothing is recovered
                    total, count = self._error(*clips, mask.expand(len(rows), 3))
                    error, compared = error + float(total), compared + count
        return error / compared if compared else math.inf

    def _error(self, x: Tensor, inside: Tensor, available: Tensor) -> tuple[Tensor, int]:
        """Sum of squared errors of the missing modalities, and the number of squares.

        x (B, T, 3, d) with inside (B, T, 3); available (B, 3). As for every imputer, only steps count that
        exist in the data and that a source covers.
        """
        seen = inside & available[:, None]  # (B, T, 3)
        wanted = inside & ~available[:, None] & seen.any(dim=2, keepdim=True)
        guess = self.network((x * seen[..., None]).flatten(2), seen).view_as(x)
        squared = (guess - x).square() * wanted[..., None]
        return squared.sum(), int(wanted.sum()) * x.shape[3]

    def _estimate(
        self, target: int, sources: tuple[int, ...], features: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        if (target, sources) not in self._known:
            return self.frame.mean[target]
        s, n, steps, d = features.shape
        x = np.zeros((n, steps, 3, d), dtype=np.float32)
        x[:, :, list(sources)] = self._standardised(sources, features, seen).reshape(n, steps, s, d)
        covered = np.zeros((n, steps, 3), dtype=bool)
        covered[:, :, list(sources)] = seen.transpose(1, 2, 0)
        self.network.eval()
        with torch.no_grad():
            parts = [
                self.network(
                    torch.from_numpy(x[i : i + 256]).flatten(2), torch.from_numpy(covered[i : i + 256])
                )
                for i in range(0, n, 256)
            ]
        guess = torch.cat(parts)[:, :, target * d : (target + 1) * d].double().numpy()  # (n, T, d)
        return self.frame.mean[target] + self.frame.sd[target] * guess


def _lengths(inside: Tensor) -> np.ndarray:
    """The steps up to the last one of any modality, inside (N, T, 3) -> (N,)."""
    return ((torch.arange(inside.shape[1]) + 1) * inside.any(dim=2)).amax(dim=1).numpy()


def _batches(
    rng: np.random.Generator, clips: np.ndarray, lengths: np.ndarray, count: int
) -> list[np.ndarray]:
    """Cut shuffled clips into batches of similar length: sorted within groups of 16 batches, then shuffled."""
    groups = np.array_split(rng.permutation(clips), math.ceil(count / 16))
    ordered = np.concatenate([group[np.argsort(lengths[group], kind="stable")] for group in groups])
    found = np.array_split(ordered, count)
    return [found[i] for i in rng.permutation(count)]


def _cropped(x: Tensor, inside: Tensor, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """These clips without the padding that all of them have."""
    chosen = inside[rows]
    steps = max(int(_lengths(chosen).max()), 1)
    return x[rows, :steps], chosen[:, :steps]


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Training allowed, with PyTorch's CPU generator seeded, and put back afterwards."""
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
