"""What every test shares: no network, two threads, a text cache of the test session, the folder of real logs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, so before any test module
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["COLUMNS"] = "80"  # the width that help and tables are held to


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    import torch  # after jaxtyping's import hook, and not for tests that are only collected

    torch.set_num_threads(2)


@pytest.fixture(scope="session", autouse=True)
def text_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder of text vectors for the whole session: nothing is encoded twice, nothing is left behind."""
    folder = tmp_path_factory.mktemp("text-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHREC_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real logs, from $GRAPHREC_DATA."""
    given = os.environ.get("GRAPHREC_DATA")
    if not given:
        pytest.skip("set GRAPHREC_DATA to the folder of the real logs to run this test")
    folder = Path(given)
    if not folder.is_dir():
        pytest.skip(f"GRAPHREC_DATA={given} is not a folder")
    return folder
