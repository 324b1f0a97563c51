"""The ladder's networks: formulas against others', and what they learn at once."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from torch import nn

from assets.errors import UsageError
from policies.ladder import a2c, dqn, reinforce
from policies.ladder.a2c import A2CConfig, Walker
from policies.ladder.dqn import DQNConfig, goals
from policies.ladder.exploration import Decay
from policies.ladder.gae import advantages
from policies.ladder.gradient_noise import measure
from policies.ladder.reinforce import Episodes, ReinforceConfig, policy_loss
from policies.ladder.replay import Replay, Transitions
from policies.ladder.trial import greedy, returns

SIDE = "ladder/Side-v0"
LENGTH = 6


class Side(gym.Env):
    """Which side is it on? 1 for each right answer, six questions."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: Any = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = LENGTH
        return self._ask(), {}

    def step(self, action: int) -> tuple[Any, ...]:
        reward = float(action == (self.side > 0))
        self.left -= 1
        return self._ask(), reward, self.left == 0, False, {}

    def _ask(self) -> np.ndarray:
        self.side = self.np_random.choice([-1.0, 1.0])
        return np.array([self.side, 1], np.float32)


@pytest.fixture(scope="module", autouse=True)
def side() -> None:
    if SIDE not in gym.registry:
        gym.register(SIDE, lambda **_: Side())
    torch.set_num_threads(1)


LEARN = {
    "dqn": lambda: dqn.train(
        SIDE,
        DQNConfig(
            steps=800,
            warm_up=50,
            discount=0.5,
            hidden=(16,),
            learning_rate=1e-2,
            epsilon=Decay(start=1.0, end=0.1, rate=0.99),
        ),
    ),
    "dqn without either": lambda: dqn.train(
        SIDE,
        DQNConfig(
            steps=2000,
            warm_up=50,
            discount=0.0,
            hidden=(16,),
            learning_rate=1e-2,
            replay=False,
            target=False,
            epsilon=Decay(start=1.0, end=0.1, rate=0.99),
        ),
    ),
    "reinforce": lambda: reinforce.train(
        SIDE, ReinforceConfig(updates=20, hidden=(16,), learning_rate=5e-2)
    ),
    "a2c": lambda: a2c.train(
        SIDE, A2CConfig(steps=2000, envs=4, horizon=8, learning_rate=1e-2, hidden=(16,))
    ),
}


@pytest.mark.parametrize("name", LEARN)
def test_each_learns_which_side_it_is(name: str) -> None:
    trained = LEARN[name]()
    assert returns(SIDE, greedy(trained.net), episodes=10).tolist() == [LENGTH] * 10
    assert len(trained.returns) == len(trained.ends)
    assert trained.returns[-10:].mean() > trained.returns[:10].mean() + 1
    assert (np.diff(trained.ends) >= 0).all()


def test_a_trial_counts_each_episode_once() -> None:
    always_right = returns(SIDE, lambda seen: (seen[:, 0] > 0).long(), episodes=7)
    assert always_right.tolist() == [LENGTH] * 7
    pushed = returns(
        "CartPole-v1", lambda seen: torch.ones(len(seen)).long(), episodes=50
    )
    assert pushed.min() >= 8 and pushed.max() <= 11, "as long as a pole takes to fall"


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_advantages_are_those_of_stable_baselines(trace: float) -> None:
    """In which a cut is no different from a terminal state: so all are terminal."""
    steps, envs, rng = 12, 3, np.random.default_rng(0)
    reward, value = rng.normal(size=(2, steps, envs)).astype(np.float32)
    over = rng.random((steps, envs)) < 0.2
    last = rng.normal(size=envs).astype(np.float32)
    box = gym.spaces.Box(-1, 1, (1,))
    buffer = RolloutBuffer(
        steps, box, box, gae_lambda=trace, gamma=0.9, n_envs=envs, device="cpu"
    )
    buffer.rewards, buffer.values = reward, value
    buffer.episode_starts = np.concatenate([np.zeros((1, envs)), over[:-1]])
    buffer.compute_returns_and_advantage(torch.from_numpy(last), over[-1])
    found = advantages(
        torch.from_numpy(reward),
        torch.from_numpy(value),
        torch.from_numpy(np.concatenate([value[1:], last[None]])),
        torch.from_numpy(over),
        torch.from_numpy(over),
        discount=0.9,
        trace=trace,
    )
    assert found.numpy() == pytest.approx(buffer.advantages, abs=1e-5)


def test_an_advantage_is_the_weighted_sum_of_td_errors_up_to_the_cut() -> None:
    """Eq. 16, as the sum that it is; a cut episode is worth what its last state is."""
    reward, value, after = torch.randn(3, 6, 1, dtype=torch.double)
    terminated, over = torch.zeros(2, 6, 1, dtype=torch.bool)
    over[3] = True
    found = advantages(reward, value, after, terminated, over, discount=0.9, trace=0.8)
    delta = reward + 0.9 * after - value
    for t in range(6):
        stop = 4 if t < 4 else 6
        wanted = sum(0.72 ** (k - t) * delta[k] for k in range(t, stop))
        assert float(found[t]) == pytest.approx(float(wanted))


