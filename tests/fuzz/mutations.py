"""Seeded damage to bytes, for the tests that replay what a fuzzer does, without one."""

from __future__ import annotations

import random


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut short, or one to eight edits: a flipped bit, a changed, removed, repeated or zeroed stretch."""
    if chance.random() < 0.15:
        return data[: chance.randrange(len(data))]
    edited = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        at, length = chance.randrange(len(edited) + 1), chance.choice([1, 1, 2, 4, 8, 64])
        kind = chance.randrange(5)
        if kind == 0 and at < len(edited):
            edited[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            edited[at : at + length] = chance.randbytes(length)
        elif kind == 2 and len(edited) > 2 * length:
            del edited[at : at + length]
        elif kind == 3:
            edited[at:at] = edited[at : at + length]
        else:
            edited[at : at + length] = chance.choice([b"\0", b"\xff"]) * len(edited[at : at + length])
    return bytes(edited)
