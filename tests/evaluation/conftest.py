"""One small evaluated model for all tests of tables, files and figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from dicmor_lib import DiCMoR, DiCMoRConfig
from dicmor_lib.data.dataset import MultimodalData
from dicmor_lib.data.oracle import Oracle
from dicmor_lib.evaluation.autoencoder import AutoEncoder
from dicmor_lib.evaluation.baselines import Imputer
from dicmor_lib.evaluation.evaluate import Evaluation, default_imputers, evaluate


@pytest.fixture(scope="session")
def oracle_data() -> MultimodalData:
    return Oracle(sizes=(80, 10, 30), time=12, mean_length=8).dataset(seed=0)


@pytest.fixture(scope="session")
def small_model(oracle_data) -> Callable[..., DiCMoR]:
    """small_model(seed, **changes): random weights, every part of the model, as small as it gets."""

    def build(seed: int, **changes) -> DiCMoR:
        torch.manual_seed(seed)
        sizes = dict(
            hidden=8, flow_width=8, flow_layers=2, rcab_width=8, rcab_blocks=1, heads=2, fusion_layers=1
        )
        return DiCMoR(DiCMoRConfig.tiny(oracle_data.feature_dims, **(sizes | changes)))

    return build


@pytest.fixture(scope="session")
def models(oracle_data, small_model) -> tuple[DiCMoR, DiCMoR]:
    """A model and a stage-1 model that shares its C^m and nothing else."""
    model, stage1 = small_model(0), small_model(1)
    stage1.shallow.load_state_dict(model.shallow.state_dict())
    return model, stage1


@pytest.fixture(scope="session")
def quick_imputers() -> Callable[[], list[Imputer]]:
    """quick_imputers(): the imputers of every table, with an auto-encoder that barely trains."""

    def build() -> list[Imputer]:
        return [*default_imputers()[:-1], AutoEncoder(width=8, epochs=1)]

    return build


@pytest.fixture(scope="session")
def evaluation(models, oracle_data) -> Evaluation:
    return evaluate(models[0], oracle_data, stage1=models[1], resamples=50)
