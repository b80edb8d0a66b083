"""Parallel encoding of texts in worker processes, each with its own model and share of the threads."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_end
from threading import Thread
from typing import Any, cast

import numpy as np
import torch

from builders.text.encoder import TextEncoder, load_encoder
from graphrec.errors import ConfigError

_encoder: TextEncoder | None = None
"""Text encoder of a worker process."""


def encode_parallel(
    parts: Iterator[list[str]], encoder: TextEncoder, processes: int
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Each part with its vectors, [n, dimension] float16, in the order of completion.

    A part is drawn when a process is free for it. On CPU the processes share the threads of this one; with CUDA
    each takes the next device.

    Raises ConfigError if a process dies.
    """
    threads = max(1, torch.get_num_threads() // processes)
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads or CUDA may hang
    settings = (encoder.name, encoder.device.type, threads, context.Value("i", 0))
    pool = ProcessPoolExecutor(processes, context, _start, settings)
    pending: dict[Future[np.ndarray], list[str]] = {}
    try:
        for part in parts:
            pending[pool.submit(_encode, part)] = part
            if len(pending) > processes:
                yield from _completed(pending)
        while pending:
            yield from _completed(pending)
    except BrokenProcessPool:
        raise ConfigError(
            f"text model {encoder.name!r}: one of {processes} processes died, perhaps out of memory; "
            "run again with fewer: encoded texts are in the cache"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _completed(pending: dict[Future[np.ndarray], list[str]]) -> Iterator[tuple[list[str], np.ndarray]]:
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()


def _start(name: str, device: str, threads: int, started: Any) -> None:
    """Load the model in a new process."""
    global _encoder
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # the tokenizer's threads
    torch.set_num_threads(threads)
    Thread(target=_end_with_parent, daemon=True).start()
    with started.get_lock():
        rank, started.value = started.value, started.value + 1
    _encoder = load_encoder(name, f"cuda:{rank % torch.cuda.device_count()}" if device == "cuda" else device)


def _end_with_parent() -> None:
    """Exit if the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_end([parent.sentinel])
        os._exit(1)


def _encode(texts: list[str]) -> np.ndarray:
    return cast(TextEncoder, _encoder).encode(texts).astype(np.float16)  # _start made it
