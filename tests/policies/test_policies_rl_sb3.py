"""SAC and TD3 against Stable-Baselines3's: the same weights, batch and noise in, the
same losses and weights out.

All is computed in double precision: Adam's first steps are as large for a gradient that
is rounding error as for any other, and in single precision two right programs differ
there. For the same reason the 1e-6 that theirs adds inside of the logarithm of tanh's
slope, where ours is exact, is taken off.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC as TheirSAC
from stable_baselines3 import TD3 as TheirTD3
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor, nn

from assets.errors import UsageError
from policies.rl.networks import Critics
from policies.rl.policy import build_actor
from policies.rl.replay import Batch
from policies.rl.sac import SAC, SACConfig
from policies.rl.td3 import TD3, TD3Config
from policies.rl.worlds import Sizes

OBS, ACTION, ROWS, UPDATES = 5, 3, 64, 6
SIZES = Sizes(actor=OBS, critic=OBS, action=ACTION)
CPU = torch.device("cpu")


class Nothing(gym.Env):
    """Spaces, and no more: nobody acts in it."""

    observation_space = spaces.Box(-np.inf, np.inf, (OBS,))
    action_space = spaces.Box(-1.0, 1.0, (ACTION,))


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(name="double")
def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs rounds observations to single precision; here it leaves them."""
    from stable_baselines3.common import policies

    monkeypatch.setattr(policies, "preprocess_obs", lambda obs, *_, **__: obs)