class Fixed(nn.Module):
    """Values of two actions, whatever is seen."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.values.expand(len(seen), -1)


def test_goals_are_mnihs_and_van_hasselts() -> None:
    rows = Transitions(
        seen=torch.zeros(2, 1),
        action=torch.tensor([0, 1]),
        reward=torch.tensor([1.0, 2.0]),
        following=torch.zeros(2, 1),
        terminated=torch.tensor([False, True]),
    )
    net, lagging = Fixed(5.0, 7.0), Fixed(4.0, 3.0)
    assert goals(net, lagging, rows, 0.5, double=False).tolist() == [3.0, 2.0]
    assert goals(net, lagging, rows, 0.5, double=True).tolist() == [2.5, 2.0]


def test_a_memory_keeps_the_newest_and_draws_them_alike() -> None:
    memory = Replay(4, 1)
    for i in range(6):
        memory.add(np.array([i]), i, float(i), np.array([i + 1]), i == 5)
    assert len(memory) == 4
    assert memory.newest(3).action.tolist() == [3, 4, 5]
    assert memory.newest(9).action.tolist() == [2, 3, 4, 5]
    drawn = memory.draw(4000, np.random.default_rng(0))
    assert np.bincount(drawn.action.numpy())[2:].min() > 850
    assert torch.equal(drawn.following, drawn.seen + 1)
    assert torch.equal(drawn.terminated, drawn.action == 5)
    assert torch.equal(drawn.reward, drawn.action.float())


def test_the_mean_gradient_is_the_returns_and_a_baseline_only_takes_noise() -> None:
    """A bandit, whose gradient is known: p (r - p . r)."""
    logits = torch.tensor([0.2, -0.3, 0.5], dtype=torch.double, requires_grad=True)
    p = torch.softmax(logits, 0).detach()
    reward = torch.tensor([5.0, 6.0, 8.0], dtype=torch.double)
    exact = p * (reward - p @ reward)
    spread = []
    for baseline in (0.0, p @ reward):
        rows = []
        for action in range(3):
            arm = torch.tensor(action)
            lost = policy_loss(logits, arm, reward[action] - baseline)
            rows.append(-torch.autograd.grad(lost, logits)[0])
        estimates = torch.stack(rows)
        assert torch.allclose(p @ estimates, exact)
        spread.append(float((p @ (estimates - exact).square()).sum()))
    assert spread[1] < 0.1 * spread[0]


def test_a_learned_baseline_takes_noise_away() -> None:
    early = ReinforceConfig(updates=6, hidden=(16,), fits=100)
    run = reinforce.train("CartPole-v1", early)
    assert run.value is not None
    noise = measure(
        "CartPole-v1",
        run.net,
        run.value,
        episodes=24,
        discount=0.99,
        scale=ReinforceConfig().scale,
        seed=1,
    )
    assert noise.ratio < 0.85
    gap = (noise.plain - noise.led).mean(0)
    error = (noise.plain - noise.led).std(0) / 24**0.5
    assert (gap.abs() < 5 * error + 1e-4).all(), "the mean stays"


def test_returns_are_discounted_and_end_with_the_episode() -> None:
    reward = torch.tensor([[1.0, 1.0], [2.0, 0.0], [4.0, 0.0]])
    empty = torch.zeros(3, 2)
    found = Episodes(empty, empty, reward, reward > 0).returns(0.5)
    assert found.tolist() == [[3.0, 1.0], [4.0, 0.0], [4.0, 0.0]]


def test_a_walker_sees_where_an_episode_ended() -> None:
    walker = Walker("CartPole-v1", envs=4, seed=0)
    lived = walker.walk(Fixed(0.0, 20.0), 25)
    walker.envs.close()
    fell = lived.following[lived.terminated]
    assert len(fell) >= 8
    assert (fell[:, 2].abs() > 0.209).all(), "the pole has fallen, not been put up"
    assert (lived.seen[1:][lived.over[:-1]].abs() < 0.05).all(), "it has there"
    apart = ~lived.over[:-1]
    assert torch.equal(lived.seen[1:][apart], lived.following[:-1][apart])
    assert walker.ends == sorted(walker.ends) and walker.returns[0] < 12


def test_mistakes_are_told() -> None:
    with pytest.raises(UsageError, match="needs target=True"):
        DQNConfig(double=True, target=False)
    with pytest.raises(UsageError, match="update_every is at least 1, got 0"):
        DQNConfig(update_every=0)
    with pytest.raises(UsageError, match="1 transition or more"):
        Replay(0, 1)
    with pytest.raises(UsageError, match="updates is at least 1"):
        ReinforceConfig(updates=0)
    with pytest.raises(UsageError, match="trace is from 0 to 1"):
        A2CConfig(trace=2.0)
    with pytest.raises(UsageError, match="one update takes 128 steps"):
        A2CConfig(steps=100)
    with pytest.raises(UsageError, match="envs is at least 1"):
        A2CConfig(envs=0)
    for train in (
        lambda: dqn.train("Taxi-v4", DQNConfig(steps=1)),
        lambda: reinforce.train("Taxi-v4", ReinforceConfig(updates=1)),
    ):
        with pytest.raises(UsageError, match="wants a vector to see"):
            train()
