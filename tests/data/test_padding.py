"""Sequences are found by their values and moved to the start, whatever side they were padded on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dicmor_lib.data.padding import inner_zero_steps, padding_sides, shift_to_start, valid_span


@st.composite
def padded(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray], list[int]]:
    """Sequences with zero steps inside, put anywhere into (N, T, d); the sequences, and where they begin."""
    time, channels = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    x = np.zeros((draw(st.integers(0, 6)), time, channels), np.float32)
    sequences, starts = [], []
    for row in x:
        length = draw(st.integers(0, time))
        start = draw(st.integers(0, time - length)) if length else 0
        values = st.sampled_from([0.0, 0.0, 1.5, -2.0])
        sequence = draw(
            st.lists(st.lists(values, min_size=channels, max_size=channels), min_size=length, max_size=length)
        )
        sequence = np.array(sequence, np.float32).reshape(length, channels)
        if length:  # the ends of a sequence are not zero: else they would be padding
            sequence[[0, -1], draw(st.integers(0, channels - 1))] = 7.0
        row[start : start + length] = sequence
        sequences.append(sequence)
        starts.append(start)
    return x, sequences, starts


@given(padded())
def test_shifting_restores_the_sequences(drawn: tuple) -> None:
    x, sequences, starts = drawn
    before = x.copy()
    first, length = valid_span(x)
    shifted = shift_to_start(x, first)
    np.testing.assert_array_equal(x, before)
    assert length.tolist() == [len(sequence) for sequence in sequences]
    assert first.tolist() == starts
    for row, sequence in zip(shifted, sequences):
        np.testing.assert_array_equal(row[: len(sequence)], sequence)
        assert not row[len(sequence) :].any()
    inside = sum(int((~sequence.any(axis=1)).sum()) for sequence in sequences)
    assert inner_zero_steps(shifted, length) == inside


def test_sides_are_told_apart() -> None:
    x = np.zeros((5, 4, 2), np.float32)
    x[0, :, 0] = 1  # full
    x[1, 2:, 1] = 1  # front
    x[2, :3, 0] = 1  # back
    x[3, 1, 0] = 1  # both
    first, length = valid_span(x)
    assert length.tolist() == [4, 2, 3, 1, 0]
    assert padding_sides(first, length, 4) == {"none": 1, "front": 1, "back": 1, "both": 1}


def test_negative_zero_and_one_channel_decide_as_they_should() -> None:
    x = np.full((1, 5, 3), -0.0, np.float32)
    x[0, 3, 2] = -1e-30
    first, length = valid_span(x)
    assert (first[0], length[0]) == (3, 1)
    assert shift_to_start(x, first)[0, 0, 2] == np.float32(-1e-30)


def test_nothing_to_move_costs_no_copy() -> None:
    x = np.ones((3, 4, 2), np.float32)
    assert shift_to_start(x, valid_span(x)[0]) is x


def test_empty_axes() -> None:
    for shape in ((0, 4, 2), (3, 0, 0), (3, 0, 2), (3, 4, 0)):
        first, length = valid_span(np.zeros(shape, np.float32))
        assert first.tolist() == length.tolist() == [0] * shape[0]
