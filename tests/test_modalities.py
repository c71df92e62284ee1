"""The alphabet: orders, masks and pattern names."""

from __future__ import annotations

import itertools

import pytest
import torch

from dicmor_lib import LETTERS, MODALITIES, PATTERNS, available_mask, mask_pattern, pattern_mask
from dicmor_lib.errors import PatternError, ShapeError
from dicmor_lib.modalities import normalise_pattern


def test_letters_are_the_modalities_in_order():
    assert [name[0] for name in MODALITIES] == list(LETTERS)


def test_patterns_are_all_non_empty_subsets_in_letter_order():
    subsets = ["".join(s) for n in (1, 2, 3) for s in itertools.combinations(LETTERS, n)]
    assert sorted(PATTERNS) == sorted(subsets) and len(PATTERNS) == 7


@pytest.mark.parametrize("pattern", PATTERNS)
def test_mask_and_pattern_are_inverse(pattern):
    assert mask_pattern(pattern_mask(pattern)) == pattern
    assert mask_pattern(torch.tensor(pattern_mask(pattern))) == pattern
    assert [letter for letter, flag in zip(LETTERS, pattern_mask(pattern)) if flag] == list(pattern)


def test_letters_may_come_in_any_order():
    for letters in itertools.permutations(LETTERS):
        assert normalise_pattern("".join(letters)) == "lav"
    assert pattern_mask("vl") == (True, False, True)


@pytest.mark.parametrize(
    "pattern, said", [("", "is empty"), (None, "is empty"), ("t", "'t' is not a set"), ("ll", "not a set")]
)
def test_what_is_no_pattern_is_refused(pattern, said):
    with pytest.raises(PatternError, match=said) as caught:
        normalise_pattern(pattern)
    assert "choose one of l, a, v, la, lv, av, lav" in str(caught.value)


def test_masks_that_are_none():
    with pytest.raises(PatternError, match="at least one modality"):
        mask_pattern((False, False, False))
    with pytest.raises(ShapeError, match="3 entries .* has 2"):
        mask_pattern((True, False))


def test_available_mask_gives_every_sample_the_same_pattern_and_owns_its_memory():
    mask = available_mask("av", 4)
    assert mask.dtype == torch.bool and mask.tolist() == [[False, True, True]] * 4
    mask[0, 0] = True
    assert mask.sum() == 9
