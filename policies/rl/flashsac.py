"""FlashSAC: soft actor-critic with networks that keep their size.

Holiday Robotics 2026, on SAC by Haarnoja et al. 2018 (arXiv:1812.05905). Fewer updates
learn more, since nothing grows while they do:

* networks of :mod:`policies.rl.residual`: batch norm after each product, weights of
  length 1, brought back after every step;
* the critics see now and next in one batch, ``cat(obs, next_obs)``, so that batch norm
  has the same statistics for a guess and for what it is to become (Bhatt et al. 2024,
  arXiv:1902.05605); the target likewise, by the batch's own statistics;
* values as distributions over fixed atoms of -5 .. 5, and rewards divided by the spread
  of the running return, so that every task's values lie in that range;
* the target is the whole distribution of that critic whose mean is lower;
* noise that is held for a while, its length drawn from a zeta distribution (Dabney et
  al. 2021, arXiv:2006.01782): most of it for a step, some for up to 16.

What the published code does and this does not: it discounts a window that time cut
short by gamma^n, not gamma^k (see :mod:`policies.rl.replay`); it holds the noise of all
environments for the same number of steps, and here each has its own; its running return
begins an episode with the last reward of the one before.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from policies.rl.algorithms import Algorithm
from policies.rl.config import OffPolicyConfig
from policies.rl.distribution import Atoms, cross_entropy
from policies.rl.fastsac import Temperature
from policies.rl.learner import OffPolicyLearner, mirrored, optimizer
from policies.rl.networks import RunningNorm, follow
from policies.rl.policy import Actor
from policies.rl.replay import Batch
from policies.rl.residual import ResidualActor, ResidualCritics, project
from policies.rl.worlds import MirrorMaps, Sizes, Transition


@dataclass(frozen=True, kw_only=True)
class FlashSACConfig(OffPolicyConfig):
    """As published for simulators on the CPU, where one environment takes one step per
    update; ``policies/rl/recipes.py`` has what two cores can do."""

    replay: int = 1_000_000
    warmup: int = 10_000
    batch_size: int = 512
    hidden: tuple[int, ...] = (128, 128)
    critic_hidden: tuple[int, ...] = (256, 256)
    final_rate: float = 0.5
    """Part of the learning rate that is left at the end, down a half cosine."""
    tau: float = 0.01
    """Part of the way that the target goes in an update."""
    actor_every: int = 2
    """Critic's updates per update of the actor."""
    critics: int = 2
    """How many."""
    atoms: int = 101
    """Of the distribution of returns."""
    most: float = 5.0
    """The atoms' range, to both sides; rewards are divided so that returns fit."""
    symmetry: bool = False
    """Whether half of each batch is the mirror image of the other half."""
    alpha: float = 0.01
    """Temperature at the beginning."""
    target_std: float = 0.15
    """The entropy's target, as that of a Gaussian of this spread on each element of an
    action in [-1, 1]."""
    log_std: tuple[float, float] = (-10.0, 2.0)
    """Bounds of the actor's spread, its logarithm."""
    hold: int = 16
    """Longest time for which noise is held [control steps]; 1: it is always new."""
    hold_power: float = 2.0
    """Noise is held for k steps with a probability in proportion to k^-power."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        for name in ("actor_every", "critics", "most", "alpha", "target_std", "hold"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("tau", "final_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(
                    f"{name} is above 0 and at most 1, got {getattr(self, name):g}"
                )
        for name in ("hidden", "critic_hidden"):
            if len(set(getattr(self, name))) > 1:
                raise UsageError(
                    f"{name}: blocks of a residual network are all as wide, got "
                    f"{getattr(self, name)}"
                )
        if self.batch_size % 2 and self.symmetry:
            raise UsageError(
                f"batch_size is even where half of a batch is mirrored, got "
                f"{self.batch_size}"
            )


class FlashSAC(OffPolicyLearner):
    """See the module's top."""

    recordable = True

    def __init__(
        self,
        sizes: Sizes,
        config: FlashSACConfig,
        device: torch.device,
        mirror: MirrorMaps | None = None,
    ) -> None:
        """Build the networks."""
        super().__init__(sizes, config, device, mirror if config.symmetry else None)
        self.config = config
        self.policy = ResidualActor(
            sizes.actor, sizes.action, config.hidden, config.log_std
        )
        inputs = sizes.critic + sizes.action
        self.critics = ResidualCritics(
            config.critics, inputs, config.atoms, config.critic_hidden
        )
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.atoms = Atoms(-config.most, config.most, config.atoms)
        self.alpha = Temperature(config.alpha)
        self.returns = ReturnScale(config.num_envs, config.gamma, config.most)
        self.held = HeldNoise(
            config.num_envs, sizes.action, config.hold, config.hold_power
        )
        self.nets = nn.ModuleDict(
            {
                "actor": self.policy,
                "critics": self.critics,
                "target": self.target,
                "atoms": self.atoms,
                "alpha": self.alpha,
                "returns": self.returns,
                "held": self.held,
            }
        ).to(device)
        self.rate = torch.tensor(config.learning_rate, device=device)
        """Learning rate: a tensor, which a recorded update can change."""
        self.done = torch.zeros((), device=device)
        """Updates so far, where the rate is."""
        self.optimizers = {
            name: optimizer(self.nets[name].parameters(), self.rate, device)
            for name in ("actor", "critics", "alpha")
        }
        spread = math.log(config.target_std) + 0.5 * math.log(2 * math.pi * math.e)
        self.target_entropy = sizes.action * spread
        self.total = max(1, round(config.steps / config.num_envs * config.updates))
        """Updates of the whole training, over which the learning rate falls."""
        self._watched = torch.zeros(len(WATCHED), device=device)

    @torch.no_grad()
    def explore(self, obs: Tensor) -> Tensor:
        """Draw from the policy."""
        lengths = torch.rand(len(obs), generator=self.generator, device=self.device)
        noise = self.held(self.noise(len(obs), self.sizes.action), lengths)
        return self.policy.sample(obs[:, : self.sizes.actor], noise)[0]

    def seen(self, step: Transition) -> None:
        """Follow the running returns."""
        self.returns.see(step.reward, step.terminated | step.truncated)

    def update(self, batch: Batch) -> None:
        """Every so often actor and temperature; the critics; the target follows."""
        config, acts = self.config, self.next_kind()
        batch = mirrored(batch, self.mirror)
        self._set_rate()
        rows, size = len(batch.obs), self.sizes.action
        obs = torch.cat((batch.obs, batch.next_obs))
        if acts:
            self.learn_actions(obs, self.noise(rows, size))
        self.learn_values(batch, obs, self.noise(rows, size))
        follow(self.target, self.critics, config.tau)
        self.count += 1

    def next_kind(self) -> bool:
        """Whether the actor learns, too."""
        return self.count % self.config.actor_every == 0

    def compile(self) -> None:
        """Of the losses."""
        self.learn_values = torch.compile(self.learn_values)
        self.learn_actions = torch.compile(self.learn_actions)

    def learn_values(self, batch: Batch, obs: Tensor, noise: Tensor) -> None:
        """One step of the critics.

        Args:
            batch: what happened.
            obs: (2 rows, critic) now, and next.
            noise: (rows, action) of the next actions.
        """
        rows = len(noise)
        now, later = slice(rows), slice(rows, None)
        with torch.no_grad(), self._autocast():
            after = batch.next_obs[:, : self.sizes.actor]
            action, logp = self.policy.sample(after, noise)
            both = torch.cat((batch.action, action))
            logits = self.target(obs, both, learn=True, rows=later).float()
            lower = self.atoms.mean(logits).argmin(0)
            # each row's distribution by the critic that thinks less of it
            index = lower[None, :, None].expand(1, -1, logits.shape[-1])
            probs = logits.gather(0, index)[0].softmax(-1)
            reward = batch.reward / self.returns.scale()
            reward = reward - batch.discount * self.alpha() * logp
            target = self.atoms.project(probs, reward, batch.discount)
        with self._autocast():
            logits = self.critics(obs, both, learn=True, rows=now)
        loss = cross_entropy(logits, target).mean()
        self._descend("critics", loss)
        project(self.critics)
        self._note(critic_loss=loss, reward_scale=self.returns.scale())

    def learn_actions(self, obs: Tensor, noise: Tensor) -> None:
        """One step of actor and temperature.

        Args:
            obs: (2 rows, critic), of which the first half is acted in; norms go by all.
            noise: (rows, action)
        """
        # gradients pass through the critics to the action, and stop short of weights
        self.critics.requires_grad_(False)
        with self._autocast():
            x = obs[:, : self.sizes.actor]
            action, logp = self.policy.sample(x, noise, learn=True)
            logits = self.critics(obs[: len(noise)], action, learn=False)
            value = self.atoms.mean(logits).amin(0)
        loss = (self.alpha().detach() * logp - value).mean()
        self._descend("actor", loss)
        self.critics.requires_grad_(True)
        project(self.policy)
        entropy = -logp.detach().mean()
        self._descend("alpha", self.alpha() * (entropy - self.target_entropy))
        self._note(
            actor_loss=loss, value=value.mean(), entropy=entropy, alpha=self.alpha()
        )

    def actor(self) -> nn.Module:
        """The actor, whose first norm is its normaliser."""
        return Actor(nn.Identity(), self.policy)

    def network(self) -> dict[str, Any]:
        """Of the actor."""
        config = self.config
        return {
            "kind": "residual",
            "hidden": list(config.hidden),
            "log_std": list(config.log_std),
        }

    def watched(self) -> dict[str, Tensor]:
        """Losses, entropy, temperature, mean value and scale of rewards."""
        return dict(zip(WATCHED, self._watched, strict=True))

    def state(self) -> dict[str, Any]:
        """What the learning rate hangs on."""
        return {"done": self.done}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take it over; loaded optimisers have a rate of their own."""
        self.done.copy_(state["done"])
        for one in self.optimizers.values():
            one.param_groups[0]["lr"] = self.rate

    def _set_rate(self) -> None:
        """Half a cosine down to the final rate (:mod:`ml.schedule`), on the device."""
        config = self.config
        fallen = 0.5 - 0.5 * torch.cos(math.pi * (self.done / self.total).clamp(max=1))
        factor = 1 - (1 - config.final_rate) * fallen
        self.rate.copy_(config.learning_rate * factor)
        self.done += 1

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._watched[WATCHED.index(name)] = value.detach()


WATCHED = ("critic_loss", "actor_loss", "value", "entropy", "alpha", "reward_scale")


class ReturnScale(nn.Module):
    """What rewards are divided by: the spread of the discounted sum of past rewards.

    At least so much that no such sum is above ``most``; the atoms end there.
    """

    running: Tensor
    largest: Tensor

    def __init__(self, num_envs: int, gamma: float, most: float) -> None:
        """Nothing is seen yet: rewards pass as they are."""
        super().__init__()
        self.gamma, self.most = gamma, most
        self.register_buffer("running", torch.zeros(num_envs))
        self.register_buffer("largest", torch.zeros(()))
        self.statistics = RunningNorm(1)

    @torch.no_grad()
    def see(self, reward: Tensor, ended: Tensor) -> None:
        """Take in a control step of all environments, (num_envs,) each."""
        self.running.mul_(self.gamma).add_(reward)
        self.largest.copy_(torch.maximum(self.largest, self.running.abs().max()))
        self.statistics.update(self.running[:, None])
        self.running.mul_(~ended)

    def scale(self) -> Tensor:
        """A scalar above 0."""
        spread = (self.statistics.var[0] + 1e-8).sqrt()
        return torch.maximum(spread, self.largest / self.most)


class HeldNoise(nn.Module):
    """Noise that each environment keeps for a number of steps of its own."""

    noise: Tensor
    left: Tensor
    lengths: Tensor

    def __init__(self, num_envs: int, size: int, hold: int, power: float) -> None:
        """Nothing is held yet.

        Args:
            num_envs: rows.
            size: elements of each.
            hold: longest time [control steps].
            power: of the zeta distribution.
        """
        super().__init__()
        chances = torch.arange(1.0, hold + 1) ** -power
        self.register_buffer("lengths", (chances / chances.sum()).cumsum(0)[:-1])
        self.register_buffer("noise", torch.zeros(num_envs, size))
        self.register_buffer("left", torch.zeros(num_envs, dtype=torch.long))

    def forward(self, fresh: Tensor, chance: Tensor) -> Tensor:
        """The noise of this step.

        Args:
            fresh: (num_envs, size) to be taken where nothing is held any more.
            chance: (num_envs,) uniform, which then says for how long.
        """
        over = self.left == 0
        length = torch.bucketize(chance, self.lengths, right=True) + 1
        self.noise.copy_(torch.where(over[:, None], fresh, self.noise))
        self.left.copy_(torch.where(over, length, self.left) - 1)
        return self.noise


ALGORITHM = Algorithm(config=FlashSACConfig, make=FlashSAC)
