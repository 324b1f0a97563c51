"""TD3: a deterministic actor, twin critics, and three cures for values too high.

Fujimoto, van Hoof and Meger 2018 (arXiv:1802.09477). The critics' target is the lower
of two guesses, at the target actor's action with a little noise, so that a sharp peak
of a critic is not believed,

    y = r + gamma min_i Q'_i(s', clip(mu'(s') + e)),    e ~ clip(N(0, sigma), -c, c),

and the actor, which climbs the first critic, and all targets move at every second
update of the critics only. What is explored is the actor's action with noise added.

Defaults are those of Stable-Baselines3, and so are the numbers: one update of ours and
one of theirs, from the same weights, batch and noise, leave the same weights
(``tests/policies/test_policies_rl_sb3.py``).

For hundreds of environments, a spread of exploration's noise over them and critics of
distributions make it another algorithm, FastTD3.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from policies.rl.algorithms import Algorithm
from policies.rl.config import OffPolicyConfig
from policies.rl.learner import OffPolicyLearner, optimizer
from policies.rl.networks import Critics, DeterministicActor, follow
from policies.rl.policy import Actor
from policies.rl.replay import Batch
from policies.rl.worlds import MirrorMaps, Sizes


@dataclass(frozen=True, kw_only=True)
class TD3Config(OffPolicyConfig):
    """Stable-Baselines3's defaults, and its zoo's noise."""

    num_envs: int = 1
    replay: int = 1_000_000
    warmup: int = 100
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (400, 300)
    critic_hidden: tuple[int, ...] = (400, 300)
    tau: float = 0.005
    """Part of the way that the targets go when they move."""
    actor_every: int = 2
    """Critics' updates per update of the actor and of all targets."""
    explore_std: float = 0.1
    """Spread of the noise that is explored with, on actions in [-1, 1]."""
    target_std: float = 0.2
    """Spread of the noise on the target actor's action."""
    target_clip: float = 0.5
    """The most that this noise changes."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        if self.precision != "no":
            raise UsageError(
                "td3 computes in single precision (precision no), got "
                f"{self.precision!r}; fastsac knows others"
            )
        if self.actor_every < 1:
            raise UsageError(f"actor_every is at least 1, got {self.actor_every}")
        if not 0 < self.tau <= 1:
            raise UsageError(f"tau is above 0 and at most 1, got {self.tau:g}")
        for name in ("explore_std", "target_std", "target_clip"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name):g}")


class TD3(OffPolicyLearner):
    """See the module's top."""

    def __init__(
        self,
        sizes: Sizes,
        config: TD3Config,
        device: torch.device,
        mirror: MirrorMaps | None = None,
    ) -> None:
        """Build the networks; a mirror is not used."""
        super().__init__(sizes, config, device, None)
        self.config = config
        plain: Any = {"layer_norm": False, "activation": "relu"}
        self.policy = DeterministicActor(
            sizes.actor, sizes.action, config.hidden, **plain
        )
        inputs = sizes.critic + sizes.action
        self.critics = Critics(2, inputs, 1, config.critic_hidden, **plain)
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.target_policy = copy.deepcopy(self.policy).requires_grad_(False)
        self.nets = nn.ModuleDict(
            {
                "actor": self.policy,
                "critics": self.critics,
                "target": self.target,
                "target_actor": self.target_policy,
            }
        ).to(device)
        self.optimizers = {
            name: optimizer(self.nets[name].parameters(), config.learning_rate, device)
            for name in ("actor", "critics")
        }
        self._watched = {name: torch.zeros((), device=device) for name in WATCHED}

    def explore(self, obs: Tensor) -> Tensor:
        """The actor's action, with noise."""
        noise = self.config.explore_std * self.noise(len(obs), self.sizes.action)
        with torch.no_grad():
            action = torch.tanh(self.policy(obs[:, : self.sizes.actor]))
        return (action + noise).clamp(-1, 1)

    def update(self, batch: Batch) -> None:
        """Critics; every so often the actor, and the targets follow."""
        self.count += 1
        self.learn_values(batch, self.noise(len(batch.obs), self.sizes.action))
        if self.count % self.config.actor_every == 0:
            self.learn_actions(batch.obs)
            follow(self.target, self.critics, self.config.tau)
            follow(self.target_policy, self.policy, self.config.tau)

    def learn_values(self, batch: Batch, noise: Tensor) -> None:
        """One step of the critics.

        Args:
            batch: to learn from.
            noise: (rows, action) standard normal.
        """
        config = self.config
        with torch.no_grad():
            jitter = (config.target_std * noise).clamp(
                -config.target_clip, config.target_clip
            )
            after = torch.tanh(
                self.target_policy(batch.next_obs[:, : self.sizes.actor])
            )
            after = (after + jitter).clamp(-1, 1)
            lower = self.target(batch.next_obs, after).amin(0).squeeze(-1)
            target = batch.reward + batch.discount * lower
        guesses = self.critics(batch.obs, batch.action).squeeze(-1)
        loss = (guesses - target).square().mean(-1).sum()
        self._descend("critics", loss)
        self._watched["critic_loss"] = loss.detach()

    def learn_actions(self, obs: Tensor) -> None:
        """One step of the actor, up the first critic."""
        # gradients pass through the critics to the action, and stop short of weights
        self.critics.requires_grad_(False)
        action = torch.tanh(self.policy(obs[:, : self.sizes.actor]))
        value = self.critics(obs, action)[0].mean()
        self._descend("actor", -value)
        self.critics.requires_grad_(True)
        self._watched["value"] = value.detach()

    def actor(self) -> nn.Module:
        """The policy without noise."""
        return Actor(nn.Identity(), self.policy)

    def network(self) -> dict[str, Any]:
        """Of the actor."""
        return {
            "kind": "deterministic",
            "hidden": list(self.config.hidden),
            "layer_norm": False,
            "activation": "relu",
            "normalised": False,
        }

    def watched(self) -> dict[str, Tensor]:
        """Loss of the critics and mean value of the last update."""
        return dict(self._watched)


WATCHED = ("critic_loss", "value")

ALGORITHM = Algorithm(config=TD3Config, make=TD3)
