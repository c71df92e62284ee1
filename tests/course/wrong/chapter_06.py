"""Wrong answers that students of chapter 6 really give, and what they must be told."""

from __future__ import annotations

import math

import torch

from tests.course.wrong.wrong import Wrong

# --- 6.1: mask after the softmax


def _zeroed_only(weights, allowed):
    return weights * allowed


def _in_place(weights, allowed):
    weights *= allowed
    return weights / weights.sum(-1, keepdim=True)


def _columns(weights, allowed):
    kept = weights * allowed
    return kept / kept.sum(-2, keepdim=True).clamp_min(1e-12)


def _upside_down(weights, allowed):
    kept = weights.masked_fill(allowed, 0.0)
    return kept / kept.sum(-1, keepdim=True).clamp_min(1e-12)


def _equal_shares(weights, allowed):
    kept = weights * allowed
    return kept + (1 - kept.sum(-1, keepdim=True)) * allowed / allowed.sum(-1, keepdim=True)


# --- 6.3: count the readable steps


def _begins_before_the_end(i, n, k):
    return sum(j / k <= (i + 1) / n for j in range(k))


def _begins_before_the_beginning(i, n, k):
    return sum(j / k < i / n for j in range(k))


# --- 6.4: the last valid step


def _at(number):
    return lambda x, valid: x[torch.arange(len(x)), number(x, valid)]


def _wraps(x, valid):
    number = torch.where(valid, torch.arange(x.shape[1]), -1).amax(dim=1)
    return x[torch.arange(len(x)), number]


# --- 6.5: who reads whom


def _encoder(query, source):
    return 2 * query + source - (source > query)


PAIRS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))


def _touched(m):
    return [g for g, pair in enumerate(PAIRS) if m in pair]


# --- 6.6: one step later


def _rotation(width, steps, divisor=None, sign=1):
    half = width // 2
    angle = steps * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / (divisor or max(half - 1, 1)))
    cos, sin = torch.diag(angle.cos()), sign * torch.diag(angle.sin())
    return torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])


def _interleaved(width, steps):
    order = torch.arange(width).view(2, -1).T.flatten()
    return _rotation(width, steps)[order][:, order]


def _added(width, steps):
    """sin(a + b) = sin a + sin b: it is not."""
    return _rotation(width, steps).abs()


# --- 6.7: the leak


def _read_clip(mask, step):
    def answer(x, lengths):
        valid = torch.arange(x.shape[1]) < lengths[:, None]
        scores = x @ x.transpose(1, 2) / math.sqrt(x.shape[-1])
        weights = mask(scores, valid)
        return step(x + weights @ x, lengths)

    return answer


def _keys(scores, valid):
    return scores.masked_fill(~valid[:, None, :], -1e9).softmax(-1)


def _queries(scores, valid):
    return scores.masked_fill(~valid[:, :, None], -1e9).softmax(-1)


def _nothing(scores, valid):
    return scores.softmax(-1)


def _after(scores, valid):
    return scores.softmax(-1) * valid[:, None, :]


def _last_valid(x, lengths):
    return x[torch.arange(len(x)), lengths - 1]


def _last(x, lengths):
    return x[:, -1]


def _one_further(x, lengths):
    return x[torch.arange(len(x)), lengths.clamp(max=x.shape[1] - 1)]


# --- 6.8: the order


def _tested_with(reorder, same=lambda a, b: torch.allclose(a, b, rtol=1e-9, atol=1e-11)):
    return lambda read, source: same(read(reorder(source)), read(source))


def _shuffle(source, dim=1):
    order = torch.randperm(source.shape[dim], generator=torch.Generator().manual_seed(1))
    return source.index_select(dim, order)


def _loose(a, b):
    return torch.allclose(a, b, atol=0.05)


# --- 6.9: attribution


def _leave_out(predict, x, baseline, removed):
    contributions = []
    for m in range(3):
        without = x.clone()
        for other in removed(m):
            without[other] = baseline[other]
        contributions.append(predict(x) - predict(without))
    return torch.stack(contributions, dim=1)


def _leave_one_out(predict, x, baseline):
    return _leave_out(predict, x, baseline, lambda m: [m])


def _predictions_without(predict, x, baseline):
    return predict(x)[:, None] - _leave_one_out(predict, x, baseline)


def _destroyed(predict, x, baseline):
    full, contributions = predict(x), []
    for m in range(3):
        x[m] = baseline[m]
        contributions.append(full - predict(x))
    return torch.stack(contributions, dim=1)


