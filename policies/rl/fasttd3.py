"""FastTD3: TD3 for many environments at once.

Seo et al. 2025 (arXiv:2505.22642), on TD3 by Fujimoto et al. 2018 (arXiv:1802.09477):
the actor is deterministic, and the critics minimise the distance to

    y = R + gamma^k Z(s', pi(s') + noise),

where Z is the whole distribution over returns of that critic whose mean is lower
(:mod:`policies.rl.distribution`), and the noise is normal and cut off. The actor climbs
the lower mean, at every second update.

What is different from TD3 for one environment: large batches, a target that follows
quickly and none of the actor, a strong weight decay, observations normalised by running
statistics of what is replayed, and exploration that differs between environments: the
spread of each one's noise is drawn anew when an episode ends, from hardly any to a
large part of the range, so that some show what the policy does and some what it does
not do yet.

Windows of n steps end at the seam of a full replay here; in the published code they run
on into the oldest transitions (:mod:`policies.rl.replay`).
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from policies.rl.algorithms import Algorithm
from policies.rl.config import OffPolicyConfig
from policies.rl.distribution import Atoms, cross_entropy
from policies.rl.learner import OffPolicyLearner, mirrored, optimizer
from policies.rl.networks import Critics, DeterministicActor, RunningNorm, follow
from policies.rl.policy import Actor
from policies.rl.replay import Batch
from policies.rl.worlds import MirrorMaps, Sizes, Transition


@dataclass(frozen=True, kw_only=True)
class FastTD3Config(OffPolicyConfig):
    """For two cores; ``policies/rl/recipes.py`` has the published settings, which are
    for thousands of environments."""

    hidden: tuple[int, ...] = (256, 128)
    critic_hidden: tuple[int, ...] = (256, 128)
    random_start: bool = False
    tau: float = 0.1
    """Part of the way that the target goes in an update."""
    actor_every: int = 2
    """Critics' updates per update of the actor."""
    atoms: int = 101
    """Of the distribution of returns."""
    returns: tuple[float, float] = (0.0, 1.0)
    """Range of the returns, in units of the largest sum 1 / (1 - gamma)."""
    explore_std: tuple[float, float] = (0.001, 0.4)
    """Between these lies the spread of an environment's noise, for actions in
    [-1, 1]."""
    target_std: float = 0.001
    """Spread of the noise on the next action."""
    target_clip: float = 0.5
    """The most that this noise changes."""
    symmetry: bool = True
    """Whether half of each batch is the mirror image of the other half."""
    init_scale: float = 0.01
    """Spread of the weights that the actor's last layer begins with."""
    weight_decay: float = 0.1
    """Of AdamW, for actor and critics."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        for name in ("actor_every", "init_scale", "reward_scale"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("target_std", "target_clip", "weight_decay"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name):g}")
        if not 0 < self.tau <= 1:
            raise UsageError(f"tau is above 0 and at most 1, got {self.tau:g}")
        low, high = self.explore_std
        if not 0 <= low <= high:
            raise UsageError(
                f"explore_std goes from at least 0 up, got {low:g} to {high:g}"
            )
        if self.batch_size % 2 and self.symmetry:
            raise UsageError(
                f"batch_size is even where half of a batch is mirrored, got "
                f"{self.batch_size}"
            )


class FastTD3(OffPolicyLearner):
    """See the module's top."""

    recordable = True

    def __init__(
        self,
        sizes: Sizes,
        config: FastTD3Config,
        device: torch.device,
        mirror: MirrorMaps | None = None,
    ) -> None:
        """Build the networks."""
        super().__init__(sizes, config, device, mirror if config.symmetry else None)
        self.config = config
        plain: Any = {"layer_norm": False, "activation": "relu"}
        self.norm = RunningNorm(sizes.critic)
        self.policy = DeterministicActor(
            sizes.actor, sizes.action, config.hidden, **plain
        )
        nn.init.normal_(self.policy.mean.weight, std=config.init_scale)
        nn.init.zeros_(self.policy.mean.bias)
        inputs = sizes.critic + sizes.action
        self.critics = Critics(2, inputs, config.atoms, config.critic_hidden, **plain)
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        low, high = (end / (1 - config.gamma) for end in config.returns)
        self.atoms = Atoms(low, high, config.atoms)
        self.spread = Spread(config.num_envs, config.explore_std)
        self.nets = nn.ModuleDict(
            {
                "norm": self.norm,
                "actor": self.policy,
                "critics": self.critics,
                "target": self.target,
                "atoms": self.atoms,
                "spread": self.spread,
            }
        ).to(device)
        self.spread.draw(self._uniform(config.num_envs))
        self.optimizers = {
            name: optimizer(
                self.nets[name].parameters(),
                config.learning_rate,
                device,
                weight_decay=config.weight_decay,
            )
            for name in ("actor", "critics")
        }
        self._watched = torch.zeros(len(WATCHED), device=device)

    @torch.no_grad()
    def explore(self, obs: Tensor) -> Tensor:
        """The actor's actions, with noise of each environment's own spread."""
        mean = torch.tanh(self.policy(self.norm(obs[:, : self.sizes.actor])))
        return (mean + self.spread.std * self.noise(*mean.shape)).clamp(-1, 1)

    def seen(self, step: Transition) -> None:
        """Draw spreads anew where an episode ended."""
        fresh = self._uniform(len(step.reward))
        self.spread.draw(fresh, step.terminated | step.truncated)

    def update(self, batch: Batch) -> None:
        """Critics; every so often the actor; the target follows."""
        acts = self.next_kind()
        batch = mirrored(batch, self.mirror)
        self.count += 1
        self.norm.update(batch.obs)
        self.learn_values(batch, self.noise(len(batch.obs), self.sizes.action))
        if acts:
            self.learn_actions(batch.obs)
        follow(self.target, self.critics, self.config.tau)

    def next_kind(self) -> bool:
        """Whether the actor learns, too."""
        return (self.count + 1) % self.config.actor_every == 0

    def compile(self) -> None:
        """Of the losses."""
        self.learn_values = torch.compile(self.learn_values)
        self.learn_actions = torch.compile(self.learn_actions)

    def learn_values(self, batch: Batch, noise: Tensor) -> None:
        """One step of the critics."""
        config, norm = self.config, self.norm
        with torch.no_grad(), self._autocast():
            after = norm(batch.next_obs)
            mean = torch.tanh(self.policy(after[:, : self.sizes.actor]))
            off = (config.target_std * noise).clamp(
                -config.target_clip, config.target_clip
            )
            logits = self.target(after, (mean + off).clamp(-1, 1)).float()
            lower = self.atoms.mean(logits).argmin(0)
            # each row's distribution by the critic that thinks less of it
            index = lower[None, :, None].expand(1, -1, logits.shape[-1])
            probs = logits.gather(0, index)[0].softmax(-1)
            reward = config.reward_scale * batch.reward
            target = self.atoms.project(probs, reward, batch.discount)
        with self._autocast():
            logits = self.critics(norm(batch.obs), batch.action)
        loss = cross_entropy(logits, target).mean(-1).sum()
        self._descend("critics", loss)
        self._note(critic_loss=loss)

    def learn_actions(self, obs: Tensor) -> None:
        """One step of the actor."""
        x = self.norm(obs)
        # gradients pass through the critics to the action, and stop short of weights
        self.critics.requires_grad_(False)
        with self._autocast():
            action = torch.tanh(self.policy(x[:, : self.sizes.actor]))
            value = self.atoms.mean(self.critics(x, action)).amin(0)
        loss = -value.mean()
        self._descend("actor", loss)
        self.critics.requires_grad_(True)
        self._note(actor_loss=loss, value=value.mean())

    def actor(self) -> nn.Module:
        """Normaliser and actor."""
        return Actor(self.norm.front(self.sizes.actor), self.policy)

    def network(self) -> dict[str, Any]:
        """Of the actor."""
        return {
            "kind": "deterministic",
            "hidden": list(self.config.hidden),
            "layer_norm": False,
            "activation": "relu",
        }

    def watched(self) -> dict[str, Tensor]:
        """Losses and mean value of the last update."""
        return dict(zip(WATCHED, self._watched, strict=True))

    def _uniform(self, rows: int) -> Tensor:
        return torch.rand(rows, generator=self.generator, device=self.device)

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._watched[WATCHED.index(name)] = value.detach()


WATCHED = ("critic_loss", "actor_loss", "value")


class Spread(nn.Module):
    """Of each environment's noise, for as long as an episode lasts."""

    std: Tensor

    def __init__(self, num_envs: int, bounds: tuple[float, float]) -> None:
        """The lower bound everywhere, until it is drawn."""
        super().__init__()
        self.bounds = bounds
        self.register_buffer("std", torch.full((num_envs, 1), bounds[0]))

    @torch.no_grad()
    def draw(self, fresh: Tensor, where: Tensor | None = None) -> None:
        """Take over spreads.

        Args:
            fresh: (num_envs,) uniform in [0, 1).
            where: (num_envs,) bool; None: everywhere.
        """
        low, high = self.bounds
        drawn = (low + (high - low) * fresh)[:, None]
        if where is not None:
            drawn = torch.where(where[:, None], drawn, self.std)
        self.std.copy_(drawn)


ALGORITHM = Algorithm(config=FastTD3Config, make=FastTD3)
