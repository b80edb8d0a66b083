"""A text encoder: a language model read as its own files say (pooling, prompt, longest text)."""

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

from builders.text.model_files import ModelFolder, find_model
from builders.text.pooling import POOLINGS, pool
from graphrec.errors import ConfigError
from graphrec.progress import NoProgress, Progress

DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Prompts that models carry for what is searched, best first; a node's text is such a document."""
LONGEST = 8192
"""Most tokens of a text that are read where a model's files set no limit."""
CACHE_TOKENS = 2**10
"""Tokens encoded at once by one thread, padding included: so much stays in a core's cache. See benchmarks/text.md."""
THREAD_TOKENS = 2**11
"""Tokens for each of several threads: every step ends with a wait for the slowest, so there should be few."""
MOST_TOKENS = 2**16
"""Tokens encoded at once by a GPU, and at most by many threads."""


def batch_tokens(device: str) -> int:
    """Tokens to encode at once, padding included: many short texts or a few long ones, so that memory stays level."""
    if device != "cpu":
        return MOST_TOKENS
    threads = torch.get_num_threads()
    return CACHE_TOKENS if threads == 1 else min(THREAD_TOKENS * threads, MOST_TOKENS)


@dataclass(frozen=True)
class Recipe:
    """How a model's token vectors become a text's vector, from its ``modules.json`` and what that names."""

    backbone: Path
    """Folder of the transformer itself."""
    pooling: tuple[str, ...] = ("mean",)
    """Keys of POOLINGS, put side by side."""
    pool_prompt: bool = True
    """Whether the prompt's tokens count in the pooling."""
    normalise: bool = False
    """Whether vectors are scaled to length 1."""
    prompt: str = ""
    """What is written before each text."""
    max_length: int | None = None
    """Most tokens of a text that are read; None for the tokenizer's own limit."""
    lowercase: bool = False
    """Whether texts are put into lower case first."""


class TextEncoder:
    """A frozen text model: the same text always gives the same vector."""

    def __init__(self, model: ModelFolder, recipe: Recipe, transformer: Any, tokenizer: Any) -> None:
        self.name = model.name
        self.revision = model.revision
        self.sha256 = model.sha256
        self.fingerprint = model.fingerprint
        self.recipe = recipe
        self.dimension = int(transformer.config.get_text_config().hidden_size) * len(recipe.pooling)
        self._transformer = transformer
        self._tokenizer = tokenizer
        self._prompt_tokens = 0 if recipe.pool_prompt else self._count_prompt_tokens()

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        device: torch.device = self._transformer.device
        return device

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of ``texts``, [n, dimension] float32.

        Texts of like length go together, the longest first, so little is spent on padding. ``progress`` advances
        by one a text; whoever gave it starts and finishes it.
        """
        progress = progress or NoProgress()
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens = self._tokenize(texts)
        for rows in self._batches(tokens):
            vectors[rows] = self._encode_batch({name: [values[row] for row in rows] for name, values in tokens.items()})
            progress.advance(len(rows))
        return vectors

    def batches(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Rows of ``texts`` that `encode` takes together, those of the longest texts first."""
        return list(self._batches(self._tokenize(texts)))

    def _tokenize(self, texts: Sequence[str]) -> dict[str, list[list[int]]]:
        """What the model takes of each text, such as ``input_ids``: numbers without padding."""
        prompted = [self.recipe.prompt + text for text in texts]
        if self.recipe.lowercase:
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
            mask = inputs.pop("attention_mask").to(self.device)  # attention is faster without, where nothing is padded
        else:
            mask = inputs["attention_mask"].to(self.device)
        states = self._transformer(**inputs.to(self.device)).last_hidden_state  # [batch, tokens, d]
        if self._prompt_tokens:
            mask = mask * (mask.cumsum(1) > self._prompt_tokens)
        vectors = pool(states, mask, self.recipe.pooling)
        vectors = torch.nn.functional.normalize(vectors, dim=1) if self.recipe.normalise else vectors
        return np.asarray(vectors.cpu().numpy())

    def _count_prompt_tokens(self) -> int:
        """Tokens before the text begins: those of the prompt alone, without the one that closes it."""
        if not self.recipe.prompt:
            return 0
        codes = self._tokenize([""])["input_ids"][0]
        return len(codes) - (codes[-1] in self._tokenizer.all_special_ids)


