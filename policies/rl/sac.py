"""SAC: soft actor-critic, as it is usually meant.

Haarnoja et al. 2018 (arXiv:1801.01290, 1812.05905). Two critics learn the value of
rewards and of the entropy that is still to come,

    y = r + gamma (min_i Q'_i(s', a') - alpha log pi(a' | s')),     a' ~ pi(. | s'),

the actor climbs the lower of the two, and the temperature alpha moves the policy's
entropy towards minus one per element of an action (arXiv:1812.05905, equations 17 and
18). The targets Q' follow slowly.

Defaults are those of Stable-Baselines3, and so is each detail that matters to the
numbers: the gradient of log alpha and not of alpha, alpha as it was before its own step
in both losses, the sum of the critics' squared errors halved. One update of ours and
one of theirs, from the same weights, batch and noise, leave the same weights
(``tests/policies/test_policies_rl_sb3.py``). Like theirs, one update follows each
control step, of however many environments.

For hundreds of environments there is :mod:`policies.rl.fastsac`.
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
from policies.rl.learner import OffPolicyLearner, optimizer
from policies.rl.networks import Critics, GaussianActor, follow
from policies.rl.policy import Actor
from policies.rl.replay import Batch
from policies.rl.worlds import MirrorMaps, Sizes


@dataclass(frozen=True, kw_only=True)
class SACConfig(OffPolicyConfig):
    """Stable-Baselines3's defaults; ``policies/rl/recipes.py`` has those for tasks."""

    num_envs: int = 1
    replay: int = 1_000_000
    warmup: int = 100
    tau: float = 0.005
    """Part of the way that the targets go in an update."""
    alpha: float = 1.0
    """Temperature at the beginning."""
    autotune: bool = True
    """Whether the temperature follows the entropy's target."""
    target_entropy: float = 0.0
    """Of an action in [-1, 1] [nat]; 0: minus one for each of its elements."""
    log_std: tuple[float, float] = (-20.0, 2.0)
    """Bounds of the actor's spread, its logarithm."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        if self.precision != "no":
            raise UsageError(
                "sac computes in single precision (precision no), got "
                f"{self.precision!r}; fastsac knows others"
            )
        if not self.alpha > 0:
            raise UsageError(f"alpha must be above 0, got {self.alpha:g}")
        if not 0 < self.tau <= 1:
            raise UsageError(f"tau is above 0 and at most 1, got {self.tau:g}")
        if not self.log_std[0] < self.log_std[1]:
            raise UsageError(f"log_std is a lower and an upper bound, {self.log_std}")


class SAC(OffPolicyLearner):
    """See the module's top."""

    def __init__(
        self,
        sizes: Sizes,
        config: SACConfig,
        device: torch.device,
        mirror: MirrorMaps | None = None,
    ) -> None:
        """Build the networks; a mirror is not used."""
        super().__init__(sizes, config, device, None)
        self.config = config
        plain: Any = {"layer_norm": False, "activation": "relu"}
        self.policy = GaussianActor(
            sizes.actor,
            sizes.action,
            config.hidden,
            log_std=config.log_std,
            plain=True,
            **plain,
        )
        inputs = sizes.critic + sizes.action
        self.critics = Critics(2, inputs, 1, config.critic_hidden, **plain)
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.log_alpha = nn.ParameterList([torch.tensor([math.log(config.alpha)])])
        self.nets = nn.ModuleDict(
            {
                "actor": self.policy,
                "critics": self.critics,
                "target": self.target,
                "alpha": self.log_alpha,
            }
        ).to(device)
        self.optimizers = {
            name: optimizer(self.nets[name].parameters(), config.learning_rate, device)
            for name in ("actor", "critics", "alpha")
        }
        self.target_entropy = config.target_entropy or -float(sizes.action)
        self._watched = {name: torch.zeros((), device=device) for name in WATCHED}

    def explore(self, obs: Tensor) -> Tensor:
        """Draw from the policy."""
        noise = self.noise(len(obs), self.sizes.action)
        with torch.no_grad():
            return self.policy.sample(obs[:, : self.sizes.actor], noise)[0]

    def update(self, batch: Batch) -> None:
        """Temperature, critics and actor; the targets follow."""
        self.count += 1
        shape = len(batch.obs), self.sizes.action
        self.learn(batch, self.noise(*shape), self.noise(*shape))

    def learn(self, batch: Batch, noise: Tensor, next_noise: Tensor) -> None:
        """One update with a given noise.

        Args:
            batch: to learn from.
            noise: (rows, action) standard normal, of the actions at ``batch.obs``.
            next_noise: likewise at ``batch.next_obs``.
        """
        front = self.sizes.actor
        action, logp = self.policy.sample(batch.obs[:, :front], noise)
        alpha = self.log_alpha[0].detach().exp()
        if self.config.autotune:
            lack = (logp + self.target_entropy).detach()
            self._descend("alpha", -(self.log_alpha[0] * lack).mean())
        with torch.no_grad():
            after, after_logp = self.policy.sample(
                batch.next_obs[:, :front], next_noise
            )
            lower = self.target(batch.next_obs, after).amin(0).squeeze(-1)
            target = batch.reward + batch.discount * (lower - alpha * after_logp)
        guesses = self.critics(batch.obs, batch.action).squeeze(-1)
        critic_loss = 0.5 * (guesses - target).square().mean(-1).sum()
        self._descend("critics", critic_loss)
        # gradients pass through the critics to the action, and stop short of weights
        self.critics.requires_grad_(False)
        value = self.critics(batch.obs, action).amin(0).squeeze(-1)
        actor_loss = (alpha * logp - value).mean()
        self._descend("actor", actor_loss)
        self.critics.requires_grad_(True)
        follow(self.target, self.critics, self.config.tau)
        self._watched = {
            "critic_loss": critic_loss.detach(),
            "actor_loss": actor_loss.detach(),
            "value": value.detach().mean(),
            "entropy": -logp.detach().mean(),
            "alpha": alpha.squeeze(),
        }

    def actor(self) -> nn.Module:
        """The policy's middle."""
        return Actor(nn.Identity(), self.policy)

    def network(self) -> dict[str, Any]:
        """Of the actor."""
        return {
            "kind": "gaussian",
            "plain": True,
            "hidden": list(self.config.hidden),
            "layer_norm": False,
            "activation": "relu",
            "log_std": list(self.config.log_std),
            "normalised": False,
        }

    def watched(self) -> dict[str, Tensor]:
        """Losses, entropy, temperature and mean value of the last update."""
        return dict(self._watched)


WATCHED = ("critic_loss", "actor_loss", "value", "entropy", "alpha")

ALGORITHM = Algorithm(config=SACConfig, make=SAC)
