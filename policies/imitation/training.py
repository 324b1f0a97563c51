"""Train a policy on demonstrations, from a dataset's folder to a checkpoint's."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.checkpoint import write_checkpoint
from ml.lerobot import read_dataset
from ml.parallel import Parallel
from ml.training import Trainer, TrainingResult
from ml.training_setup import open_run, reproducible
from policies.imitation.card import about, card
from policies.imitation.data import choose, make_samples, sizes_of
from policies.imitation.evaluation import evaluator
from policies.learners import find_learner

if TYPE_CHECKING:
    from policies.imitation.config import ImitationConfig

SCRATCH = "scratch"
"""Folder within the run for pictures that do not fit into memory."""


def train(
    config: "ImitationConfig",
    *,
    data: Path,
    out: Path,
    task: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> TrainingResult:
    """Learn from the demonstrations of a dataset; a checkpoint comes of it.

    Args:
        config: what is learned, and how; its type says by which algorithm.
        data: folder of the dataset.
        out: folder of the run, which becomes the checkpoint.
        task: name of the task, or a Gymnasium id, which the dataset must fit; None:
            the one that the dataset names, or none at all.
        resume: go on where a training in ``out`` was interrupted, to the same bits.
        overwrite: whether a training in ``out`` makes way.
        progress: whether to draw a progress bar; None: on a terminal.

    Raises:
        UsageError: ``out`` exists, or nothing to resume, or data that do not fit.
        SandbotError: damaged data, a loss that is not finite, a folder that cannot be
            written.
    """
    learner = find_learner(config.kind)
    dataset = read_dataset(Path(data))
    name = task or dataset.about.get("task")
    subject = choose(dataset, _task(name, asked=task is not None), config)
    identity = {
        "policy": config.kind,
        "task": subject.name,
        "inputs": list(subject.inputs.names),
        "network": {k: v for k, v in asdict(config).items() if k != "training"},
        "dataset_sha256": dataset.sha256(),
    }
    training = config.training
    parallel = Parallel(training.device, training.precision)
    evaluate = evaluator(subject, config, parallel)
    parallel.once(lambda: open_run(out, resume=resume, overwrite=overwrite))
    with reproducible(training):
        net = learner.make(sizes_of(subject, config), config)
        scratch = out / SCRATCH / str(parallel.rank)  # each process writes its own
        samples = make_samples(subject, config, learner, net, scratch)
        frames = getattr(samples[0], "frames_per_sample", 1)
        trainer = Trainer(
            net,
            lambda model, batch, draws: model.loss(batch, draws),  # pyright: ignore[reportCallIssue]
            *samples,
            folder=out,
            config=training,
            batch=max(1, training.batch_size // frames),
            identity=identity,
            evaluate=evaluate,
            parallel=parallel,
        )
        complete = trainer.finished and (out / "config.json").is_file()
        result = _run_with_bar(trainer, config.kind, progress)
    if not complete and parallel.main:
        whole = {**identity, **about(subject, config, result)}
        write_checkpoint(
            out, config=whole, weights=result.weights, card=card(whole, result)
        )
    return result


def _task(name: str | None, *, asked: bool) -> Any:
    """The task of that name; None where the dataset names one that is not known."""
    from assets.errors import UsageError
    from sims import make_task

    if name is None:
        return None
    try:
        return make_task(name)
    except UsageError:
        if asked:
            raise
        return None


def _run_with_bar(trainer: Trainer, kind: str, progress: bool | None) -> TrainingResult:
    from tqdm import tqdm

    hidden = not trainer.parallel.main or progress is False
    with tqdm(
        total=trainer.config.steps,
        initial=trainer.step,
        desc=f"train {kind}",
        unit="step",
        delay=2,
        disable=True if hidden else (None if progress is None else False),
    ) as bar:

        def tell(step: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(validation=f"{loss:.2e}", refresh=False)

        return trainer.run(tell)
