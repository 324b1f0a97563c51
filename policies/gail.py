"""GAIL by a model: the reward is a discriminator's doubt whether this was the expert.

Ho and Ermon (2016), "Generative adversarial imitation learning" (arXiv:1606.03476). A
discriminator learns to tell the expert's (observation, action) from the learner's, and
the learner to be taken for the expert:

    D:  max  E_expert[log D] + E_learner[log(1 - D)] - penalty
    pi: max  E[sum_t discount^t r(s_t, a_t)],   r = log D - log(1 - D), the logit,

with the losses, penalties and rewards of :mod:`ml.generative.gan`. The paper's learner
is TRPO, to whom D is a number; but D is a network, and says in which direction an
action would have looked more like the expert's. To have that of later consequences,
too, a model of the environment is learned (:mod:`policies.forward_model`), and the
actor climbs the gradient of r through roll-outs that it imagines from states it has
been in, and from the expert's (Baram et al. 2017, "End-to-end differentiable
adversarial imitation learning", PMLR 70).

Each round acts for an episode in all environments, half of them disturbed; fits the
model to all that was seen; and lets discriminator and actor take turns. The
discriminator sees the learner's real frames of the last rounds, undisturbed ones, never
imagined ones. The environment's own reward never arrives (:mod:`policies.rewardless`),
and success is not looked at either: the checkpoint is the average of the last actors,
not the best.

Rewards of one sign favour long or short episodes (Kostrikov et al. 2019,
arXiv:1809.02925). Here none can be had: roll-outs are imagined for a fixed time. For
the same reason the model knows no end of an episode. Demonstrations of different
lengths, of a task that ends early, would need it, and are refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from assets.errors import UsageError
from ml.metrics_log import MetricsLog
from policies.actor import ActorConfig, ActorNet
from policies.gail_game import Game
from policies.imitation.net import OBSERVATION, Sizes
from policies.learners import Interactive, Learner

if TYPE_CHECKING:
    from ml.lerobot import Demonstrations
    from policies.imitation.data import Subject
    from policies.rewardless import Explorer


@dataclass(frozen=True, kw_only=True)
class GAILConfig:
    """The game, and who plays it."""

    demonstrations: int = 100
    """How many of the dataset's, the first ones."""
    rounds: int = 100
    """Of an episode in each environment, and of learning from it."""
    hold: int = 4
    """Control steps that an action lasts; the expert's is averaged over them."""
    num_envs: int = 32
    """Environments side by side."""
    noise: float = 0.15
    """On the actions of the environment that is disturbed most, of their range's half;
    so the model sees what the actor does not do."""
    hidden: tuple[int, ...] = (128, 128)
    """Width of the actor's hidden layers."""
    updates: int = 60
    """The actor's steps of the optimiser per round."""
    imagined: int = 128
    """Roll-outs imagined in each."""
    expert_share: float = 0.3
    """Of them, how many begin at the expert's states; the others at the learner's."""
    horizon: int = 25
    """Actions in each roll-out: of a second, on the arm. Within half of one it learns
    to circle the target, which looks like coming near as often as not."""
    discount: float = 0.97
    """Of a reward one action later."""
    learning_rate: float = 1e-3
    """The actor's, until it falls."""
    cool_down: float = 0.4
    """Share of the rounds, the last ones, in which all learning rates fall linearly."""
    final_rate: float = 0.05
    """Of the learning rates at the end, as a part of those at the beginning."""
    max_norm: float = 1.0
    """The gradient of a roll-out is cut to this size."""
    model: tuple[int, ...] = (128, 128)
    """Width of the model's hidden layers."""
    model_rate: float = 1e-3
    """The model's learning rate at the beginning."""
    model_updates: int = 150
    """The model's steps of the optimiser per round; in the random ones four times as
    many."""
    model_horizon: int = 5
    """Steps on end that the model should be right over."""
    discriminator: tuple[int, ...] = (128, 128)
    """Width of the discriminator's hidden layers."""
    details: int = 48
    """Directions in which the discriminator looks at several scales."""
    discriminator_rate: float = 1e-3
    """Its learning rate at the beginning."""
    discriminator_updates: int = 1
    """Its steps of the optimiser per step of the actor's."""
    batch_size: int = 256
    """Frames of either side for the discriminator, and segments for the model."""
    penalty: float = 0.05
    """Weight of the penalty on the discriminator's gradient."""
    penalty_kind: Literal["both", "r1", "interpolated"] = "both"
    """Which, see ml/generative/gan.py."""
    reward: Literal["airl", "gail", "bounded"] = "airl"
    """What imitating is worth, by the discriminator's logit."""
    recent: int = 4
    """Rounds whose frames the discriminator sees."""
    remembered: int = 40
    """Rounds in whose states roll-outs begin."""
    warm_start: int = 0
    """Steps of behaviour cloning before the game; 0: the actor begins at random."""
    ema_decay: float = 0.998
    """Of the average of the actor's weights that is kept, per step of the actor's."""
    seed: int = 0
    """Of everything that is drawn."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        for name in (
            *("demonstrations", "hold", "updates", "imagined", "horizon", "max_norm"),
            *("learning_rate", "final_rate", "model_rate", "model_updates", "details"),
            *("model_horizon", "discriminator_rate", "discriminator_updates"),
            *("batch_size", "recent", "remembered"),
        ):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is above 0, got {getattr(self, name)}")
        for name in ("rounds", "num_envs"):
            if getattr(self, name) < 2:
                raise UsageError(f"{name} is at least 2, got {getattr(self, name)}")
        for name in ("discount", "ema_decay", "expert_share"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(
                    f"{name} is from 0 to less than 1, got {getattr(self, name):g}"
                )
        if not 0 < self.cool_down <= 1:
            raise UsageError(
                f"cool_down is above 0 and at most 1, got {self.cool_down:g}"
            )
        for name in ("penalty", "warm_start", "noise"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name):g}")


@dataclass(frozen=True, kw_only=True)
class GAILResult:
    """How it ended."""

    steps: int
    """Control steps of all environments together."""
    seconds: float
    """Wall-clock time [s]."""
    cpu_seconds: float
    """Processor's time [s]."""
    expert_logit: float
    """The discriminator's mean, of the expert's in the last batch ..."""
    learner_logit: float
    """... and of the learner's; the same: it cannot tell them apart."""

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"{self.steps} control steps in {self.seconds:.0f} s, of which "
            f"{self.cpu_seconds:.0f} s computing; the discriminator gives the expert "
            f"{self.expert_logit:.2f}, the learner {self.learner_logit:.2f}"
        )


