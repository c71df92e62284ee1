"""Which modalities each sample may show: seeded masks, so that every method is scored on the same ones.

"Missing rate 0.5" means something different in every paper (`pattern_shares` prints what). All protocols here
are one thing: a law of how many modalities a sample lacks (0, 1 or 2); which ones is drawn uniformly.

| protocol | number missing at rate r |
|---|---|
| "dicmor", "imder" | shares from a published schedule, rates 0.1, 0.2 ... 0.7 only |
| "gcnet" | one modality kept, each of the other two missing with probability min(1, 1.5 r) |
| "independent" | each of the three missing with probability r, given that at least one is left |
| "mplmm" | with probability r one of the six incomplete patterns, each as often |

Masks are drawn per sample; the published code draws one pattern per batch, for which see
`published_batch_masks`.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.modalities import PATTERNS, pattern_mask

PROTOCOLS = ("dicmor", "imder", "gcnet", "independent", "mplmm")
DICMOR_SCHEDULE = {
    0.0: (0.0, 0.0), 0.1: (0.1, 0.1), 0.2: (0.2, 0.2), 0.3: (0.3, 0.3), 0.4: (0.5, 0.2),
    0.5: (0.7, 0.1), 0.6: (0.9, 0.0), 0.7: (1.0, 0.0),
}  # fmt: skip
"""Rate: (share of samples with two modalities missing, share with one missing). Rate 0: complete."""


def missing_count_shares(protocol: str, rate: float) -> tuple[float, float, float]:
    """Shares of samples with (none, one, two) modalities missing; they sum to 1.

    Raises:
        ConfigError: unknown protocol, rate outside [0, 1], or a rate that the schedule does not define.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"the missing rate is {rate}; it must be in [0, 1]")
    if protocol in ("dicmor", "imder"):
        two, one = _schedule(protocol, rate)
        return round(1 - one - two, 9), one, two
    if protocol == "gcnet":
        p = min(1.0, 1.5 * rate)
        return (1 - p) ** 2, 2 * p * (1 - p), p**2
    if protocol == "independent":
        # P(k missing) / P(at most 2 missing), both divided by 1 - r, so that r = 1 is no special case
        weights = ((1 - rate) ** 2, 3 * rate * (1 - rate), 3 * rate**2)
        return tuple(w / sum(weights) for w in weights)  # type: ignore[return-value]
    if protocol == "mplmm":
        return 1 - rate, rate / 2, rate / 2  # of six patterns three lack one modality and three lack two
    raise ConfigError(f"there is no missingness protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")


def _schedule(protocol: str, rate: float) -> tuple[float, float]:
    for known, shares in DICMOR_SCHEDULE.items():
        if abs(known - rate) < 1e-9:
            return shares
    raise ConfigError(
        f"the {protocol} protocol is a published table for the rates 0.1, 0.2 ... 0.7 (and 0: nothing "
        f"missing), not for {rate}; choose one of these rates or another protocol"
    )


def pattern_shares(protocol: str, rate: float) -> dict[str, float]:
    """The exact share of each of the seven patterns of *available* modalities, in the order of `PATTERNS`.

    >>> {p: round(s, 3) for p, s in pattern_shares("mplmm", 0.6).items()}
    {'l': 0.1, 'a': 0.1, 'v': 0.1, 'la': 0.1, 'lv': 0.1, 'av': 0.1, 'lav': 0.4}
    """
    shares = missing_count_shares(protocol, rate)
    return {pattern: shares[3 - len(pattern)] / (1, 3, 3)[3 - len(pattern)] for pattern in PATTERNS}


def missing_masks(protocol: str, rate: float, n: int, seed: int) -> np.ndarray:
    """Available masks (n, 3) bool, True where a modality may be seen; columns language, audio, vision.

    How many samples lack none, one or two modalities is exact (largest remainder), so that draws differ only
    in who lacks what; order and choice of modalities are uniform and depend on `seed` alone.

    Raises:
        ConfigError: see `missing_count_shares`; or n < 1.
    """
    shares = missing_count_shares(protocol, rate)
    rng = _generator(n, seed)
    missing = rng.permutation(np.repeat([0, 1, 2], _largest_remainder(np.array(shares), n)))
    order = rng.random((n, 3)).argsort(1).argsort(1)  # a uniform ranking of the modalities per sample
    return order >= missing[:, None]


def fixed_masks(pattern: str, n: int) -> np.ndarray:
    """Available masks (n, 3) bool that give every sample the same pattern ("l", "av" ...)."""
    _generator(n, 0)
    return np.tile(np.array(pattern_mask(pattern)), (n, 1))


def _generator(n: int, seed: int) -> np.random.Generator:
    if n < 1:
        raise ConfigError(f"masks were asked for {n} samples; give at least 1")
    if seed < 0:
        raise ConfigError(f"the mask seed is {seed}; it must be a whole number of at least 0")
    return np.random.default_rng(seed)


