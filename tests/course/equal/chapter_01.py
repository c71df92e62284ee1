"""Chapter 1's own C^m against the library's."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dicmor_lib.blocks.shallow import ShallowConv
from dicmor_lib.course import assert_same_gradients, copy_weights


def shallow(defined: dict) -> None:
    torch.manual_seed(0)
    for dims, hidden, kernel, time in (((8, 6, 5), 16, 5, 9), ((3, 1, 2), 4, 3, 2), ((2, 4, 3), 6, 5, 1)):
        library = ShallowConv(dims, hidden, kernel).double()
        plain = defined["PlainShallow"](dims, hidden, kernel).double()
        copy_weights(plain, library)
        x = [torch.randn(4, time, d, dtype=torch.float64, requires_grad=True) for d in dims]
        copies = [part.detach().clone().requires_grad_() for part in x]
        mine, theirs = plain(x), library(tuple(copies))
        weight = torch.randn_like(theirs)
        (mine * weight).sum().backward()
        (theirs * weight).sum().backward()
        torch.testing.assert_close(mine, theirs)
        for a, b in zip(x, copies):
            torch.testing.assert_close(a.grad, b.grad)
        assert assert_same_gradients(plain, library) == hidden * kernel * sum(dims)


EQUAL: dict[str, Callable[[dict], None]] = {"PlainShallow": shallow}
