"""Which modalities each sample may show: seeded masks, so that every method is scored on the same ones.

"Missing rate 0.5" means something different in every paper (`pattern_shares` prints what). All protocols here
are one thing: a law of how many modalities a sample lacks (0, 1 or 2); which ones is drawn uniformly.

| protocol | number missing at rate r |
|---|---|
| "dicmor", "imder" | shares from a published schedule, rates 0.1, 0.2 ... 0.7 only |
| "gcnet" | one modality kept, each of the other two missing with probability min(1, 1.5 r) |
| "independent" | each of the three missing with probability r, given that at least one is left |
| "mplmm" | with probability r one of the six incomplete patterns, each as often |

Two more that are no such law: "fixed-la" gives every sample the pattern "la", and has no rate; "frames" drops
steps instead of modalities (`frame_masks`).

Masks are drawn per sample; the published code draws one pattern per batch, for which see
`published_batch_masks`. Masks are data: `save_masks`, `load_masks`, and a name for them, `mask_hash`; a law that
is scored without drawing from it is named by `law_hash`.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dicmor_lib.errors import ConfigError, DataError, ShapeError
from dicmor_lib.modalities import PATTERNS, normalise_pattern, pattern_mask

PROTOCOLS = ("dicmor", "imder", "gcnet", "independent", "mplmm")
"""Laws over the seven patterns, the same for every sample."""
FRAMES = "frames"
FIXED = "fixed-"
DICMOR_SCHEDULE = {
    0.0: (0.0, 0.0), 0.1: (0.1, 0.1), 0.2: (0.2, 0.2), 0.3: (0.3, 0.3), 0.4: (0.5, 0.2),
    0.5: (0.7, 0.1), 0.6: (0.9, 0.0), 0.7: (1.0, 0.0),
}  # fmt: skip
"""Rate: (share of samples with two modalities missing, share with one missing). Rate 0: complete."""


def missing_count_shares(protocol: str, rate: float) -> tuple[float, float, float]:
    """Shares of samples with (none, one, two) modalities missing; they sum to 1.

    >>> missing_count_shares("dicmor", 0.5)
    (0.2, 0.1, 0.7)

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
    raise ConfigError(
        f"there is no law of missing modalities {protocol!r}; choose one of {', '.join(PROTOCOLS)}"
    )


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


def missing_masks(
    protocol: str,
    rate: float | None,
    n: int,
    seed: int,
    *,
    lengths: np.ndarray | None = None,
    time: int | None = None,
) -> np.ndarray:
    """Available masks (n, 3) bool, True where a modality may be seen; columns language, audio, vision.

    How many samples lack none, one or two modalities is exact (largest remainder), so that draws differ only
    in who lacks what; order and choice of modalities are uniform and depend on `seed` alone.

    >>> masks = missing_masks("independent", 0.5, n=700, seed=0)
    >>> masks.shape, int((masks.sum(axis=1) == 1).sum())  # three in seven keep one modality only
    ((700, 3), 300)

    Args:
        protocol: one of `PROTOCOLS`; "fixed-l", "fixed-la" ... (the pattern that every sample gets); or
            "frames", which gives (n, time, 3), see `frame_masks`.
        rate: in [0, 1]; None for a fixed pattern, which has none.
        n, seed: how many samples; what the draw depends on (not used for a fixed pattern).
        lengths, time: for "frames" only, and needed there.

    Raises:
        ConfigError: see `missing_count_shares`; n < 1; a rate for a fixed pattern, or none for another.
        PatternError, ShapeError: an unknown fixed pattern; lengths that do not fit.
    """
    if protocol.startswith(FIXED):
        if rate is not None:
            raise ConfigError(
                f"{protocol} gives every sample one pattern and has no rate; give None, not {rate}"
            )
        return fixed_masks(protocol.removeprefix(FIXED), n)
    if rate is None:
        raise ConfigError(f"the protocol {protocol!r} needs a missing rate in [0, 1]")
    if protocol == FRAMES:
        if lengths is None or time is None:
            raise ConfigError("frame masks need the lengths of the sequences and the number of steps, time")
        return frame_masks(rate, n, time, lengths, seed)
    shares = missing_count_shares(protocol, rate)
    rng = _generator(n, seed)
    missing = rng.permutation(np.repeat([0, 1, 2], _largest_remainder(np.array(shares), n)))
    order = rng.random((n, 3)).argsort(1).argsort(1)  # a uniform ranking of the modalities per sample
    return order >= missing[:, None]


def fixed_masks(pattern: str, n: int) -> np.ndarray:
    """Available masks (n, 3) bool that give every sample the same pattern ("l", "av" ...).

    >>> fixed_masks("av", 2)
    array([[False,  True,  True],
           [False,  True,  True]])
    """
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
    """Twelve hexadecimal digits that name a mask array: SHA-256 over its shape and bits.

    >>> mask_hash(fixed_masks("av", 2))
    'cd46977e64dd'
    """
    masks = np.ascontiguousarray(masks, dtype=bool)
    content = ",".join(map(str, masks.shape)).encode() + b":" + np.packbits(masks).tobytes()
    return hashlib.sha256(content).hexdigest()[:12]


def law_hash(shares: Mapping[str, float]) -> str:
    """Twelve hexadecimal digits that name a law over patterns: SHA-256 over the seven shares.

    It stands where a mask's hash would, for results that are expectations over all masks of a law. Shares that
    differ by rounding alone (below 1e-9) have one name, and a pattern that is left out has the share 0.
    """
    known = {normalise_pattern(pattern): float(share) for pattern, share in shares.items()}
    content = ",".join(f"{pattern}={abs(known.get(pattern, 0.0)):.9f}" for pattern in PATTERNS)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def save_masks(path: str | Path, masks: np.ndarray, *, protocol: str, rate: float | None, seed: int) -> str:
    """Write masks with how they were drawn to an .npz file of plain arrays; returns their hash.

    The file is wholly there or not at all. `CheckpointError` says why it could not be written.
    """
    from dicmor_lib.training.atomic import write_file

    digest, buffer = mask_hash(masks), io.BytesIO()
    np.savez_compressed(
        buffer,
        masks=np.asarray(masks, bool),
        protocol=protocol,
        rate=math.nan if rate is None else float(rate),
        seed=int(seed),
        hash=digest,
    )
    write_file(Path(path), buffer.getvalue())
    return digest


def load_masks(path: str | Path) -> tuple[np.ndarray, dict[str, str | float | int | None]]:
    """Read what `save_masks` wrote: (masks, {"protocol", "rate", "seed", "hash"}); no rate is None.

    Raises:
        DataError: if the file is missing, is not such a file, or its masks do not match their hash.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            masks = file["masks"]
            about = {name: file[name].item() for name in ("protocol", "rate", "seed", "hash")}
            about["rate"] = None if math.isnan(about["rate"]) else about["rate"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not a mask file written by save_masks ({error}); write it again"
        ) from error
    if masks.dtype != bool or mask_hash(masks) != about["hash"]:
        raise DataError(f"the masks in {path} do not match the hash stored beside them; write the file again")
    return masks, about
