"""FastSAC: soft actor-critic for many environments at once.

Seo et al. 2025, "Learning sim-to-real humanoid locomotion in 15 minutes"
(arXiv:2512.01996), on SAC by Haarnoja et al. 2018 (arXiv:1801.01290, 1812.05905): the
critics minimise the distance to

    y = R + gamma^k (Z(s', a') - alpha log pi(a' | s')),     a' ~ pi(. | s'),

where Z is each critic's own distribution over returns (:mod:`policies.rl.distribution`)
and not the lower of two: layer norm and the bounded atoms already keep values from
running away, and with thousands of environments pessimism costs more than it protects.
The actor climbs the mean of both, the temperature follows the entropy's target.

What is different from SAC for one environment: many transitions per update, large
batches, a short horizon, a target that follows quickly, observations normalised by
running statistics of what is replayed, a first policy of small actions around the
robot's posture, and every transition together with its mirror image in the same batch,
where the task has one. (Actions that know of the joints' limits are the task's matter,
see :mod:`sims.tasks.humanoid`.)

The policy that is judged and kept is the running mean of the actor's weights
(:class:`~policies.rl.networks.Average`): the actor itself, which explores, wanders by
two tenths of a metre per second around the speed that it is asked for.

The published code draws one large batch per step, in the order of the environments,
and cuts slices of it for the updates in turn: its actor, updated at every fourth, only
ever meets a quarter of the environments, and a mirror image never meets its original.
Here every update draws its own (``tests/policies/test_policies_rl_replay.py``).
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
from policies.rl.learner import OffPolicyLearner, mirrored, optimizer
from policies.rl.networks import (
    Average,
    Critics,
    GaussianActor,
    RunningNorm,
    follow,
)
from policies.rl.policy import Actor
from policies.rl.replay import Batch
from policies.rl.worlds import MirrorMaps, Sizes


@dataclass(frozen=True, kw_only=True)
class FastSACConfig(OffPolicyConfig):
    """The published settings are for 4,096 environments; ``policies/rl/recipes.py``
    has them, and those for two cores."""

    gamma: float = 0.97
    hidden: tuple[int, ...] = (256, 128)
    critic_hidden: tuple[int, ...] = (256, 128)
    random_start: bool = False
    tau: float = 0.05
    """Part of the way that the target goes in an update."""
    actor_every: int = 2
    """Critic's updates per update of the actor."""
    actor_after: int = 0
    """Critic's updates before the first update of the actor: time to learn what the
    first policy is worth, before anything is improved on it."""
    average: int = 10_000
    """Updates of the actor over which its weights are averaged for the policy that is
    judged and kept; while it is young, a tenth of those so far. 0: its last weights."""
    critics: int = 2
    """How many."""
    atoms: int = 51
    """Of the distribution of returns."""
    returns: tuple[float, float] = (0.0, 1.0)
    """Range of the returns, in units of the largest sum 1 / (1 - gamma)."""
    target: str = "own"
    """Which critic's guess each learns from: its own, or the lower one ("min")."""
    layer_norm: bool = True
    """Whether layer norm follows each linear layer; it keeps values from running away.
    """
    symmetry: bool = True
    """Whether half of each batch is the mirror image of the other half."""
    alpha: float = 1e-3
    """Temperature at the beginning."""
    autotune: bool = True
    """Whether the temperature follows the entropy's target."""
    target_std: float = 0.05
    """The entropy's target, as that of a Gaussian of this spread on each element of an
    action in [-1, 1]."""
    log_std: tuple[float, float] = (-5.0, 0.0)
    """Bounds of the actor's spread, its logarithm."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Of AdamW."""
    weight_decay: float = 1e-3
    """Of AdamW, for actor and critics."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        for name in ("actor_every", "critics", "alpha", "target_std", "reward_scale"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.average < 0:
            raise UsageError(f"average is at least 0, got {self.average}")
        if not 0 < self.tau <= 1:
            raise UsageError(f"tau is above 0 and at most 1, got {self.tau:g}")
        if self.target not in ("own", "min"):
            raise UsageError(f"target is own or min, got {self.target!r}")
        if self.atoms < 2:
            raise UsageError(f"atoms are at least 2, got {self.atoms}")
        for name in ("returns", "log_std"):
            low, high = getattr(self, name)
            if not low < high:
                raise UsageError(f"{name} is a range, got {low:g} to {high:g}")
        if self.batch_size % 2 and self.symmetry:
            raise UsageError(
                f"batch_size is even where half of a batch is mirrored, got "
                f"{self.batch_size}"
            )


class FastSAC(OffPolicyLearner):
    """See the module's top."""

    recordable = True

    def __init__(
        self,
        sizes: Sizes,
        config: FastSACConfig,
        device: torch.device,
        mirror: MirrorMaps | None = None,
    ) -> None:
        """Build the networks."""
        super().__init__(sizes, config, device, mirror if config.symmetry else None)
        self.config = config
        outputs, most = sizes.action, 1 / (1 - config.gamma)
        low, high = (most * end for end in config.returns)
        self.norm = RunningNorm(sizes.critic)
        self.policy = GaussianActor(
            sizes.actor,
            outputs,
            config.hidden,
            layer_norm=config.layer_norm,
            log_std=config.log_std,
        )
        self.critics = Critics(
            config.critics,
            sizes.critic + outputs,
            config.atoms,
            config.critic_hidden,
            layer_norm=config.layer_norm,
        )
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.atoms = Atoms(low, high, config.atoms)
        self.alpha = Temperature(config.alpha)
        self.nets = nn.ModuleDict(
            {
                "norm": self.norm,
                "actor": self.policy,
                "critics": self.critics,
                "target": self.target,
                "atoms": self.atoms,
                "alpha": self.alpha,
            }
        )
        self.average = None
        if config.average:
            self.average = Average(self.policy, config.average)
            self.nets["average"] = self.average
        self.nets.to(device)
        how: Any = {"betas": config.betas, "device": device}
        rate, decay = config.learning_rate, config.weight_decay
        self.optimizers = {
            "actor": optimizer(
                self.policy.parameters(), rate, weight_decay=decay, **how
            ),
            "critics": optimizer(
                self.critics.parameters(), rate, weight_decay=decay, **how
            ),
            "alpha": optimizer(self.alpha.parameters(), rate, **how),
        }
        spread = math.log(config.target_std) + 0.5 * math.log(2 * math.pi * math.e)
        self.target_entropy = outputs * spread
        self._watched = torch.zeros(len(WATCHED), device=device)

    def explore(self, obs: Tensor) -> Tensor:
        """Draw from the policy."""
        x = self.norm(obs[:, : self.sizes.actor])
        noise = self.noise(len(obs), self.sizes.action)
        with torch.no_grad():
            return self.policy.sample(x, noise)[0]

    def update(self, batch: Batch) -> None:
        """Critics and temperature; every so often the actor; the target follows."""
        acts = self.next_kind()
        batch = mirrored(batch, self.mirror)
        self.count += 1
        self.norm.update(batch.obs)
        noise = self.noise(len(batch.obs), self.sizes.action)
        self.learn_values(batch, noise)
        if acts:
            self.learn_actions(batch.obs, self.noise(*noise.shape))
            if self.average:
                self.average.update(self.policy)
        follow(self.target, self.critics, self.config.tau)

    def next_kind(self) -> bool:
        """Whether the actor learns, too."""
        following = self.count + 1
        due = following % self.config.actor_every == 0
        return due and following > self.config.actor_after

    def compile(self) -> None:
        """Of the losses."""
        self.learn_values = torch.compile(self.learn_values)
        self.learn_actions = torch.compile(self.learn_actions)

    def learn_values(self, batch: Batch, noise: Tensor) -> None:
        """One step of the critics and of the temperature."""
        config, norm, alpha = self.config, self.norm, self.alpha
        with torch.no_grad(), self._autocast():
            after = norm(batch.next_obs)
            action, logp = self.policy.sample(after[:, : self.sizes.actor], noise)
            logits = self.target(after, action).float()
            probs = logits.softmax(-1)
            if config.target == "min":
                lower = self.atoms.mean(logits).argmin(0)
                probs = probs[lower, torch.arange(len(lower), device=self.device)]
                probs = probs.expand(config.critics, -1, -1)
            reward = config.reward_scale * batch.reward
            reward = reward - batch.discount * alpha() * logp.float()
            many = config.critics
            target = self.atoms.project(
                probs.flatten(0, 1), reward.repeat(many), batch.discount.repeat(many)
            ).unflatten(0, (many, -1))
        with self._autocast():
            logits = self.critics(norm(batch.obs), batch.action)
        loss = cross_entropy(logits, target).mean(-1).sum()
        self._descend("critics", loss)
        if config.autotune:
            # the entropy's lack, at the states just looked at
            lack = (logp + self.target_entropy).mean()
            self._descend("alpha", -alpha() * lack)
        self._note(critic_loss=loss, entropy=-logp.mean(), alpha=alpha())

    def learn_actions(self, obs: Tensor, noise: Tensor) -> None:
        """One step of the actor."""
        x = self.norm(obs)
        # gradients pass through the critics to the action, and stop short of weights
        self.critics.requires_grad_(False)
        with self._autocast():
            action, logp = self.policy.sample(x[:, : self.sizes.actor], noise)
            value = self.atoms.mean(self.critics(x, action)).mean(0)
        loss = (self.alpha().detach() * logp.float() - value).mean()
        self._descend("actor", loss)
        self.critics.requires_grad_(True)
        self._note(actor_loss=loss, value=value.mean())

    def actor(self) -> nn.Module:
        """Normaliser and actor."""
        policy = self.average.network if self.average else self.policy
        return Actor(self.norm.front(self.sizes.actor), policy)

    def network(self) -> dict[str, Any]:
        """Of the actor."""
        config = self.config
        return {
            "kind": "gaussian",
            "hidden": list(config.hidden),
            "layer_norm": config.layer_norm,
            "log_std": list(config.log_std),
        }

    def watched(self) -> dict[str, Tensor]:
        """Losses, entropy, temperature and mean value of the last update."""
        return dict(zip(WATCHED, self._watched, strict=True))

    def _note(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._watched[WATCHED.index(name)] = value.detach()


WATCHED = ("critic_loss", "actor_loss", "value", "entropy", "alpha")


class Temperature(nn.Module):
    """alpha, which stays above 0."""

    def __init__(self, alpha: float) -> None:
        """Begin at a value."""
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(alpha)))

    def forward(self) -> Tensor:
        """alpha."""
        return self.log.exp()


ALGORITHM = Algorithm(config=FastSACConfig, make=FastSAC)
