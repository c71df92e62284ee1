"""Wrong answers to the exercises of chapter 7."""

from __future__ import annotations

import math

import numpy as np
import torch

from tests.course.wrong.wrong import Wrong


def _objective(nll_of=torch.sum, recovered=None, swap=False):
    def loss(task, nll, errors, counts, a, b):
        a, b = (b, a) if swap else (a, b)
        number = recovered if recovered else (counts > 0).sum().clamp(min=1)
        return float(task + a * nll_of(nll) + b * errors.sum() / number)

    return loss


def _unguarded(task, nll, errors, counts, a, b):
    return float(task + a * nll.sum() + b * errors.sum() / (counts > 0).sum())


def _select(
    zero_based=False, never_stops=False, sees_behind_the_stop=False, late_on_ties=False, no_reset=False
):
    def select(valid, patience):
        best, best_epoch, bad, last = math.inf, 0, 0, len(valid)
        for epoch, error in enumerate(valid, start=1):
            if error < best or (late_on_ties and error == best):
                best, best_epoch, bad = error, epoch, bad if no_reset else 0
            else:
                bad += 1
            if (bad if no_reset or late_on_ties else epoch - best_epoch) >= patience and not never_stops:
                last = epoch
                break
        if sees_behind_the_stop:
            best_epoch = int(np.argmin(valid)) + 1
        return (best_epoch - 1, last - 1) if zero_based else (best_epoch, last)

    return select


def _norm(gradients):
    return torch.sqrt(sum(g.square().sum() for g in gradients))


def _in_place(gradients, limit):
    factor = (limit / _norm(gradients)).clamp(max=1)
    return [g.mul_(factor) for g in gradients]


def _constant(step, total, base):
    return base


def _linear_decay(step, total, base):
    return base * (1 - 0.95 * step / (total - 1))


def _warm_up_only(step, total, base):
    return base * min(1.0, (step + 1) / (total / 10))


def _to_zero(step, total, base):
    warm = total // 10
    return base * (step + 1) / warm if step < warm else base * (total - 1 - step) / (total - 1 - warm)


def _step_function(step, total, base):
    return base * (0.1 if step < total // 10 else 1.0 if step < total // 2 else 0.05)


WRONG: dict[str, list[Wrong]] = {
    "7.1": [
        Wrong("the mean of the NLLs", (_objective(nll_of=torch.mean),), says="mean of the three modalities"),
        Wrong("divided by 3 always", (_objective(recovered=3),), says="divided by 3"),
        Wrong("a sum of recovery errors", (_objective(recovered=1),), says="sum over the modalities"),
        Wrong("the weights exchanged", (_objective(swap=True),), says="changed places"),
        Wrong("0 / 0 on complete clips", (_unguarded,), says="nan"),
    ],
    "7.2": [
        Wrong("epochs from 0", (_select(zero_based=True),), says="from 1"),
        Wrong("never stops", (_select(never_stops=True),), says="goes on to the end"),
        Wrong("the best of the whole curve", (_select(sees_behind_the_stop=True),), says="after the stop"),
        Wrong("the later of two equals", (_select(late_on_ties=True),), says="earlier epoch"),
        Wrong("patience never starts again", (_select(no_reset=True),), says="from 0 at each new best"),
    ],
    "7.3": [
        Wrong("clamped by value", (lambda g, limit: [x.clamp(-limit, limit) for x in g],), says="each value"),
        Wrong(
            "one norm per tensor",
            (lambda g, limit: [x * min(1, limit / x.norm()) for x in g],),
            says="own norm",
        ),
        Wrong("scaled up", (lambda g, limit: [x * limit / _norm(g) for x in g],), says="scaled up"),
        Wrong("in place", (_in_place,), says="in place"),
        Wrong("nothing done", (lambda g, limit: list(g),), says="min\\(1, limit / norm\\)"),
    ],
    "7.4": [
        Wrong(
            "what is seen",
            (lambda a, o, n, t: ((torch.arange(t) < n[..., None]) & a[..., None]).float(),),
            says="that the model sees",
        ),
        Wrong(
            "no lengths",
            (lambda a, o, n, t: (o & ~a)[..., None].expand(-1, -1, t).float(),),
            says="padding is a",
        ),
        Wrong(
            "no observed",
            (lambda a, o, n, t: (~a)[..., None].expand(-1, -1, t).float(),),
            says="do not exist",
        ),
        Wrong(
            "all valid steps",
            (lambda a, o, n, t: (torch.arange(t) < n[..., None]).float(),),
            says="is available is",
        ),
        Wrong(
            "steps up to the length",
            (lambda a, o, n, t: ((torch.arange(t) <= n[..., None]) & (o & ~a)[..., None]).float(),),
            says="valid, observed and not available",
        ),
    ],
    "7.5": [
        Wrong("the sign", (lambda nll, s, d: nll - math.log2(s),), says="sign"),
        Wrong("nats", (lambda nll, s, d: nll + math.log(s),), says="nats"),
        Wrong("times the channels", (lambda nll, s, d: nll + d * math.log2(s),), says="channels cancels"),
        Wrong("scaled like x", (lambda nll, s, d: nll * s,), says="no quantity that scales"),
        Wrong("nothing changes", (lambda nll, s, d: nll,), says="s\\^D"),
    ],
    "7.6": [
        Wrong("a constant rate", (_constant,), says="no warm-up"),
        Wrong("decay only", (_linear_decay,), says="no warm-up"),
        Wrong("never comes down", (_warm_up_only,), says="come down"),
        Wrong("ends at 0", (_to_zero,), says="above 0"),
        Wrong("steps", (_step_function,), says="jumps"),
    ],
}