def train(
    config: GAILConfig,
    *,
    data: Path,
    out: Path,
    overwrite: bool = False,
    progress: bool | None = None,
) -> GAILResult:
    """Play the game; the averaged actor becomes the checkpoint in ``out``.

    Args:
        config: how.
        data: folder of the expert's demonstrations, of a task of ours.
        out: folder of the run.
        overwrite: whether a run in ``out`` makes way.
        progress: whether to draw a progress bar; None: on a terminal.

    Raises:
        UsageError: ``out`` exists, or data that name no task, or are too few.
    """
    import time

    from tqdm import tqdm

    from ml.lerobot import read_dataset
    from ml.training_setup import open_run

    dataset = read_dataset(Path(data))
    with _seeded(config.seed):
        subject, net, expert = _prepare(dataset, config)
        open_run(out, resume=False, overwrite=overwrite)
        began, used = time.perf_counter(), time.process_time()
        game = Game(net, expert, config)
        explorer = _explorer(subject, net, config)
        log = MetricsLog(out, step=0, tensorboard=False)
        try:
            game.warm_up()
            for index in tqdm(
                range(config.rounds),
                desc="train gail",
                delay=2,
                disable=None if progress is None else not progress,
            ):
                game.play(explorer)
                log.write(index + 1, **game.figures)
        finally:
            log.close()
            explorer.close()
    net.network.load_state_dict(game.average.state_dict())
    assert subject.task is not None
    result = GAILResult(
        steps=config.rounds * config.num_envs * subject.task.max_steps,
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - used,
        expert_logit=game.figures["expert_logit"],
        learner_logit=game.figures["learner_logit"],
    )
    _publish(out, subject, net, config, result)
    return result