def _largest_remainder(shares: np.ndarray, n: int) -> np.ndarray:
    """Whole counts that sum to n and differ from n * shares by less than 1."""
    exact = np.round(n * shares, 9)
    counts = np.floor(exact).astype(int)
    order = np.argsort(counts - exact, kind="stable")  # largest remainder first
    counts[order[: n - counts.sum()]] += 1
    return counts


def frame_masks(rate: float, n: int, time: int, lengths: np.ndarray, seed: int) -> np.ndarray:
    """Frame-level dropping (LNLN, TFR-Net): which steps may be seen, (n, time, 3) bool.

    In every modality of every sample, `rate` times its length steps are dropped at random, rounded up or down
    so that the expected share is exact. Steps beyond the length are False. `lengths` is (n,) or (n, 3).

    Raises:
        ConfigError, ShapeError: rate outside [0, 1], n < 1, or lengths that do not fit.
    """
    rng = _generator(n, seed)
    if not 0 <= rate <= 1:
        raise ConfigError(f"the share of frames to drop is {rate}; it must be in [0, 1]")
    lengths = np.asarray(lengths)
    lengths = np.repeat(lengths[:, None], 3, axis=1) if lengths.ndim == 1 else lengths
    if lengths.shape != (n, 3) or lengths.min() < 0 or lengths.max() > time:
        raise ShapeError(f"lengths must be ({n},) or ({n}, 3) whole numbers from 0 to time = {time}")
    dropped = np.floor(np.round(rate * lengths, 9) + rng.random((n, 3)))
    valid = np.arange(time)[:, None] < lengths[:, None]  # (n, time, 3)
    rank = np.where(valid, rng.random((n, time, 3)), 2.0).argsort(1).argsort(1)  # uniform among valid steps
    return valid & (rank >= dropped[:, None])


def published_batch_masks(rate: float, n: int, batch_size: int, seed: int) -> np.ndarray:
    """Available masks (n, 3) bool as the published loops draw them: one pattern per batch.

    Batches are filled in order: with two missing until their quota is used up, then with one, then with none;
    a quota is its share of the number of batches *rounded to ten*. So up to five batches get nothing missing
    at all, and rate 0 looks up the schedule's last entry, which is rate 0.7 (SCIENCE: both are
    faults, kept here for comparison).
    """
    rng = _generator(n, seed)
    if batch_size < 1:
        raise ConfigError(f"the batch size is {batch_size}; it must be at least 1")
    two, one = _schedule("dicmor", 0.7 if rate == 0 else rate)
    batches = -(-n // batch_size)
    rounded = 10 * round(batches / 10)
    index = np.arange(batches)
    missing = np.where(
        index < round(two * rounded, 9), 2, np.where(index < round((one + two) * rounded, 9), 1, 0)
    )
    order = rng.random((batches, 3)).argsort(1).argsort(1)
    return np.repeat(order >= missing[:, None], batch_size, axis=0)[:n]


def realised_shares(masks: np.ndarray) -> dict[str, float]:
    """The share of each pattern among the masks (n, 3)."""
    masks = np.asarray(masks, bool)
    return {pattern: float((masks == pattern_mask(pattern)).all(1).mean()) for pattern in PATTERNS}


def mask_hash(masks: np.ndarray) -> str:
    """Twelve hexadecimal digits that name a mask array: SHA-256 over its shape and bits."""
    masks = np.ascontiguousarray(masks, dtype=bool)
    content = ",".join(map(str, masks.shape)).encode() + b":" + np.packbits(masks).tobytes()
    return hashlib.sha256(content).hexdigest()[:12]


def save_masks(path: str | Path, masks: np.ndarray, *, protocol: str, rate: float, seed: int) -> str:
    """Write masks with how they were drawn to an .npz file of plain arrays; returns their hash."""
    digest = mask_hash(masks)
    with open(path, "wb") as file:  # an open file keeps NumPy from appending a second suffix
        np.savez_compressed(
            file,
            masks=np.asarray(masks, bool),
            protocol=protocol,
            rate=float(rate),
            seed=int(seed),
            hash=digest,
        )
    return digest


def load_masks(path: str | Path) -> tuple[np.ndarray, dict[str, str | float | int]]:
    """Read what `save_masks` wrote: (masks, {"protocol", "rate", "seed", "hash"}).

    Raises:
        DataError: if the file is missing, is not such a file, or its masks do not match their hash.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            masks = file["masks"]
            about = {name: file[name].item() for name in ("protocol", "rate", "seed", "hash")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not a mask file written by save_masks ({error}); write it again"
        ) from error
    if masks.dtype != bool or mask_hash(masks) != about["hash"]:
        raise DataError(f"the masks in {path} do not match the hash stored beside them; write the file again")
    return masks, about
