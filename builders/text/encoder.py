"""A text encoder: a frozen language model with the pooling, prompt and length limit of its own files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError

from builders.text.model_files import ModelFiles, find_model
from builders.text.pooling import POOLINGS, pool
from graphrec.errors import ConfigError
from graphrec.progress import NoProgress, Progress

DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names of the prompts of models for documents, the preferred one first; the text of a node is a document."""
MAX_TOKENS = 8192
"""Tokens per text for a model whose files set no limit; the rest is truncated."""
CACHE_TOKENS = 2**10
"""Tokens per batch of one thread, padding included: what fits into a core's cache. See benchmarks/text.md."""
THREAD_TOKENS = 2**11
"""Tokens per batch and thread of several: each batch waits for the slowest thread, so there should be few."""
MAX_BATCH_TOKENS = 2**16
"""Tokens per batch of a GPU, and at most of many threads."""


def batch_tokens(device: str) -> int:
    """Tokens per batch, padding included: many short texts or a few long ones, so that memory is constant."""
    if device != "cpu":
        return MAX_BATCH_TOKENS
    threads = torch.get_num_threads()
    return CACHE_TOKENS if threads == 1 else min(THREAD_TOKENS * threads, MAX_BATCH_TOKENS)


@dataclass(frozen=True)
class EncoderConfig:
    """Steps from token vectors to a text vector, from a model's ``modules.json`` and the files that it names."""

    backbone: Path
    """Folder of the transformer."""
    pooling: tuple[str, ...] = ("mean",)
    """Keys of POOLINGS; their results are concatenated."""
    pool_prompt: bool = True
    """Whether the pooling includes the tokens of the prompt."""
    normalize: bool = False
    """Whether vectors are scaled to length 1."""
    prompt: str = ""
    """Prefix of each text."""
    max_length: int | None = None
    """Tokens per text; None: the limit of the tokenizer."""
    lowercase: bool = False
    """Whether texts are lowercased first."""


