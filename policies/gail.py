"""GAIL: the reward is a discriminator's doubt whether this was the expert.

Ho and Ermon (2016), "Generative adversarial imitation learning" (arXiv:1606.03476). A
discriminator learns to tell the expert's (observation, action) from the learner's, and
the learner, by reinforcement learning, to be taken for the expert:

    D:  max  E_expert[log D] + E_learner[log(1 - D)] - penalty
    pi: max  E[sum_t discount^t r(s_t, a_t)],   r = log D - log(1 - D), the logit,

with the losses, penalties and rewards of :mod:`ml.generative.gan`. The paper's learner
is TRPO; this one is stable-baselines3's SAC, off-policy, with rewards that are judged
anew by the present discriminator whenever a transition is drawn (Kostrikov et al. 2019,
"Discriminator-actor-critic", arXiv:1809.02925), and with the expert's transitions in
each batch (as Ball et al. 2023, arXiv:2302.02948, do with data of any origin): the
critic knows what good states are worth before the learner has been there. The
environment's own reward never arrives (:mod:`policies.rewardless_env`), and success is
not looked at either: the checkpoint is the average of the last actors, not the best.

Kostrikov et al. also show that rewards of one sign favour long or short episodes. Here
none can be had: episodes end by their time limit alone, all after the same time, and a
time limit is no end to the value function, which bootstraps through it. Demonstrations
of different lengths, of a task that ends early, would need absorbing states, and are
refused.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from stable_baselines3 import SAC
from torch import Tensor, nn

from assets.errors import UsageError
from ml.metrics_log import MetricsLog
from policies.actor import ActorConfig, ActorNet
from policies.gail_judge import Discriminator, Game, JudgedBuffer
from policies.imitation.net import OBSERVATION, Sizes
from policies.learners import Interactive, Learner
from policies.sb3 import clone, mean_layers, seeded

if TYPE_CHECKING:
    from ml.lerobot import Demonstrations
    from policies.imitation.data import Subject

FINAL_RATE = 0.02
"""Of the learning rate at the beginning."""


@dataclass(frozen=True, kw_only=True)
class GAILConfig:
    """The game, and both players."""

    demonstrations: int = 100
    """How many of the dataset's, the first ones."""
    steps: int = 100_000
    """Actions that the learner takes, in all environments together."""
    hold: int = 4
    """Control steps that an action lasts; the expert's is averaged over them."""
    num_envs: int = 64
    """Environments side by side."""
    hidden: tuple[int, ...] = (128, 128)
    """Width of the actor's hidden layers."""
    critic: tuple[int, ...] = (96, 96)
    """Width of each critic's."""
    updates: int = 16
    """SAC's steps of the optimiser per step of all environments."""
    batch_size: int = 256
    """Transitions in each, and of either side for the discriminator."""
    learning_rate: float = 1e-3
    """SAC's at the beginning; it falls linearly."""
    target_entropy: float = -5.0
    """Of the actor, in nats, which SAC keeps up by paying for it: its usual -1 per
    action is a noise of a tenth of the torques, too much to hold still in."""
    discount: float = 0.95
    """Of a reward one action later."""
    discriminator: tuple[int, ...] = (96, 96)
    """Width of the discriminator's hidden layers."""
    discriminator_rate: float = 5e-4
    """Its learning rate."""
    discriminator_updates: int = 4
    """Its steps of the optimiser per step of all environments."""
    penalty: float = 0.3
    """Weight of the penalty on its gradient."""
    penalty_kind: Literal["interpolated", "r1"] = "interpolated"
    """Which, see ml/generative/gan.py."""
    reward: Literal["airl", "gail", "bounded"] = "airl"
    """What imitating is worth, by the discriminator's logit."""
    expert_share: float = 0.5
    """Of a batch for SAC, how much is the expert's: transitions that lead to where the
    learner cannot go yet, judged like its own."""
    recent: int = 30_000
    """Of the learner's actions, how many of the last the discriminator sees."""
    warm_start: int = 0
    """Steps of behaviour cloning before the game; 0: the actor begins at random."""
    ema_decay: float = 0.998
    """Of the average of the actor's weights that is kept, per step of all
    environments."""
    seed: int = 0
    """Of everything that is drawn."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        for name in (
            *("demonstrations", "steps", "hold", "num_envs", "updates", "batch_size"),
            *("learning_rate", "discriminator_rate", "discriminator_updates", "recent"),
        ):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is above 0, got {getattr(self, name)}")
        if not 0 <= self.expert_share < 1:
            raise UsageError(
                f"expert_share is from 0 to less than 1, got {self.expert_share:g}"
            )
        if not 0 <= self.discount < 1 or not 0 <= self.ema_decay < 1:
            raise UsageError(
                f"discount and ema_decay lie in 0 to 1, got {self.discount:g} and "
                f"{self.ema_decay:g}"
            )
        if self.penalty < 0 or self.warm_start < 0:
            raise UsageError(
                f"penalty and warm_start are at least 0, got {self.penalty:g} and "
                f"{self.warm_start}"
            )


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
    with seeded(config.seed):
        subject, net, expert, after = _prepare(dataset, config)
        open_run(out, resume=False, overwrite=overwrite)
        judge = Discriminator(expert, config)
        model = _learner(subject, net, judge, after, config)
        began, used = time.perf_counter(), time.process_time()
        log = MetricsLog(out, step=0, tensorboard=False)
        bar = tqdm(
            total=config.steps,
            desc="train gail",
            delay=2,
            disable=None if progress is None else not progress,
        )
        game = Game(judge, config, log, lambda done: bar.update(done - bar.n))
        try:
            if config.warm_start:
                seen, done = expert.split([net.sizes.inputs, net.sizes.outputs], 1)
                clone(
                    model.actor,
                    seen,
                    done,
                    steps=config.warm_start,
                    batch_size=config.batch_size,
                    learning_rate=config.learning_rate,
                    seed=config.seed,
                )
            model.learn(config.steps, callback=game)
        finally:
            bar.close()
            log.close()
            assert model.env is not None
            model.env.close()
    assert game.average is not None
    net.network.load_state_dict(mean_layers(game.average.module))
    result = GAILResult(
        steps=model.num_timesteps * config.hold,
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - used,
        expert_logit=judge.figures["expert_logit"],
        learner_logit=judge.figures["learner_logit"],
    )
    _publish(out, subject, net, config, result)
    return result


def _prepare(
    dataset: "Demonstrations", config: GAILConfig
) -> tuple["Subject", ActorNet, Tensor, Tensor]:
    """What is learned from, the empty actor, and the expert's normalised frames.

    Of each frame (n, inputs + outputs) there is what was seen after its action, too.

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
    first, held, later = [], [], []
    for begin, end in dataset.bounds[: config.demonstrations]:
        count = (end - begin - 1) // hold
        rows = begin + hold * np.arange(count + 1)
        first.append(seen[rows[:-1]])
        later.append(seen[rows[1:]])
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
    return subject, net, torch.cat(frames, 1), normalized(OBSERVATION, later)


