"""Real-time chunking: the product against Jacobians, the weights against the paper, and
guided chunks against what is known of a Gaussian process."""

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.generative.ddim import sample_ddim
from ml.generative.ddpm import PREDICTIONS
from ml.generative.ddpm import predicted_data as data_of
from ml.generative.denoiser import Field, bind
from ml.generative.flow import predicted_data, sample_flow
from ml.generative.guidance import (
    WEIGHTS,
    guidance_weight,
    guide_diffusion,
    guide_flow,
    prefix_weights,
)
from ml.generative.noise_schedule import NoiseSchedule
from ml.generative.unet1d import UNet1D, UNetConfig

sys.path.insert(0, str(Path(__file__).parent))
from mixture_field import Mixture

LENGTH, SIZE = 8, 3


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture(scope="module")
def network() -> Field:
    """A random network, in double precision."""
    torch.manual_seed(1)
    net = UNet1D(SIZE, 4, UNetConfig(dims=(8, 16), time_width=16)).double().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv1d):
            module.weight.data *= 2  # as far from linear as a trained one
    condition = torch.randn(1, 4, generator=seeded(), dtype=torch.float64)
    return lambda x, t: bind(net, condition.expand(len(x), -1))(x, t)


def chunks() -> tuple[Tensor, Tensor, Tensor]:
    """A noisy chunk, its time, and a previous one."""
    draw = seeded()
    shape = (1, LENGTH, SIZE)
    return (
        torch.randn(shape, generator=draw, dtype=torch.float64),
        torch.tensor([0.4], dtype=torch.float64),
        torch.randn(shape, generator=draw, dtype=torch.float64),
    )


def pull(network: Field, weights: Tensor, *, through_network: bool = True) -> Tensor:
    """What guidance adds, without its strength: g of the module's equations."""
    x, t, previous = chunks()
    guided = guide_flow(network, previous, weights, through_network=through_network)
    with torch.no_grad():
        return (network(x, t) - guided(x, t)) / guidance_weight(t, 10.0)


@pytest.mark.parametrize(("delay", "end"), [(0, 0), (0, 16), (3, 9), (5, 5), (4, 12)])
def test_weights_are_those_of_the_paper(delay: int, end: int) -> None:
    found = {
        kind: prefix_weights(kind, horizon=16, delay=delay, end=end) for kind in WEIGHTS
    }
    for i in range(16):
        c = (end - i) / (end - delay + 1)
        free = {
            "zeros": 0.0,
            "ones": 1.0,
            "linear": c,
            "exp": c * (math.exp(c) - 1) / (math.e - 1),
        }
        for kind, weights in found.items():
            expected = 1.0 if i < delay else free[kind] if i < end else 0.0
            assert weights[i].item() == pytest.approx(expected, abs=1e-6)
    # LeRobot builds the linear ones as a cut linspace.
    ramp = torch.linspace(1, 0, end - delay + 2)[1:-1]
    torch.testing.assert_close(found["linear"][delay:end], ramp)
    for weights in found.values():
        assert weights.dtype == torch.float32 and (weights.diff() <= 0).all()


def test_strength_is_that_of_the_paper() -> None:
    for tau in (0.05, 0.3, 0.5, 0.8):
        r2 = (1 - tau) ** 2 / (tau**2 + (1 - tau) ** 2)
        expected = min((1 - tau) / (tau * r2), 10.0)
        t = torch.tensor([1 - tau], dtype=torch.float64)
        assert guidance_weight(t, 10.0).item() == pytest.approx(expected)
    ends = guidance_weight(torch.tensor([0.0, 1.0]), 7.0)
    assert ends.tolist() == [7.0, 7.0]
    assert guidance_weight(torch.tensor([0.5]), 10.0).item() == pytest.approx(2.0)