class TextEncoder:
    """A frozen text model: equal texts have equal vectors."""

    def __init__(self, model: ModelFiles, config: EncoderConfig, transformer: Any, tokenizer: Any) -> None:
        self.name = model.name
        self.revision = model.revision
        self.sha256 = model.sha256
        self.fingerprint = model.fingerprint
        self.config = config
        self.dimension = int(transformer.config.get_text_config().hidden_size) * len(config.pooling)
        self._transformer = transformer
        self._tokenizer = tokenizer
        self._prompt_tokens = 0 if config.pool_prompt else self._count_prompt_tokens()

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return torch.device(self._transformer.device)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of ``texts``, [n, dimension] float32.

        Texts of similar length share a batch, the longest first, to save padding. ``progress`` advances by one per
        text; the caller starts and finishes it.
        """
        progress = progress or NoProgress()
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens = self._tokenize(texts)
        for rows in self._batches(tokens):
            vectors[rows] = self._encode_batch({name: [values[row] for row in rows] for name, values in tokens.items()})
            progress.advance(len(rows))
        return vectors

    def batches(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Rows of ``texts`` in each batch of `encode`, the longest texts first."""
        return list(self._batches(self._tokenize(texts)))

    def _tokenize(self, texts: Sequence[str]) -> dict[str, list[list[int]]]:
        """Inputs of the model by name, such as ``input_ids``, for each text without padding."""
        prompted = [self.config.prompt + text for text in texts]
        if self.config.lowercase:
            prompted = [text.lower() for text in prompted]
        return dict(self._tokenizer(prompted, truncation=True)) if prompted else {"input_ids": []}

    def _batches(self, tokens: dict[str, list[list[int]]]) -> Iterator[np.ndarray]:
        lengths = np.array([len(codes) for codes in tokens["input_ids"]], dtype=np.int64)
        longest_first = np.argsort(-lengths, kind="stable")
        budget = batch_tokens(self.device.type)
        while len(longest_first):
            size = max(1, budget // max(int(lengths[longest_first[0]]), 1))
            yield longest_first[:size]
            longest_first = longest_first[size:]

    @torch.inference_mode()
    def _encode_batch(self, tokens: dict[str, list[list[int]]]) -> Float32[np.ndarray, "batch dimension"]:
        inputs = self._tokenizer.pad(tokens, return_tensors="pt")
        if bool(inputs["attention_mask"].all()):
            mask = inputs.pop("attention_mask").to(self.device)  # attention is faster without a mask
        else:
            mask = inputs["attention_mask"].to(self.device)
        states = self._transformer(**inputs.to(self.device)).last_hidden_state  # [batch, tokens, d]
        if self._prompt_tokens:
            mask = mask * (mask.cumsum(1) > self._prompt_tokens)
        vectors = pool(states, mask, self.config.pooling)
        vectors = torch.nn.functional.normalize(vectors, dim=1) if self.config.normalize else vectors
        return np.asarray(vectors.cpu().numpy())

    def _count_prompt_tokens(self) -> int:
        """Tokens of the prompt alone, without the closing special token."""
        if not self.config.prompt:
            return 0
        codes = self._tokenize([""])["input_ids"][0]
        return len(codes) - (codes[-1] in self._tokenizer.all_special_ids)


def load_encoder(name: str, device: torch.device | str | None = None) -> TextEncoder:
    """The text encoder called ``name``.

    Parameters
    ----------
    name
        ``minilm`` (packaged, extra ``[minilm]``), a folder with a model, or a Hugging Face name ``owner/model`` or
        ``owner/model@revision``.
    device
        Device of the model; None: CUDA if available (then in bfloat16), else CPU.

    Raises
    ------
    MissingPackage
        ``minilm`` is not installed.
    ConfigError
        The model cannot be reached, has no safetensors weights, or is of an unsupported type.
    """
    model = find_model(name)
    config = read_encoder_config(model)
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with _quiet():
        try:
            transformer, tokenizer = _load(config.backbone)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ConfigError(f"text model {name!r}: cannot be loaded from {model.path}: {reason}") from error
    positions = getattr(transformer.config.get_text_config(), "max_position_embeddings", None) or MAX_TOKENS
    limit = min(int(tokenizer.model_max_length), int(positions), MAX_TOKENS)
    tokenizer.model_max_length = limit if config.max_length is None else config.max_length
    dtype = torch.bfloat16 if target.type == "cuda" else torch.float32
    return TextEncoder(model, config, transformer.to(target, dtype).eval(), tokenizer)


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
    transformer = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True  # tokenized, sorted, then padded
    return transformer, tokenizer


def read_encoder_config(model: ModelFiles) -> EncoderConfig:
    """The configuration in ``modules.json`` and its files; mean pooling without ``modules.json``.

    Raises ConfigError for a module that is not a transformer, a pooling or a normalization: without it, the vectors
    would be wrong.
    """
    prompt = _document_prompt(_read_json(model.path / "config_sentence_transformers.json"))
    modules = _read_json(model.path / "modules.json")
    if not modules:
        return EncoderConfig(model.path, prompt=prompt)
    path = {str(module["type"]).rsplit(".", 1)[-1]: model.path / module["path"] for module in modules}
    if not {"Transformer"} <= path.keys() <= {"Transformer", "Pooling", "Normalize"}:
        raise ConfigError(
            f"text model {model.name!r}: modules Transformer, Pooling, Normalize expected in modules.json, "
            f"got {', '.join(path)}"
        )
    limits = _read_json(next(path["Transformer"].glob("sentence_*_config.json"), path["Transformer"] / "none"))
    pooling = _read_json(path["Pooling"] / "config.json") if "Pooling" in path else {}
    return EncoderConfig(
        backbone=path["Transformer"],
        pooling=_pooling_modes(model.name, pooling),
        pool_prompt=pooling.get("include_prompt", True),
        normalize="Normalize" in path,
        prompt=prompt,
        max_length=limits.get("max_seq_length"),
        lowercase=limits.get("do_lower_case", False),
    )


def _pooling_modes(name: str, config: dict[str, Any]) -> tuple[str, ...]:
    """Poolings from ``pooling_mode`` or from the older ``pooling_mode_*`` switches."""
    pooling = config.get("pooling_mode")
    if pooling is None:
        suffixes = ("", "_token", "_tokens")
        switched = {mode for mode in POOLINGS for suffix in suffixes if config.get(f"pooling_mode_{mode}{suffix}")}
        pooling = [mode for mode in POOLINGS if mode in switched] or ["mean"]
    modes = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    if unknown := set(modes) - POOLINGS.keys():
        raise ConfigError(f"text model {name!r}: pooling among {', '.join(POOLINGS)} expected, got {sorted(unknown)}")
    return modes


def _document_prompt(config: dict[str, Any]) -> str:
    prompts = config.get("prompts") or {}
    named = [*DOCUMENT_PROMPTS, config.get("default_prompt_name")]
    return next((prompts[key] for key in named if prompts.get(key) is not None), "")


def _read_json(path: Path) -> Any:
    """Content of the file; an empty dict without a file."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: JSON expected ({error}); download the model again") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars and log lines of transformers while a model is loaded."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