def batches(gamma: float, seed: int = 0) -> list[Batch]:
    """Made up; every fifth row ends its episode."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    return [
        Batch(
            obs=normal(ROWS, OBS),
            action=normal(ROWS, ACTION).tanh(),
            reward=3 * normal(ROWS),
            next_obs=normal(ROWS, OBS),
            discount=gamma * (torch.arange(ROWS) % 5 > 0),
        )
        for _ in range(UPDATES)
    ]


def feed(model: Any, batch: Batch) -> None:
    """Let the next ``train`` of a model of theirs learn from a batch."""
    rows = ReplayBufferSamples(
        observations=batch.obs,
        actions=batch.action,
        next_observations=batch.next_obs,
        dones=(batch.discount == 0).double()[:, None],
        rewards=batch.reward[:, None],
    )
    model.replay_buffer.sample = lambda *_, **__: rows


def give_linears(theirs: nn.Module, ours: list[nn.Linear]) -> None:
    """Copy our weights into their layers, which come in the same order."""
    layers = [m for m in theirs.modules() if isinstance(m, nn.Linear)]
    for target, source in zip(layers, ours, strict=True):
        target.load_state_dict(source.state_dict())


def linears(actor: nn.Module) -> list[nn.Linear]:
    return [m for m in actor.modules() if isinstance(m, nn.Linear)]


def critic_linears(critics: Critics) -> list[nn.Linear]:
    """Our stacked layers, one critic after the other."""
    found = []
    stacked = [layer for layer in critics.layers if hasattr(layer, "weight")]
    for index in range(2):
        for layer in stacked:
            weight, bias = layer.weight[index], layer.bias[index, 0]  # pyright: ignore
            one = nn.Linear(weight.shape[0], weight.shape[1], dtype=weight.dtype)
            one.load_state_dict({"weight": weight.T.clone(), "bias": bias.clone()})
            found.append(one)
    return found


def compare(theirs: nn.Module, ours: list[nn.Linear]) -> None:
    layers = [m for m in theirs.modules() if isinstance(m, nn.Linear)]
    for one, other in zip(layers, ours, strict=True):
        torch.testing.assert_close(one.weight, other.weight, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(one.bias, other.bias, rtol=1e-7, atol=1e-7)


def their_model(kind: Any, learner: Any, **settings: Any) -> Any:
    """A model of theirs with our weights."""
    hidden = list(learner.config.hidden)
    model = kind(
        "MlpPolicy",
        Nothing(),
        gamma=learner.config.gamma,
        policy_kwargs={"net_arch": hidden},
        buffer_size=10,
        device="cpu",
        **settings,
    )
    model.set_logger(Logger(None, []))
    for networks in (model.policy, learner.nets):
        networks.double()  # in place: optimisers have the same parameters still
    give_linears(model.actor, linears(learner.policy))
    give_linears(model.critic, critic_linears(learner.critics))
    give_linears(model.critic_target, critic_linears(learner.target))
    return model


def logged(model: Any, name: str) -> float:
    return model.logger.name_to_value[f"train/{name}"]


@pytest.mark.parametrize("autotune", [True, False])
@pytest.mark.usefixtures("double")
def test_sac_updates_are_theirs(autotune: bool) -> None:
    torch.manual_seed(1)
    config = SACConfig(
        hidden=(32, 24), critic_hidden=(32, 24), alpha=0.7, autotune=autotune
    )
    learner = SAC(SIZES, config, CPU)
    coefficient = "auto_0.7" if autotune else 0.7
    model = their_model(TheirSAC, learner, ent_coef=coefficient)
    model.actor.action_dist.epsilon = 0.0
    if autotune:
        model.log_ent_coef.data = learner.log_alpha[0].data.clone()
    assert model.learning_rate == config.learning_rate and model.tau == config.tau
    assert model.target_entropy == learner.target_entropy == -ACTION
    for seed, batch in enumerate(batches(config.gamma)):
        feed(model, batch)
        torch.manual_seed(seed)
        model.train(1, ROWS)
        torch.manual_seed(seed)
        zeros = torch.zeros(ROWS, ACTION, dtype=torch.float64)
        ones = torch.ones_like(zeros)
        learner.learn(batch, torch.normal(zeros, ones), torch.normal(zeros, ones))
        seen = {k: float(v) for k, v in learner.watched().items()}
        assert seen["critic_loss"] == pytest.approx(logged(model, "critic_loss"), 1e-6)
        assert seen["actor_loss"] == pytest.approx(
            logged(model, "actor_loss"), 1e-6, abs=1e-8
        )
        assert seen["alpha"] == pytest.approx(logged(model, "ent_coef"), 1e-5)
    compare(model.actor, linears(learner.policy))
    compare(model.critic, critic_linears(learner.critics))
    compare(model.critic_target, critic_linears(learner.target))
    if autotune:
        log_alpha = learner.log_alpha[0].item()
        assert log_alpha == pytest.approx(model.log_ent_coef.item(), abs=1e-7)
        assert log_alpha != pytest.approx(np.log(0.7), abs=1e-4)  # it moved


@pytest.mark.usefixtures("double")
def test_td3_updates_are_theirs() -> None:
    torch.manual_seed(1)
    config = TD3Config(hidden=(32, 24), critic_hidden=(32, 24))
    learner = TD3(SIZES, config, CPU)
    model = their_model(TheirTD3, learner)
    give_linears(model.actor_target, linears(learner.target_policy))
    assert model.learning_rate == config.learning_rate and model.tau == config.tau
    assert model.policy_delay == config.actor_every
    assert model.target_policy_noise == config.target_std
    assert model.target_noise_clip == config.target_clip
    draws: list[Tensor] = []
    learner.noise = lambda *_: draws.pop()  # type: ignore[method-assign]
    for seed, batch in enumerate(batches(config.gamma)):
        feed(model, batch)
        torch.manual_seed(seed)
        model.train(1, ROWS)
        torch.manual_seed(seed)
        scaled = torch.zeros_like(batch.action).normal_(0, config.target_std)
        draws.append(scaled / config.target_std)
        learner.update(batch)
        seen = {k: float(v) for k, v in learner.watched().items()}
        assert seen["critic_loss"] == pytest.approx(logged(model, "critic_loss"), 1e-6)
        if learner.count % config.actor_every == 0:
            assert seen["value"] == pytest.approx(-logged(model, "actor_loss"), 1e-6)
    compare(model.actor, linears(learner.policy))
    compare(model.actor_target, linears(learner.target_policy))
    compare(model.critic, critic_linears(learner.critics))
    compare(model.critic_target, critic_linears(learner.target))


def test_defaults_are_theirs() -> None:
    """Of all that both have a name for."""
    for config, kind in ((SACConfig(), TheirSAC), (TD3Config(), TheirTD3)):
        model = kind("MlpPolicy", Nothing(), device="cpu", buffer_size=10)
        assert list(config.hidden) == model.policy.net_arch
        assert list(config.critic_hidden) == model.policy.net_arch
        assert (config.batch_size, config.warmup) == (
            model.batch_size,
            model.learning_starts,
        )
        assert (config.gamma, config.tau) == (model.gamma, model.tau)
        assert config.learning_rate == model.learning_rate
        assert config.updates == model.gradient_steps == 1


@pytest.mark.parametrize(
    "learner",
    [
        SAC(SIZES, SACConfig(hidden=(8,)), CPU),
        TD3(SIZES, TD3Config(hidden=(8,)), CPU),
    ],
)
def test_a_checkpoint_builds_the_same_actor(learner: Any) -> None:
    twin = build_actor(learner.network(), OBS, ACTION)
    twin.load_state_dict(learner.actor().state_dict())
    rows = torch.randn(7, OBS)
    action = learner.actor()(rows)
    assert torch.equal(twin(rows), action)
    assert action.abs().max() <= 1
    with pytest.raises(ValueError, match="gaussian or deterministic, got 'discrete'"):
        build_actor(learner.network() | {"kind": "discrete"}, OBS, ACTION)


def test_exploration_has_its_noise() -> None:
    learner = TD3(SIZES, TD3Config(hidden=(8,), explore_std=0.05), CPU)
    rows = torch.randn(1, OBS).expand(4000, -1)
    off = learner.explore(rows) - learner.actor()(rows).detach()
    assert float(off.std()) == pytest.approx(0.05, rel=0.05)
    actor = SAC(SIZES, SACConfig(hidden=(8,)), CPU)
    mean, log_std = actor.policy(rows[:1])
    spread = (actor.explore(rows).atanh() - mean).std(0)
    torch.testing.assert_close(spread, log_std.exp()[0], rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (SACConfig, {"alpha": 0.0}, "alpha must be above 0"),
        (SACConfig, {"tau": 1.5}, "tau is above 0 and at most 1, got 1.5"),
        (SACConfig, {"log_std": (2.0, -5.0)}, "a lower and an upper bound"),
        (SACConfig, {"precision": "bf16"}, r"sac computes in single.*got 'bf16'"),
        (TD3Config, {"precision": "bf16"}, r"td3 computes in single.*got 'bf16'"),
        (TD3Config, {"tau": 0.0}, "tau is above 0"),
        (TD3Config, {"actor_every": 0}, "actor_every is at least 1, got 0"),
        (TD3Config, {"target_clip": -1.0}, "target_clip is at least 0, got -1"),
    ],
)
def test_numbers_that_cannot_work(kind: Any, wrong: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**wrong)