def test_the_product_goes_through_the_network(network: Field) -> None:
    """Against the whole Jacobian, and against finite differences of a_hat."""
    x, t, previous = chunks()
    weights = prefix_weights("exp", horizon=LENGTH, delay=2, end=6)

    def ending(x: Tensor) -> Tensor:
        return predicted_data(network(x, t), x, t)

    with torch.no_grad():
        error = weights.double()[:, None] * (previous - ending(x))
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(ending, x)
        jacobian = torch.as_tensor(jacobian).reshape(x.numel(), x.numel())
        found = pull(network, weights)
        expected = (jacobian.T @ error.flatten()).reshape(x.shape)
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-8)
        h = 1e-5
        for i in range(0, x.numel(), 5):
            step = torch.zeros(x.numel(), dtype=x.dtype)
            step[i] = h
            step = step.reshape(x.shape)
            slope = (ending(x + step) - ending(x - step)) / (2 * h)
            assert found.flatten()[i].item() == pytest.approx(
                (slope * error).sum().item(), abs=1e-8
            )


def test_without_the_network_it_is_the_plain_error(network: Field) -> None:
    """LeRobot's form; on a random network the two are far from each other."""
    x, t, previous = chunks()
    weights = prefix_weights("exp", horizon=LENGTH, delay=2, end=6)
    plain = pull(network, weights, through_network=False)
    with torch.no_grad():
        data = predicted_data(network(x, t), x, t)
    torch.testing.assert_close(plain, weights.double()[:, None] * (previous - data))
    true = pull(network, weights)
    assert ((true - plain).norm() / true.norm()).item() > 0.1
    assert plain[:, 6:].abs().max() == 0 and true[:, 6:].abs().max() > 1e-4

    def blind(x: Tensor, t: Tensor) -> Tensor:  # the Jacobian is the identity
        return 0 * x + t

    torch.testing.assert_close(
        pull(blind, weights), pull(blind, weights, through_network=False)
    )


def process() -> Mixture:
    """Chunks of 16 smooth actions around one of two curves, and their distribution."""
    time = torch.arange(16, dtype=torch.float64) / 16
    curve = 1.5 * torch.sin(math.pi * time + 0.5)
    gap = time[:, None] - time
    smooth = 0.25 * torch.exp(-gap.square() / (2 * 0.25**2)) + 1e-3 * torch.eye(16)
    return Mixture([0.5, 0.5], torch.stack((curve, -curve)), smooth.expand(2, 16, 16))


def chunk_field(data: Mixture) -> Field:
    """Its exact velocity, on chunks (B, 16, 1)."""
    return lambda x, t: data.velocity(x[..., 0], t)[..., None]


def prior(rows: int) -> Tensor:
    return torch.randn(rows, 16, 1, generator=seeded(), dtype=torch.float64)


def strangeness(data: Mixture, x: Tensor, n: int) -> float:
    """How far the actions after the first n are from what those foretell: the mean
    square of what Gaussian conditioning leaves, which is 1 for true continuations."""
    gap = (x[:, None, :n] - data.means[:, :n]).square().sum(-1)
    mean, cov = data.means[gap.argmin(1)], data.covariances[0]
    gain = torch.linalg.solve(cov[:n, :n], cov[:n, n:])
    left = x[:, n:] - mean[:, n:] - (x[:, :n] - mean[:, :n]) @ gain
    spread = torch.linalg.cholesky(cov[n:, n:] - cov[n:, :n] @ gain)
    return (
        torch.linalg.solve_triangular(spread, left.T, upper=False)
        .square()
        .mean()
        .item()
    )