def load_encoder(name: str, device: torch.device | str | None = None) -> TextEncoder:
    """The text encoder called ``name``.

    Parameters
    ----------
    name
        ``minilm`` (packaged, extra ``[minilm]``), a folder with a model, or a Hugging Face name ``owner/model``,
        with ``@revision`` after it to pin one.
    device
        Where the model runs; None takes a CUDA device if there is one (then in bfloat16).

    Raises
    ------
    MissingPackage
        ``minilm`` is not installed.
    ConfigError
        The model cannot be reached, has no safetensors weights, or is of a kind that is not read.
    """
    model = find_model(name)
    recipe = read_recipe(model)
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with _quiet():
        try:
            transformer, tokenizer = _load(recipe.backbone)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ConfigError(f"text model {name!r}: cannot be loaded from {model.path}: {reason}") from error
    tokenizer.model_max_length = _max_length(recipe, tokenizer, transformer.config)
    dtype = torch.bfloat16 if target.type == "cuda" else torch.float32
    return TextEncoder(model, recipe, transformer.to(target, dtype).eval(), tokenizer)


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
    transformer = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True  # texts are sorted in between
    return transformer, tokenizer


def _max_length(recipe: Recipe, tokenizer: Any, config: Any) -> int:
    if recipe.max_length is not None:
        return recipe.max_length
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or LONGEST
    return min(int(tokenizer.model_max_length), int(positions), LONGEST)


def read_recipe(model: ModelFolder) -> Recipe:
    """What ``modules.json`` and the files beside it say; mean pooling where there is no ``modules.json``.

    Raises ConfigError for a module that is not a transformer, a pooling or a normalisation: leaving out a layer
    would give wrong vectors without a word.
    """
    prompt = _document_prompt(_read_json(model.path / "config_sentence_transformers.json"))
    modules = _read_json(model.path / "modules.json")
    if not modules:
        return Recipe(model.path, prompt=prompt)
    path = {str(module["type"]).rsplit(".", 1)[-1]: model.path / module["path"] for module in modules}
    if not {"Transformer"} <= path.keys() <= {"Transformer", "Pooling", "Normalize"}:
        raise ConfigError(
            f"text model {model.name!r}: modules Transformer, Pooling, Normalize expected in modules.json, "
            f"got {', '.join(path)}"
        )
    limits = _read_json(next(path["Transformer"].glob("sentence_*_config.json"), path["Transformer"] / "none"))
    pooling = _read_json(path["Pooling"] / "config.json") if "Pooling" in path else {}
    return Recipe(
        backbone=path["Transformer"],
        pooling=_pooling_modes(model.name, pooling),
        pool_prompt=pooling.get("include_prompt", True),
        normalise="Normalize" in path,
        prompt=prompt,
        max_length=limits.get("max_seq_length"),
        lowercase=limits.get("do_lower_case", False),
    )


def _pooling_modes(name: str, config: dict[str, Any]) -> tuple[str, ...]:
    """Modes from today's ``pooling_mode`` or from the older ``pooling_mode_*`` switches."""
    given = config.get("pooling_mode")
    if given is None:
        switches = {
            "cls": "cls_token",
            "max": "max_tokens",
            "mean": "mean_tokens",
            "weightedmean": "weightedmean_tokens",
        }
        given = [mode for mode in POOLINGS if config.get(f"pooling_mode_{switches.get(mode, mode)}")] or ["mean"]
    modes = (given,) if isinstance(given, str) else tuple(given)
    if unknown := set(modes) - POOLINGS.keys():
        raise ConfigError(f"text model {name!r}: pooling among {', '.join(POOLINGS)} expected, got {sorted(unknown)}")
    return modes


def _document_prompt(config: dict[str, Any]) -> str:
    prompts = config.get("prompts") or {}
    named = [*DOCUMENT_PROMPTS, config.get("default_prompt_name")]
    return next((prompts[key] for key in named if prompts.get(key) is not None), "")


def _read_json(path: Path) -> Any:
    """What the file holds; an empty dict where there is none."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: JSON expected ({error}); download the model again") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' bars and log lines off the terminal while a model is loaded."""
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