def _prepare(
    dataset: "Demonstrations", config: GAILConfig
) -> tuple["Subject", ActorNet, Tensor]:
    """What is learned from, the untrained actor, and the expert's frames.

    They are (n, inputs + outputs), observations normalised and actions in [-1, 1].

    Raises:
        UsageError: the dataset names no task, or has too few demonstrations.
    """
    from ml.lerobot.layout import ACTION
    from policies.imitation.data import choose
    from policies.inputs import PREFIX
    from sims import make_task

    name = dataset.about.get("task")
    if name is None:
        raise UsageError(
            f"{dataset.folder} names no task to act in: record it with "
            f"'sandbot collect'"
        )
    if len(dataset.bounds) < config.demonstrations:
        raise UsageError(
            f"{dataset.folder} has {len(dataset.bounds)} demonstrations, and "
            f"{config.demonstrations} are to be looked at: record more, or ask for "
            f"fewer"
        )
    lengths = np.diff(dataset.bounds[: config.demonstrations], axis=1)
    if np.ptp(lengths):
        raise UsageError(
            f"demonstrations of {dataset.folder} last {lengths.min()} to "
            f"{lengths.max()} steps: where episodes end early, the game would be about "
            f"ending them. Record them to the time limit"
        )
    actor = ActorConfig(chunk=config.hold, hidden=config.hidden)
    subject = choose(dataset, make_task(name), actor)
    keys = [PREFIX + group for group in subject.inputs.specs]
    seen = subject.inputs.gather({k: dataset.vectors(k) for k in keys}, PREFIX)
    done = dataset.vectors(ACTION)
    hold = config.hold
    first, held = [], []
    for begin, end in dataset.bounds[: config.demonstrations]:
        count = (end - begin) // hold
        first.append(seen[begin + hold * np.arange(count)])
        actions = done[begin : begin + count * hold]
        held.append(actions.reshape(count, hold, -1).mean(1))
    observations = np.concatenate(first)
    specs = subject.inputs.specs
    sizes = Sizes(
        groups={g: s.size for g, s in specs.items()},
        outputs=subject.action_spec.size,
    )
    net = ActorNet(sizes, actor)
    net.bound(observations, subject.action_spec)
    normal = net.normalizer

    def normalized(key: str, parts: list[np.ndarray]) -> Tensor:
        return normal.normalize(key, torch.from_numpy(np.concatenate(parts)))

    frames = [normalized(OBSERVATION, first), normalized(ACTION, held)]
    return subject, net, torch.cat(frames, 1)


def _explorer(subject: "Subject", net: ActorNet, config: GAILConfig) -> "Explorer":
    """Environments that are seen as the actor sees them."""
    from policies.rewardless import Explorer

    assert subject.task is not None

    def look(obs: dict[str, np.ndarray]) -> Tensor:
        rows = torch.from_numpy(subject.inputs.gather(obs))
        return net.normalizer.normalize(OBSERVATION, rows)

    return Explorer(
        subject.task, config.num_envs, look=look, hold=config.hold, seed=config.seed
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Weights to begin with; the caller's draws go on as if nothing had been.

    One thread, too: more of them may change the order of a sum.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _publish(
    out: Path,
    subject: "Subject",
    net: ActorNet,
    config: GAILConfig,
    result: GAILResult,
) -> None:
    """The actor, what it reads, how it came about, and the model card."""
    from ml.checkpoint import write_checkpoint
    from ml.model_card import model_card
    from ml.provenance import command, commit, versions

    dataset, task = subject.dataset, subject.task
    assert task is not None
    network = {k: v for k, v in asdict(net.config).items() if k != "training"}
    about = {
        "policy": net.config.kind,
        "task": task.name,
        "robot": task.robot,
        "inputs": list(subject.inputs.names),
        "network": network,
        "observation": subject.inputs.to_dict(),
        "action_spec": subject.action_spec.to_dict(),
        "control_dt": dataset.control_dt,
        "gail": asdict(config) | asdict(result),
        "dataset": dataset.folder.as_posix(),
        "dataset_sha256": dataset.sha256(),
        "command": command(),
        "commit": commit(),
        "versions": versions(),
    }
    facts = {
        "task": task.name,
        "policy": "the mean of an actor, trained against a discriminator",
        "data": f"{about['dataset']}, {config.demonstrations} episodes",
        "control steps": result.steps,
        "an action lasts": f"{config.hold} control steps",
        "begun from": "behaviour cloning" if config.warm_start else "random weights",
        "discriminator, expert": result.expert_logit,
        "discriminator, learner": result.learner_logit,
        "training time": f"{result.seconds:.0f} s, {result.cpu_seconds:.0f} s of a CPU",
        "seed": config.seed,
        "commit": about["commit"],
    }
    summary = (
        "Learned by imitation without a reward and without asking: neither the task's "
        "reward nor its success was looked at. How often it succeeds: evaluate."
    )
    write_checkpoint(
        out,
        config=about,
        weights=net.state_dict(),
        card=model_card(f"gail on {task.name}", summary, facts, about["command"]),
    )


LEARNER = Learner(config=ActorConfig, make=ActorNet)
TRAINER = Interactive(config=GAILConfig, train=train, watches=True)