def test_guided_chunks_go_on_where_the_last_one_was() -> None:
    """They agree with the prefix, and stay in its mode, which chance does half the
    time. Through the network what follows fits the prefix as in the data; LeRobot's
    form meets the prefix more closely, and what follows fits it less."""
    data, rows, n = process(), 800, 6
    field = chunk_field(data)
    previous = data.draw(rows)[..., None]
    weights = prefix_weights("zeros", horizon=16, delay=n, end=n)
    guided = {
        through: guide_flow(
            field, previous[:, :n], weights, max_weight=20, through_network=through
        )
        for through in (True, False)
    }
    with torch.no_grad():
        free, true, plain = (
            sample_flow(f, prior(rows), steps=20)[..., 0]
            for f in (field, guided[True], guided[False])
        )
    seen = previous[..., 0]
    off = [(x - seen)[:, :n].square().mean().sqrt() for x in (free, true, plain)]
    assert off[1] < 0.05 * off[0] and off[2] < off[1]
    side = seen[:, :n].sum(1).sign()
    same = [(x[:, :n].sum(1).sign() == side).double().mean() for x in (free, true)]
    assert 0.4 < same[0] < 0.6 and same[1] > 0.98
    assert strangeness(data, seen, n) == pytest.approx(1, abs=0.05)
    assert strangeness(data, true, n) == pytest.approx(1, abs=0.25)
    assert strangeness(data, plain, n) > 3


def test_guided_diffusion_goes_on_as_well() -> None:
    """The same for exact denoisers, whatever they predict: all three say the same."""
    data, rows, n = process(), 400, 6
    schedule = NoiseSchedule()
    previous = data.draw(rows)[..., None]
    weights = prefix_weights("zeros", 16, n, n).expand(rows, -1)
    found = {}
    for prediction in PREDICTIONS:
        field = denoiser_of(data, schedule, prediction)
        options = {"steps": 50, "prediction": prediction, "clip": None}
        guided = guide_diffusion(
            field, previous[:, :n], weights, schedule, prediction, clip=None
        )
        with torch.no_grad():
            found[prediction] = sample_ddim(guided, prior(rows), schedule, **options)
            free = sample_ddim(field, prior(rows), schedule, **options)
        torch.testing.assert_close(
            found[prediction], found["epsilon"], atol=1e-6, rtol=0
        )
    off = [
        (x - previous)[:, :n].square().mean().sqrt() for x in (free, found["sample"])
    ]
    assert off[1] < 0.05 * off[0]
    assert strangeness(data, found["sample"][..., 0], n) == pytest.approx(1, abs=0.25)


def denoiser_of(data: Mixture, schedule: NoiseSchedule, prediction: str) -> Field:
    """What the best network would say, on chunks (B, 16, 1)."""

    def field(x: Tensor, t: Tensor) -> Tensor:
        bar = schedule.bar(round(t[0].item() * schedule.steps) - 1)
        signal, sigma = math.sqrt(bar), math.sqrt(1 - bar)
        clean, noise = data.posterior(x[..., 0], signal, sigma)
        said = {
            "epsilon": noise,
            "sample": clean,
            "v_prediction": signal * noise - sigma * clean,
        }
        return said[prediction][..., None]

    return field


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("through_network", [True, False])
def test_guided_diffusion_moves_the_data_by_its_product(
    network: Field, prediction: str, through_network: bool
) -> None:
    """Against the Jacobian of the clipped prediction; at three degrees of noise."""
    schedule, weights = NoiseSchedule(), prefix_weights("exp", LENGTH, 2, 6)
    x, _, previous = chunks()
    for step in (5, 50, 95):
        t = torch.full((1,), schedule.time(step), dtype=torch.float64)
        bar = schedule.bar(step)

        def ending(x: Tensor, t: Tensor = t, bar: float = bar) -> Tensor:
            return data_of(network(x, t), x, bar, prediction).clamp(-1, 1)

        guided = guide_diffusion(
            network,
            previous,
            weights,
            schedule,
            prediction,
            max_weight=3.0,
            through_network=through_network,
        )
        with torch.no_grad():
            error = weights.double()[:, None] * (previous - ending(x))
            before, after = (
                data_of(f(x, t), x, bar, prediction) for f in (network, guided)
            )
        if through_network:
            jacobian = torch.autograd.functional.jacobian(ending, x)
            square = torch.as_tensor(jacobian).reshape(x.numel(), x.numel())
            error = (square.T @ error.flatten()).reshape(x.shape)
        expected = min(1 / math.sqrt(bar), 3.0) * error
        torch.testing.assert_close(after - before, expected, atol=1e-9, rtol=1e-6)


