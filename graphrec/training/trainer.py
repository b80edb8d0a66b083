"""Fitting a model to a graph: resumable to the bit, the best checkpoint kept, every run documented."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from jaxtyping import Int64
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from graphrec.errors import RunError
from graphrec.evaluation.validation import validate
from graphrec.graph.temporal_graph import TemporalGraph
from graphrec.models.registry import LossOptions, model_entry
from graphrec.progress import NoProgress, Progress
from graphrec.runs.config import RunConfig
from graphrec.runs.manifest import RunManifest, peak_memory, run_manifest, save_run
from graphrec.runs.run import pick_device
from graphrec.runs.training_split import check_not_empty, protocol_for, training_view
from graphrec.training import checkpoint
from graphrec.training.checkpoint import TrainingState
from graphrec.training.closed_form import fit

MIN_EPOCHS = 3
"""Epochs of a large log, unless ``epochs`` is smaller."""


def train(
    graph: str | Path,
    out: str | Path,
    *,
    config: RunConfig | None = None,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
) -> RunManifest:
    """Train a model on a graph directory and write a run directory.

    Parameters
    ----------
    graph, out
        Graph directory to train on, run directory to write. An ``out`` that is not empty is refused, unless ``resume``
        continues the run in it.
    config
        Settings; None: the defaults, or those of the run to resume, which cannot be replaced by others.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Returns
    -------
    The run's manifest. ``resume`` continues an interrupted training from its last checkpoint.
    """
    root = Path(out)
    chosen = _resumed(root, config) if resume else _fresh(root, config)
    if model_entry(chosen.model.name).loss is None:
        return fit(Path(graph), root, chosen, device, progress or NoProgress())
    training = Training(Path(graph), root, chosen, device, progress or NoProgress())
    if resume:
        training.restore()
    chosen.save(root / "config.yaml")  # only now is the run begun: what is refused leaves no folder
    return training.run()


def _resumed(root: Path, config: RunConfig | None) -> RunConfig:
    """Settings of the run to resume."""
    path = root / "config.yaml"
    if not path.is_file():
        raise RunError(f"{root}: nothing to resume here; start a run without --resume")
    begun = RunConfig.stored(path)
    if config not in (None, begun):
        raise RunError(f"{path}: the run to resume has other settings than given; give none, or another --out")
    return begun


def _fresh(root: Path, config: RunConfig | None) -> RunConfig:
    """Settings of a new run. RunError where the folder is not empty; of several processes the first one checks."""
    if os.environ.get("RANK", "0") == "0" and root.exists() and (not root.is_dir() or any(root.iterdir())):
        begun, done = ((root / name).is_file() for name in ("config.yaml", "manifest.json"))
        run = "a finished run" if done else "an unfinished run (go on with --resume)"
        held = run if begun else "something else"
        raise RunError(f"{root}: a new folder expected, but it holds {held}; give another --out or remove it")
    return config or RunConfig()


class Training:
    """One training, from its first step or a checkpoint to the manifest of its run."""

    def __init__(self, graph: Path, root: Path, config: RunConfig, device: str, progress: Progress) -> None:
        self.root, self.config, self.progress, self.graph_path = root, config, progress, graph
        settings = config.training
        where = pick_device(device)
        bf16 = where.type == "cuda" and torch.cuda.is_bf16_supported()
        self.precision = {"auto": "bf16" if bf16 else "no"}.get(settings.precision, settings.precision)
        AcceleratorState._reset_state(reset_partial_state=True)  # else the first training of a process decides for all
        if where.index is not None:
            torch.cuda.set_device(where)
        self.accelerator = Accelerator(cpu=where.type == "cpu", mixed_precision=self.precision)
        self.graph = training_view(TemporalGraph.open(graph, self.accelerator.device), settings)
        self.protocol = protocol_for(self.graph, settings)
        torch.manual_seed(config.seed)
        entry = model_entry(config.model.name)
        if entry.loss is None:
            raise TypeError(f"a model trained by gradient steps expected, got {entry.name}")
        self.model: nn.Module = entry.create(self.graph, config.model, None)
        self.training_set = entry.training_set(self.model, self.graph, self.protocol)
        check_not_empty(self.training_set, graph)
        samples = min(len(self.training_set), settings.samples_per_epoch)
        self.steps = math.ceil(samples / settings.batch_size)  # per epoch
        self.epochs = min(settings.epochs, max(MIN_EPOCHS, math.ceil(settings.min_steps / self.steps)))
        loss = entry.loss(
            self.model, self.graph, LossOptions(settings.negatives, settings.full_softmax, self.protocol.novel)
        )
        _keep_buffers_local(loss)
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.model.parameters() if parameter.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.loss, self.optimiser = self.accelerator.prepare(loss, optimiser)
        self.state = TrainingState(graph=self.graph.manifest.hash)

    def restore(self) -> None:
        """Load the last checkpoint, if there is one."""
        path = self.root / "checkpoints" / "last.safetensors"
        if path.is_file():
            graph_hash, self.state = self.state.graph, checkpoint.load(path, self.model, self.optimiser)
            if self.state.graph != graph_hash:
                raise RunError(f"{self.root}: begun on another graph than {self.graph_path}; resume it on that one")

    def run(self) -> RunManifest:
        """Train until the epochs are over or validation stops improving; write model and manifest."""
        self.started = time.monotonic() - self.state.seconds
        writer = SummaryWriter(str(self.root)) if self.accelerator.is_main_process else None
        try:
            while not self._over():
                self._epoch(writer)
        finally:  # no checkpoint on an interrupt, which may come within a step
            self.progress.finish()
            if writer is not None:
                writer.close()
        return self._finish()

    def _over(self) -> bool:
        done, settings = len(self.state.history), self.config.training
        return done >= self.epochs or (done > 0 and done - 1 - self.state.best_epoch >= settings.patience)

    def _epoch(self, writer: SummaryWriter | None) -> None:
        state, settings = self.state, self.config.training
        number = len(state.history)
        self.progress.start(f"epoch {number + 1}/{self.epochs}", self.steps)
        done = state.step - number * self.steps
        self.progress.advance(done)
        for batch in self._batches(number, done):
            state.loss_sum += self._step(batch)
            state.step += 1
            done += 1
            self.progress.advance(1, f"loss {state.loss_sum / done:.3f}")
            if done < self.steps and state.step % settings.checkpoint_every == 0:
                self._keep("last")
        self.progress.finish()
        self._close_epoch(number, writer)

    def _batches(self, epoch: int, done: int) -> Iterator[Int64[Tensor, " batch"]]:
        """Indices of the remaining batches of an epoch, of each the part of this process."""
        order = torch.Generator().manual_seed(_seed(self.config.seed, -1 - epoch))
        rows = torch.randperm(len(self.training_set), generator=order)[: self.config.training.samples_per_epoch]
        processes, process = self.accelerator.num_processes, self.accelerator.process_index
        for step in range(done, self.steps):
            size = self.config.training.batch_size
            yield rows[step * size : (step + 1) * size][process::processes].to(self.accelerator.device)

    def _step(self, batch: Int64[Tensor, " batch"]) -> float:
        """One optimiser step; returns the mean loss of the batch."""
        self.loss.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(self.state.step)
        total = 0.0
        parts = batch.chunk(self.config.training.accumulate)
        for index, part in enumerate(parts):
            torch.manual_seed(_seed(self.config.seed, self.state.step * self.config.training.accumulate + index))
            with self.accelerator.autocast():
                loss = self.loss(*self.training_set[part]) * (len(part) / len(batch))
            self.accelerator.backward(loss)
            total += float(loss.detach())
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.training.gradient_clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return total

    def _rate(self, step: int) -> float:
        """Learning rate: linear warm-up, then cosine decay over all epochs to a fiftieth."""
        settings = self.config.training
        total = self.epochs * self.steps
        warmup = min(1.0, (step + 1) / max(settings.warmup, 1))
        return settings.learning_rate * warmup * (0.02 + 0.49 * (1 + math.cos(math.pi * min(step / total, 1))))

    def _close_epoch(self, number: int, writer: SummaryWriter | None) -> None:
        metrics = self._validate()
        record = {
            "epoch": number + 1,
            "train_loss": self.state.loss_sum / self.steps,
            "learning_rate": self._rate(self.state.step - 1),
            "seconds": time.monotonic() - self.started,
            **metrics,
        }
        self.state.history.append(record)
        self.state.loss_sum = 0.0
        score = metrics.get(self.protocol.primary_metric, -record["train_loss"])
        if score > self.state.best or self.state.best_epoch < 0:
            self.state.best, self.state.best_epoch = score, number
            self._keep("best")
        self._keep("last")
        if writer is not None:
            for name, value in record.items():
                writer.add_scalar(name, value, number + 1)

    def _validate(self) -> dict[str, float]:
        return validate(self.graph, self.model, self.protocol, self.config)

    def _keep(self, name: str) -> None:
        self.state.seconds = time.monotonic() - self.started
        self.state.peak_memory = max(self.state.peak_memory, peak_memory(self.accelerator.device))
        if self.accelerator.is_main_process:
            optimiser = self.optimiser if name == "last" else None
            checkpoint.save(self.root / "checkpoints" / f"{name}.safetensors", self.model, optimiser, self.state)

    def _finish(self) -> RunManifest:
        """Take the best checkpoint as the model and write the manifest, which marks the run as finished."""
        self.accelerator.wait_for_everyone()
        checkpoint.load(self.root / "checkpoints" / "best.safetensors", self.model)
        state, accelerator = self.state, self.accelerator
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        size = {"parameters": parameters, "training_rows": len(self.training_set)}
        cost = {"wall_seconds": round(state.seconds, 1), "peak_memory": state.peak_memory, "history": state.history}
        machine = {
            "device": str(accelerator.device),
            "precision": self.precision,
            "processes": accelerator.num_processes,
        }
        training = {**machine, **size, "best_epoch": state.best_epoch + 1, **cost}
        manifest = run_manifest(self.graph, self.graph_path, self.root, self.protocol, self.config.seed, **training)
        if self.accelerator.is_main_process:
            save_run(self.root, manifest, self.model.state_dict())
        return manifest


def _keep_buffers_local(module: nn.Module) -> None:
    """Exempt buffers from the exchange between processes: each process computes the same ones from the same graph.

    ``DistributedDataParallel`` would broadcast them before every forward pass, and refuses sparse CSR (torch 2.13).
    """
    names = [name for name, _ in module.named_buffers()]
    parallel = nn.parallel.DistributedDataParallel
    parallel._set_params_and_buffers_to_ignore_for_model(module, names)  # type: ignore[no-untyped-call]


def _seed(seed: int, step: int) -> int:
    """Seed of one step, so that its random draws do not depend on those of earlier steps."""
    return (seed * 1_000_003 + step + 7) % 2**63
