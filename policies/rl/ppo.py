"""PPO: proximal policy optimisation, a few careful steps on what was just done.

Schulman et al. 2017 (arXiv:1707.06347). With the ratio r = pi(a|s) / pi_old(a|s) of how
likely an action is to how likely it was, the policy climbs

    min(r A, clip(r, 1 - eps, 1 + eps) A),

which pays for no change beyond eps; the value follows the returns A + V. Advantages
with the right value at a time limit are :mod:`policies.rl.on_policy`'s.

The policy is a Gaussian of one spread for all observations, without a tanh: what lies
outside of the limits is clipped when it is executed. By choice:

* the learning rate follows the change of the policy: when a step changed it by more
  than twice ``desired_kl`` it is divided by 1.5, and multiplied where it was less than
  half (as rsl_rl does, Schwarke et al. 2025, arXiv:2509.10771);
* each row is learned from together with its mirror image, which has the same advantage
  and the same old probability (Mittal et al. 2024, arXiv:2403.04359);
* the value's step is clipped as the policy's, the worse of both losses counting.

One update from Stable-Baselines3's roll-out gives Stable-Baselines3's weights
(``tests/policies/test_policies_rl_ppo.py``).
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from assets.errors import UsageError, unknown
from policies.rl.algorithms import Algorithm
from policies.rl.clipped import (
    ACTIVATIONS,
    ClippedActor,
    GaussianPolicy,
    density,
    perceptron,
)
from policies.rl.config import RLConfig
from policies.rl.learner import optimizer
from policies.rl.networks import RunningNorm
from policies.rl.on_policy import OnPolicyLearner, OnPolicyLoop, Rollout, advantages
from policies.rl.worlds import MirrorMaps, Sizes

OVER = ("batch", "rollout", "no")
"""What advantages are normalised over."""


@dataclass(frozen=True, kw_only=True)
class PPOConfig(RLConfig):
    """Stable-Baselines3's defaults; ``policies/rl/recipes.py`` has those for thousands
    of environments."""

    num_envs: int = 8
    overlap: bool = False
    """On policy there is nothing to learn while environments step."""
    rollout: int = 256
    """Control steps of each environment between updates."""
    epochs: int = 10
    """Times that a roll-out is learned from."""
    batch_size: int = 64
    """Rows of a step."""
    gamma: float = 0.99
    """Discount of one control step."""
    lam: float = 0.95
    """lambda of the advantages."""
    learning_rate: float = 3e-4
    """Of policy and value; lower it where a training breaks down."""
    desired_kl: float = 0.0
    """Divergence that a step should bring; the learning rate follows; 0: it is kept."""
    rates: tuple[float, float] = (1e-5, 1e-2)
    """Bounds of a learning rate that follows."""
    clip: float = 0.2
    """eps: part by which an action may become more or less likely."""
    value_clip: float = 0.0
    """By how much a value may change in an update; 0: by any."""
    value_weight: float = 0.5
    """Of the value's loss."""
    entropy_weight: float = 0.0
    """Of the entropy, which is climbed."""
    max_grad_norm: float = 0.5
    """Longest gradient of a step; longer ones are shortened."""
    normalize_advantage: Literal["batch", "rollout", "no"] = "batch"
    """Over what advantages are brought to mean 0 and spread 1."""
    normalize: bool = True
    """Whether observations are normalised by running statistics."""
    symmetry: bool = True
    """Whether each row is joined by its mirror image, where the task has one."""
    std: float = 1.0
    """Spread of the policy at the beginning."""
    activation: Literal["tanh", "elu"] = "tanh"
    """Between the layers."""
    hidden: tuple[int, ...] = (64, 64)
    """Width of the policy's hidden layers."""
    critic_hidden: tuple[int, ...] = (64, 64)
    """Width of the value's hidden layers."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        for name in ("rollout", "epochs", "learning_rate", "clip", "std"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("desired_kl", "value_clip", "value_weight", "entropy_weight"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name)}")
        if not 0 <= self.gamma < 1:
            raise UsageError(f"gamma is from 0 to less than 1, got {self.gamma:g}")
        if not 0 <= self.lam <= 1:
            raise UsageError(f"lam is from 0 to 1, got {self.lam:g}")
        rows = self.rollout * self.num_envs
        if not 2 <= self.batch_size <= rows:
            raise UsageError(
                f"batch_size is from 2 to the rows of a roll-out ({self.rollout} steps "
                f"of {self.num_envs} environments: {rows}), got {self.batch_size}"
            )
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        if self.normalize_advantage not in OVER:
            raise unknown("normalize_advantage", self.normalize_advantage, OVER)
        for name in ("hidden", "critic_hidden"):
            widths = getattr(self, name)
            if not widths or min(widths) < 1:
                raise UsageError(f"{name} layers are at least 1 wide, got {widths}")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is learned from; (rows, ...) each."""

    obs: Tensor
    """(rows, critic)"""
    action: Tensor
    """(rows, action)"""
    mean: Tensor
    """(rows, action) of the policy that acted."""
    logp: Tensor
    """(rows,) of the action, by the policy that acted."""
    value: Tensor
    """(rows,) before the update."""
    advantage: Tensor
    returns: Tensor

    def __getitem__(self, picks: Tensor) -> "Rows":
        """Some of them."""
        return Rows(**{f.name: getattr(self, f.name)[picks] for f in fields(self)})