def test_a_diffusion_that_errs_is_not_led_astray() -> None:
    """A rough denoiser, off by up to 0.05: near noise that is enlarged a thousand
    times in the data it stands for, and in their derivative. The clip makes up for it.
    """
    data, rows, n = process(), 100, 6
    schedule = NoiseSchedule()
    exact = denoiser_of(data, schedule, "epsilon")

    def rough(x: Tensor, t: Tensor) -> Tensor:
        return exact(x, t) + 0.05 * torch.sin(x.flip(1) + x.roll(3, 1))

    previous = data.draw(rows)[..., None]
    weights = prefix_weights("zeros", 16, n, n)
    strange = {}
    for clip in (None, 4.0):  # the data reach to 4
        guided = guide_diffusion(rough, previous[:, :n], weights, schedule, clip=clip)
        with torch.no_grad():
            x = sample_ddim(guided, prior(rows), schedule, steps=20, clip=4.0)
        assert (x - previous)[:, :n].square().mean().sqrt() < 0.2
        strange[clip] = strangeness(data, x[..., 0], n)
    assert strange[4.0] < 3 and strange[None] > 8


def test_guidance_is_off_where_nothing_is_known(network: Field) -> None:
    x, t, previous = chunks()
    nothing = prefix_weights("exp", horizon=LENGTH, delay=0, end=0)
    with torch.no_grad():
        same = guide_flow(network, previous, nothing)(x, t)
        torch.testing.assert_close(same, network(x, t))
        # What the previous chunk lacks weighs nothing, whatever the weights say.
        ones = torch.ones(LENGTH)
        short = guide_flow(network, previous[:, :3], ones)(x, t)
        filled = previous.clone()
        filled[:, 3:] = 99.0
        cut = prefix_weights("ones", horizon=LENGTH, delay=0, end=3)
        torch.testing.assert_close(short, guide_flow(network, filled, cut)(x, t))


def test_nothing_is_left_to_differentiate() -> None:
    torch.manual_seed(0)
    net = UNet1D(SIZE, 4, UNetConfig(dims=(8,), time_width=16))
    x, t, previous = (v.float() for v in chunks())
    guided = guide_flow(bind(net, torch.zeros(1, 4)), previous, torch.ones(LENGTH))
    with torch.no_grad():
        assert not guided(x, t).requires_grad
    assert not guided(x, t).requires_grad
    assert all(p.grad is None for p in net.parameters())


def test_what_cannot_work_is_refused(network: Field) -> None:
    x, t, previous = chunks()
    with pytest.raises(UsageError, match="Did you mean 'linear'"):
        prefix_weights("lin", horizon=16, delay=0, end=4)
    with pytest.raises(UsageError, match="unknown prediction 'eps'"):
        guide_diffusion(network, previous, torch.ones(5), NoiseSchedule(), "eps")
    with pytest.raises(UsageError, match=r"got 9, 4 and 16"):
        prefix_weights("exp", horizon=16, delay=9, end=4)
    with pytest.raises(UsageError, match=r"weights, got \(5,\)"):
        guide_flow(network, previous, torch.ones(5))(x, t)
    for wrong in (
        previous[..., :2],
        previous.repeat(2, 1, 1),
        previous.repeat(1, 2, 1),
    ):
        with pytest.raises(UsageError, match="previous actions are"):
            guide_flow(network, wrong, torch.ones(LENGTH))(x, t)
    with torch.inference_mode(), pytest.raises(UsageError, match="no_grad"):
        guide_flow(network, previous, torch.ones(LENGTH))(x, t)