def _learner(
    subject: "Subject",
    net: ActorNet,
    judge: Discriminator,
    after: Tensor,
    config: GAILConfig,
) -> SAC:
    """stable-baselines3's SAC, in an environment without reward."""
    from policies.rewardless_env import RewardlessVecEnv

    assert subject.task is not None

    def look(obs: dict[str, np.ndarray]) -> np.ndarray:
        rows = torch.from_numpy(subject.inputs.gather(obs))
        return net.normalizer.normalize(OBSERVATION, rows).numpy()

    env = RewardlessVecEnv(
        subject.task,
        config.num_envs,
        look=look,
        size=net.sizes.inputs,
        hold=config.hold,
        seed=config.seed,
    )
    return SAC(
        "MlpPolicy",
        env,
        learning_rate=lambda left: config.learning_rate * max(left, FINAL_RATE),
        buffer_size=max(config.steps, config.num_envs),
        learning_starts=min(2000, config.steps // 10),
        batch_size=config.batch_size,
        tau=0.01,
        gamma=config.discount,
        target_entropy=config.target_entropy,
        train_freq=(1, "step"),
        gradient_steps=config.updates,
        replay_buffer_class=JudgedBuffer,
        replay_buffer_kwargs={
            "judge": judge,
            "after": after,
            "share": config.expert_share,
        },
        policy_kwargs={
            "net_arch": {"pi": list(config.hidden), "qf": list(config.critic)},
            "activation_fn": nn.ReLU,
            "optimizer_kwargs": {"fused": True},
        },
        seed=config.seed,
        device="cpu",
    )


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