class PPO(OnPolicyLearner):
    """See the module's top."""

    def __init__(
        self,
        sizes: Sizes,
        config: PPOConfig,
        device: torch.device,
        mirror: MirrorMaps | None = None,
    ) -> None:
        """Build the networks."""
        super().__init__(sizes, config, device, mirror if config.symmetry else None)
        self.config = config
        self.norm = RunningNorm(sizes.critic, 1e-2 if config.normalize else 0.0)
        self.policy = GaussianPolicy(
            sizes.actor, sizes.action, config.hidden, config.activation, config.std
        )
        self.value = perceptron(
            sizes.critic, 1, config.critic_hidden, config.activation, 1.0
        )
        self.nets = nn.ModuleDict(
            {"norm": self.norm, "actor": self.policy, "value": self.value}
        ).to(device)
        self.learned = [*self.policy.parameters(), *self.value.parameters()]
        self.rate = torch.tensor(config.learning_rate, device=device)
        """A tensor, since it may follow the policy's change."""
        self.optimizers = {"both": optimizer(self.learned, self.rate, device, eps=1e-5)}
        self._old_log_std = self.policy.log_std.detach().clone()
        """Of the policy that acted."""
        self._watched = torch.zeros(len(WATCHED), device=device)

    @torch.no_grad()
    def explore(self, obs: Tensor) -> Tensor:
        """Draw from the policy."""
        mean = self.policy(self.norm(obs[:, : self.sizes.actor]))
        return mean + self.policy.log_std.exp() * self.noise(*mean.shape)

    def update(self, rollout: Rollout) -> None:
        """Learn from all rows, several times, in a new order each time."""
        config = self.config
        first = config.normalize and not self.count
        if first:  # nothing is known yet of what is observed
            self.norm.update(rollout.obs.flatten(0, 1))
        rows = self.prepare(rollout)
        self._old_log_std = self.policy.log_std.detach().clone()
        for _ in range(config.epochs):
            order = torch.randperm(
                len(rows.obs), generator=self.generator, device=self.device
            )
            for picks in order.split(config.batch_size):
                self.learn(rows[picks])
        if config.normalize and not first:  # what acts next is what will be learned on
            self.norm.update(rollout.obs.flatten(0, 1))

    @torch.no_grad()
    def prepare(self, rollout: Rollout) -> Rows:
        """Advantages, returns, and what the policy said, as rows."""
        config = self.config
        value, later = (
            self.value(self.norm(obs)).squeeze(-1)
            for obs in (rollout.obs, rollout.next_obs)
        )
        advantage = advantages(rollout, value, later, config.gamma, config.lam)
        returns = (advantage + value).flatten()
        if config.normalize_advantage == "rollout":
            advantage = unit(advantage)
        obs, action = rollout.obs.flatten(0, 1), rollout.action.flatten(0, 1)
        mean = self.policy(self.norm(obs[:, : self.sizes.actor]))
        return Rows(
            obs=obs,
            action=action,
            mean=mean,
            logp=density(mean, self.policy.log_std, action),
            value=value.flatten(),
            advantage=advantage.flatten(),
            returns=returns,
        )

    def learn(self, rows: Rows) -> None:
        """One step of both networks."""
        config, policy = self.config, self.policy
        obs, action, twice = rows.obs, rows.action, 1
        if self.mirror is not None:
            obs = torch.cat((obs, self.mirror.obs(obs)))
            action, twice = torch.cat((action, self.mirror.action(action))), 2
        x = self.norm(obs)
        mean = policy(x[:, : self.sizes.actor])
        value = self.value(x).squeeze(-1)
        if config.desired_kl:
            self._follow(rows.mean, mean[: len(rows.mean)].detach())
        advantage = rows.advantage
        if config.normalize_advantage == "batch":
            advantage = unit(advantage)
        ratio = (density(mean, policy.log_std, action) - rows.logp.repeat(twice)).exp()
        advantage = advantage.repeat(twice)
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        policy_loss = -torch.minimum(advantage * ratio, advantage * clipped).mean()
        value_loss = self._value_loss(
            value, rows.value.repeat(twice), rows.returns.repeat(twice)
        )
        entropy = (policy.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()
        loss = policy_loss + config.value_weight * value_loss
        loss = loss - config.entropy_weight * entropy
        chosen = self.optimizers["both"]
        chosen.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, config.max_grad_norm)
        chosen.step()
        self.count += 1
        outside = ((ratio - 1).abs() > config.clip).float().mean()
        change = ((ratio - 1) - ratio.log()).mean()  # Schulman's estimate of the KL
        said = (policy_loss, value_loss, entropy, change, outside)
        said += (policy.log_std.exp().mean(), self.rate)
        self._watched = torch.stack([value.detach() for value in said])

    def actor(self) -> nn.Module:
        """Normaliser and mean."""
        return ClippedActor(self.norm.front(self.sizes.actor), self.policy)

    def network(self) -> dict[str, Any]:
        """Of the actor."""
        config = self.config
        return {
            "kind": "clipped",
            "hidden": list(config.hidden),
            "activation": config.activation,
            "eps": self.norm.eps,
        }

    def watched(self) -> dict[str, Tensor]:
        """Losses, entropy, change, part that was clipped, spread and learning rate."""
        return dict(zip(WATCHED, self._watched, strict=True))

    def state(self) -> dict[str, Any]:
        """The learning rate."""
        return {"rate": self.rate}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take it over; a loaded optimiser has a copy of its own."""
        self.rate.copy_(state["rate"])
        self.optimizers["both"].param_groups[0]["lr"] = self.rate

    def _value_loss(self, value: Tensor, before: Tensor, returns: Tensor) -> Tensor:
        loss = (value - returns).square()
        most = self.config.value_clip
        if most:
            near = before + (value - before).clamp(-most, most)
            loss = torch.maximum(loss, (near - returns).square())
        return loss.mean()

    def _follow(self, before: Tensor, now: Tensor) -> None:
        """Adapt the learning rate to the policy's change since the roll-out."""
        desired, (low, high) = self.config.desired_kl, self.config.rates
        old, new = self._old_log_std, self.policy.log_std.detach()
        square = (2 * old).exp() + (before - now).square()
        change = (new - old + 0.5 * square * (-2 * new).exp() - 0.5).sum(-1).mean()
        self.rate.copy_(
            torch.where(
                change > 2 * desired,
                (self.rate / 1.5).clamp(min=low),
                torch.where(
                    change < 0.5 * desired, (self.rate * 1.5).clamp(max=high), self.rate
                ),
            )
        )


WATCHED = ("policy_loss", "value_loss", "entropy", "kl", "clipped", "std", "rate")


def unit(values: Tensor) -> Tensor:
    """Mean 0, spread 1."""
    return (values - values.mean()) / (values.std() + 1e-8)


ALGORITHM = Algorithm(config=PPOConfig, make=PPO, loop=OnPolicyLoop)
