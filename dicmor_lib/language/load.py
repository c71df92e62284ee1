"""Loading a BERT: safetensors only, nothing from its folder is executed, nothing is silently left random."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from dicmor_lib.errors import CheckpointError, DataError, DicmorError, MissingExtraError
from dicmor_lib.language.encoder import ARCHITECTURE, LanguageEncoder

REQUIREMENT = "transformers>=4.48"
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PLAIN: dict[str, Any] = dict(is_decoder=False, add_cross_attention=False, quantization_config=None)
PLAIN |= dict(position_embedding_type="absolute")
"""Entries of a BERT's config.json that would change what it computes, with the values that do not."""


def load_encoder(source: str | Path) -> LanguageEncoder:
    """Load a BERT from a folder as `save_pretrained` writes it, or by its name on the Hugging Face hub.

    A folder is read without any look at the network; a name is downloaded, or taken from the hub's local cache.
    The encoder is returned in eval mode, in float32, on the CPU.

    Raises:
        MissingExtraError: if the package transformers is not installed.
        DataError: if there is no such folder or name, if it holds another kind of model or pickled weights only,
            or if its weights are damaged or incomplete.
    """
    transformers = import_transformers()
    folder = Path(source).expanduser()
    is_folder = folder.is_dir()
    if is_folder:
        _check_folder(folder)
        source = str(folder.resolve())
    elif folder.exists() or not HUB_NAME.fullmatch(str(source)):
        raise DataError(f"there is no folder {source}; give one with config.json and model.safetensors")
    with _quiet(transformers), _explained(source):
        values, _ = transformers.BertConfig.get_config_dict(source, local_files_only=is_folder)
        config = _clean_config(transformers, values, str(source))
        bert, found = transformers.BertModel.from_pretrained(
            source,
            config=config,
            add_pooling_layer=False,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=is_folder,
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    lacking = sorted(found["missing_keys"]) + sorted(map(str, found["mismatched_keys"]))
    if lacking:
        raise DataError(
            f"the weights in {source} are not those of its config.json: {len(lacking)} parameters are missing or of "
            f"another shape ({lacking[0]} and so on); write the model again with save_pretrained"
        )
    return LanguageEncoder(bert.float(), str(source)).eval()


def rebuild_encoder(about: Mapping[str, Any], weights: Mapping[str, Tensor], where: str) -> LanguageEncoder:
    """The encoder of a training run, from what `LanguageEncoder.about` stored and the tensors of a checkpoint.

    Raises:
        MissingExtraError: if the package transformers is not installed.
        CheckpointError: if the two do not fit; `where` names the checkpoint.
    """
    transformers = import_transformers()
    try:
        with _quiet(transformers):
            config = _clean_config(transformers, {**about["architecture"], "model_type": "bert"}, where)
            config._attn_implementation = "sdpa"
            bert = transformers.BertModel(config, add_pooling_layer=False)
        encoder = LanguageEncoder(bert, str(about["source"]))
        encoder.load_state_dict(weights)
    except Exception as problem:  # many unrelated kinds, see _explained
        raise CheckpointError(f"the BERT in {where} is damaged: {_brief(problem)}") from problem
    return encoder.eval()


def import_transformers() -> ModuleType:
    """The package transformers.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import transformers
    except ImportError as problem:
        raise MissingExtraError(
            "token ids need the package transformers (the extra 'bert'), which is not installed; install it with: "
            f"python -m pip install '{REQUIREMENT}'"
        ) from problem
    return transformers


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder} holds no config.json; give the folder that a BERT was saved to")
    if any((folder / name).is_file() for name in WEIGHTS):
        return
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth"))
    if pickled:
        raise DataError(
            f"{folder} holds pickled weights only ({pickled[0]}), which could run code when read; convert them to "
            "model.safetensors with save_pretrained where you trust them"
        )
    raise DataError(f"{folder} holds no model.safetensors; give the folder that a BERT was saved to")


def _clean_config(transformers: ModuleType, values: Mapping[str, Any], source: str) -> Any:
    """A `BertConfig` of the entries `ARCHITECTURE` alone: none that names code, kernels or quantisation survives."""
    kind = values.get("model_type")
    if kind != "bert":
        raise DataError(f"{source} is a model of type {kind!r}; language features come from a 'bert'")
    for name, plain in PLAIN.items():
        if (values.get(name) or plain) != plain:
            raise DataError(f"{source} sets {name} in its config.json; give a plain BERT without it")
    return transformers.BertConfig(**{name: values[name] for name in ARCHITECTURE if name in values})


@contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Keep transformers from writing progress bars and reports; what matters is said by our exceptions."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _explained(source: str | Path) -> Iterator[None]:
    """Turn whatever transformers, the hub or safetensors raise into one clear `DataError`."""
    try:
        yield
    except DicmorError:
        raise
    except Exception as problem:  # four packages raise here, exceptions without a common base
        raise DataError(
            f"cannot load a BERT from {source} ({_brief(problem)}); give a folder with config.json and "
            "model.safetensors, or a model's name on the Hugging Face hub"
        ) from problem


def _brief(problem: Exception) -> str:
    """The beginning of what an exception says, in one line."""
    return textwrap.shorten(str(problem), 160, placeholder=" ...") or type(problem).__name__
