"""The variants are DiCMoR with one thing changed, and the names mean what the ledger says."""

from __future__ import annotations

import pytest

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.errors import ConfigError
from dicmor_lib.evaluation.variants import MAIN, VARIANTS, choose_variants, published_switches

DIMS = (4, 3, 3)


def test_every_variant_builds_in_every_preset_and_differs_from_the_default_as_it_says():
    for preset in ("tiny", "mosi", "mosei"):
        default = DiCMoRConfig.preset(preset, DIMS).to_dict()
        for name, variant in VARIANTS.items():
            config = variant.config(preset, DIMS)
            changed = {key for key, value in config.to_dict().items() if value != default[key]}
            assert changed == set(variant.changes), name
            assert variant.sentence.endswith(".") and len(variant.sentence) < 120
    for variant in VARIANTS.values():
        DiCMoR(variant.config("tiny", DIMS))
    assert VARIANTS[MAIN].changes == {}


def test_published_sets_every_switch_of_the_published_code_and_no_size():
    switches = published_switches()
    assert DiCMoRConfig.mosi(**switches) == DiCMoRConfig.mosi(published=True)
    assert not {"hidden", "flow_width", "flow_layers", "rcab_blocks", "heads"} & set(switches)


def test_changes_for_all_variants_do_not_undo_a_variants_own():
    config = VARIANTS["one class-free prior"].config("tiny", DIMS, prior_classes=7, flow_layers=2)
    assert (config.prior_classes, config.flow_layers) == (1, 2)


def test_folders_are_plain_and_different():
    folders = [variant.folder for variant in VARIANTS.values()]
    assert len(set(folders)) == len(VARIANTS)
    assert all(folder.replace("-", "").isalnum() for folder in folders)


def test_choosing_by_name():
    assert [variant.name for variant in choose_variants()] == list(VARIANTS)
    names = [variant.name for variant in choose_variants("zeros, published,no mixing")]
    assert names == [MAIN, "no mixing", "published", "zeros, fusion retrained"], "DiCMoR is always there"
    assert choose_variants(["zeros, fusion retrained"]) == choose_variants("zeros, fusion retrained")
    with pytest.raises(ConfigError, match="no variant 'no flow'; choose of: DiCMoR; no transfer"):
        choose_variants("no flow")