WRONG: dict[str, list[Wrong]] = {
    "6.1": [
        Wrong("forgot to mask at all", (lambda w, a: w,), "unmasked"),
        Wrong("set to zero without sharing out the rest", (_zeroed_only,), "no longer sum to 1.*divide"),
        Wrong(
            "a second softmax over the zeroed weights", (lambda w, a: (w * a).softmax(-1),), "second softmax"
        ),
        Wrong("normalised the columns", (_columns,), "each column sums to 1, not each row"),
        Wrong("took allowed for forbidden", (_upside_down,), "upside down"),
        Wrong("shared the rest out equally", (_equal_shares,), "in proportion"),
        Wrong("changed the weights in place", (_in_place,), "in place"),
    ],
    "6.2": [
        Wrong("variance instead of deviation", (lambda d, q, k: (d * q**2 * k**2, q**2 * k**2),), "variance"),
        Wrong(
            "grows like d",
            (lambda d, q, k: (d * q * k, math.sqrt(d) * q * k),),
            r"like sqrt\(d\), not like d",
        ),
        Wrong("divided by d", (lambda d, q, k: (math.sqrt(d) * q * k, q * k / math.sqrt(d)),), r"not by d"),
        Wrong("one product only", (lambda d, q, k: (q * k, q * k / math.sqrt(d)),), "d of them are added"),
        Wrong("forgot the deviations", (lambda d, q, k: (math.sqrt(d), 1.0),), "queries and keys count"),
        Wrong("after is always 1", (lambda d, q, k: (math.sqrt(d) * q * k, 1.0),), "is 1 only if"),
        Wrong("forgot to divide", (lambda d, q, k: (math.sqrt(d) * q * k,) * 2,), "division is missing"),
    ],
    "6.3": [
        Wrong("compares step numbers", (lambda i, n, k: min(i + 1, k),), "relative times"),
        Wrong("not strict", (_begins_before_the_end,), "strict"),
        Wrong("i instead of i + 1", (_begins_before_the_beginning,), "off by one"),
        Wrong("rounded down", (lambda i, n, k: (i + 1) * k // n,), "round up"),
        Wrong("swapped the lengths", (lambda i, n, k: -(-(i + 1) * n // k),), "swapped"),
        Wrong("began no later", (lambda i, n, k: i * k // n + 1,), "read up to its end"),
        Wrong("no mask", (lambda i, n, k: k,), "whole source"),
        Wrong("floats", (lambda i, n, k: math.ceil((i + 1) * (k / n)),), "whole numbers"),
    ],
    "6.4": [
        Wrong("last step of the array", (lambda x, valid: x[:, -1],), "last step of the array"),
        Wrong(
            "number of valid steps minus one", (_at(lambda x, v: (v.sum(1) - 1).clamp(min=0)),), "in front"
        ),
        Wrong("number of valid steps", (_at(lambda x, v: v.sum(1).clamp(max=x.shape[1] - 1)),), "off by one"),
        Wrong("argmax of the mask", (_at(lambda x, v: v.int().argmax(1)),), "first valid step"),
        Wrong("no valid step wraps round", (_wraps,), "without any valid step must give zeros"),
        Wrong("mean", (lambda x, v: (x * v[..., None]).sum(1) / v.sum(1).clamp(min=1)[:, None],), "mean"),
    ],
    "6.5": [
        Wrong("query and source swapped", (lambda m, k: _encoder(k, m), _touched), "swapped"),
        Wrong("3 * query + source", (lambda m, k: 3 * m + k, _touched), "each query has two sources"),
        Wrong("source not counted among the others", (lambda m, k: 2 * m + k, _touched), "two OTHERS"),
        Wrong("only as a query", (_encoder, lambda m: [2 * m, 2 * m + 1]), "others read it"),
        Wrong(
            "only as a source", (_encoder, lambda m: [g for g in range(6) if PAIRS[g][1] == m]), "also asks"
        ),
        Wrong(
            "the untouched",
            (_encoder, lambda m: [g for g in range(6) if m not in PAIRS[g]]),
            "does NOT enter",
        ),
    ],
    "6.6": [
        Wrong("transposed", (lambda w, s: _rotation(w, s, sign=-1),), "back in time"),
        Wrong("frequencies of the original", (lambda w, s: _rotation(w, s, w // 2),), "exponent is i / "),
        Wrong("sine and cosine in turn", (_interleaved,), "all sines come first"),
        Wrong("no rotation", (lambda w, s: torch.eye(w, dtype=torch.float64),), "identity"),
        Wrong("signs forgotten", (_added,), "orthogonal"),
    ],
    "6.7": [
        Wrong("unchanged snippet", (_read_clip(_queries, _last),), "both faults.*which axis"),
        Wrong("still the padded queries", (_read_clip(_queries, _last_valid),), "padded KEYS are still read"),
        Wrong("last step of the array", (_read_clip(_keys, _last),), "last VALID step"),
        Wrong("no mask", (_read_clip(_nothing, _last_valid),), "padded KEYS are still read"),
        Wrong("no mask, last step", (_read_clip(_nothing, _last),), "both faults.*padded keys"),
        Wrong("masked after the softmax", (_read_clip(_after, _last_valid),), "no longer sum to 1"),
        Wrong("length instead of length - 1", (_read_clip(_keys, _one_further),), "off by one"),
    ],
    "6.8": [
        Wrong("a flip only", (_tested_with(lambda s: s.flip(1)),), "flip alone"),
        Wrong("a roll only", (_tested_with(lambda s: s.roll(1, 1)),), "cyclic roll"),
        Wrong("bitwise comparison", (_tested_with(_shuffle, torch.equal),), "not with torch.equal"),
        Wrong("permuted the channels", (_tested_with(lambda s: _shuffle(s, 2)),), "time, axis 1"),
        Wrong("tolerance too wide", (_tested_with(_shuffle, _loose),), "tolerance is too wide"),
        Wrong("always True", (lambda read, source: True,), "tells the steps apart"),
    ],
    "6.9": [
        Wrong("sign", (lambda *a: -_leave_one_out(*a),), "signs are turned round"),
        Wrong("absolute values", (lambda *a: _leave_one_out(*a).abs(),), "signs are gone"),
        Wrong(
            "predictions instead of differences", (_predictions_without,), "predictions without each modality"
        ),
        Wrong(
            "removed the others",
            (lambda p, x, b: _leave_out(p, x, b, lambda m: {0, 1, 2} - {m}),),
            "inverted",
        ),
        Wrong(
            "did not put it back",
            (lambda p, x, b: _leave_out(p, x, b, lambda m: range(m + 1)),),
            "stays removed",
        ),
        Wrong(
            "zeros for the baseline",
            (lambda p, x, b: _leave_one_out(p, x, 0 * b),),
            "instead of the baseline",
        ),
        Wrong("shares", (lambda *a: (c := _leave_one_out(*a)) / c.sum(1, keepdim=True),), "shares"),
        Wrong("worked in place", (_destroyed,), "in place"),
    ],
}
