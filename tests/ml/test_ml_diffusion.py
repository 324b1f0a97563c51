"""Schedules, targets and samplers of diffusion, against diffusers step by step.

diffusers keeps its tables in single precision. The schedules are therefore compared
with its own to 1e-6, and the samplers twice: with double-precision tables put into its
schedulers, over whole trajectories to 1e-9, and as it comes, in single precision.
"""

import math

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from assets.errors import UsageError
from ml.generative.ddim import sample_ddim
from ml.generative.ddpm import (
    PREDICTIONS,
    add_noise,
    draw_example,
    predicted_data,
    predicted_noise,
    sample_ddpm,
    training_target,
)
from ml.generative.noise_schedule import (
    KINDS,
    SPACINGS,
    NoiseSchedule,
    sampled_steps,
)

SHAPE = (3, 16, 4)


def peer(kind: type, schedule: NoiseSchedule, *, exact: bool = True, **options):
    """diffusers' scheduler of the same schedule, in double precision if exact."""
    scheduler = kind(
        num_train_timesteps=schedule.steps, beta_schedule=schedule.kind, **options
    )
    if exact:
        scheduler.betas = schedule.betas
        scheduler.alphas = schedule.alphas
        scheduler.alphas_cumprod = schedule.alpha_bar
        scheduler.one = scheduler.final_alpha_cumprod = torch.tensor(1.0).double()
    return scheduler


def network(x: Tensor, t: Tensor) -> Tensor:
    """Stands for one: smooth, of the size of noise, and it depends on the time."""
    t = t.reshape(-1, 1, 1)
    return torch.tanh(1.3 * x.roll(1, -1) - t) + 0.4 * torch.sin(5 * t + x.flip(1))


def walk(scheduler, schedule: NoiseSchedule, x: Tensor, **options) -> list[Tensor]:
    """What diffusers' sampler does, step by step."""
    seen = []
    for step in scheduler.timesteps:
        output = network(x, x.new_full((len(x),), schedule.time(int(step))))
        x = scheduler.step(output, int(step), x, **options).prev_sample
        seen.append(x)
    return seen


def noise(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=dtype)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def agree(ours: list[Tensor], theirs: list[Tensor], atol: float) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_schedules_are_those_of_diffusers(kind: str, steps: int) -> None:
    ours = NoiseSchedule(kind, steps)
    theirs = peer(DDPMScheduler, ours, exact=False)
    for name, table in (
        ("betas", ours.betas),
        ("alphas", ours.alphas),
        ("alphas_cumprod", ours.alpha_bar),
    ):
        reference = getattr(theirs, name).double()
        torch.testing.assert_close(table, reference, atol=1e-6, rtol=0)
    assert ours.alpha_bar.diff().lt(0).all() and ours.bar(-1) == 1.0
    assert ours.time(steps - 1) == 1.0 and ours.time(0) == pytest.approx(1 / steps)


@pytest.mark.parametrize("count", [1, 2, 7, 10, 33, 100])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_visited_steps_are_those_of_diffusers(count: int, spacing: str) -> None:
    steps = sampled_steps(100, count, spacing)
    assert len(steps) == count and (np.diff(steps) < 0).all()
    assert steps[-1] >= 0 and steps[0] <= 99
    if (count, spacing) == (1, "linspace"):
        assert steps == [99]  # theirs is step 0, where nothing is noisy
        return
    scheduler = peer(DDIMScheduler, NoiseSchedule(), timestep_spacing=spacing)
    scheduler.set_timesteps(count)
    assert steps == scheduler.timesteps.tolist()


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_ddpm_is_that_of_diffusers(
    kind: str, prediction: str, clip: float | None
) -> None:
    schedule = NoiseSchedule(kind, 100)
    scheduler = peer(
        DDPMScheduler,
        schedule,
        prediction_type=prediction,
        clip_sample=clip is not None,
    )
    ours: list[Tensor] = []
    last = sample_ddpm(
        network,
        noise(),
        schedule,
        prediction=prediction,
        clip=clip,
        generator=seeded(),
        trace=ours,
    )
    theirs = walk(scheduler, schedule, noise(), generator=seeded())
    size = max(1.0, max(x.abs().max().item() for x in theirs))
    agree(ours, theirs, 1e-9 * size)
    assert torch.equal(last, ours[-1]) and len(ours) == 100


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [2, 7, 10, 50])
def test_ddpm_in_fewer_steps_is_that_of_diffusers(steps: int, spacing: str) -> None:
    schedule = NoiseSchedule()
    scheduler = peer(DDPMScheduler, schedule, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    ours: list[Tensor] = []
    sample_ddpm(
        network,
        noise(),
        schedule,
        steps=steps,
        spacing=spacing,
        generator=seeded(),
        trace=ours,
    )
    agree(ours, walk(scheduler, schedule, noise(), generator=seeded()), 1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 2, 7, 10, 30, 100])
def test_ddim_is_that_of_diffusers(steps: int, prediction: str, eta: float) -> None:
    """For any number of steps with "leading"; theirs knows no other jump."""
    schedule = NoiseSchedule()
    for clip, rederive in ((1.0, False), (1.0, True), (2.5, False), (None, False)):
        scheduler = peer(
            DDIMScheduler,
            schedule,
            prediction_type=prediction,
            clip_sample=clip is not None,
            clip_sample_range=clip or 1.0,
        )
        scheduler.set_timesteps(steps)
        ours: list[Tensor] = []
        sample_ddim(
            network,
            noise(),
            schedule,
            steps=steps,
            eta=eta,
            prediction=prediction,
            clip=clip,
            rederive=rederive,
            spacing="leading",
            generator=seeded(),
            trace=ours,
        )
        theirs = walk(
            scheduler,
            schedule,
            noise(),
            eta=eta,
            use_clipped_model_output=rederive,
            generator=seeded(),
        )
        agree(ours, theirs, 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [5, 10, 20, 100])
def test_trailing_ddim_is_that_of_diffusers(steps: int, kind: str) -> None:
    """Where the steps divide the schedule; elsewhere theirs misses its own next."""
    schedule = NoiseSchedule(kind)
    scheduler = peer(DDIMScheduler, schedule, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    ours: list[Tensor] = []
    sample_ddim(network, noise(), schedule, steps=steps, trace=ours)
    agree(ours, walk(scheduler, schedule, noise()), 1e-9)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_single_precision_agrees_too(prediction: str) -> None:
    """With diffusers as it comes, tables and all; 1.5e-6 was the largest difference."""
    schedule = NoiseSchedule()
    ours: list[Tensor] = []
    sample_ddim(
        network,
        noise(torch.float32),
        schedule,
        prediction=prediction,
        spacing="leading",
        trace=ours,
    )
    scheduler = peer(DDIMScheduler, schedule, exact=False, prediction_type=prediction)
    scheduler.set_timesteps(10)
    assert ours[-1].dtype == torch.float32
    agree(ours, walk(scheduler, schedule, noise(torch.float32)), 5e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_and_targets_are_those_of_diffusers(kind: str) -> None:
    schedule = NoiseSchedule(kind)
    scheduler = peer(DDPMScheduler, schedule)
    step = torch.tensor([0, 50, 99])
    data = torch.rand(SHAPE, dtype=torch.float64, generator=seeded()) * 2 - 1
    x = add_noise(schedule, data, noise(), step)
    torch.testing.assert_close(
        x, scheduler.add_noise(data, noise(), step), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        training_target(schedule, "v_prediction", data, noise(), step),
        scheduler.get_velocity(data, noise(), step),
        atol=1e-12,
        rtol=0,
    )
    assert torch.equal(
        training_target(schedule, "epsilon", data, noise(), step), noise()
    )
    assert torch.equal(training_target(schedule, "sample", data, noise(), step), data)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_target_says_data_and_noise(prediction: str) -> None:
    """A network that is right is read as such: targets and samplers fit together."""
    schedule = NoiseSchedule()
    data = torch.rand(SHAPE, dtype=torch.float64, generator=seeded()) * 2 - 1
    for step in (0, 40, 99):
        steps = torch.full((3,), step)
        x = add_noise(schedule, data, noise(), steps)
        target = training_target(schedule, prediction, data, noise(), steps)
        bar = schedule.bar(step)
        found = predicted_data(target, x, bar, prediction)
        torch.testing.assert_close(found, data, atol=1e-9, rtol=0)
        found = predicted_noise(target, x, bar, prediction)
        torch.testing.assert_close(found, noise(), atol=1e-9, rtol=0)


def test_examples_are_drawn_evenly_and_from_the_generator() -> None:
    schedule = NoiseSchedule(steps=10)
    data = torch.zeros(20_000, 2)
    first = draw_example(schedule, data, generator=seeded())
    again = draw_example(schedule, data, generator=seeded())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    step = (first.t * 10).round().long() - 1
    counts = torch.bincount(step, minlength=10)
    assert len(counts) == 10
    assert (counts - 2000).abs().max() < 5 * math.sqrt(20_000 * 0.1 * 0.9)
    sigma = (1 - schedule.alpha_bar[step]).sqrt().float()
    torch.testing.assert_close(first.x, sigma[:, None] * first.target)
    assert first.target.std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("steps", "eta"), [(250, 0.0), (500, 1.0)])
def test_exact_noise_leads_to_the_data(steps: int, eta: float) -> None:
    """Data N(0.3, 0.2^2): what the best network would say is known, and so is where
    the samples end. With fresh noise it takes more steps: the variance of "fixed_small"
    is the right one only for small steps."""
    schedule = NoiseSchedule(steps=500)
    mean, spread = 0.3, 0.2

    def best(x: Tensor, t: Tensor) -> Tensor:
        bar = schedule.bar(round(t[0].item() * schedule.steps) - 1)
        variance = bar * spread**2 + 1 - bar
        return math.sqrt(1 - bar) * (x - math.sqrt(bar) * mean) / variance

    start = torch.randn(20_000, 1, generator=seeded(), dtype=torch.float64)
    x = sample_ddim(
        best, start, schedule, steps=steps, eta=eta, clip=None, generator=seeded()
    )
    assert x.mean().item() == pytest.approx(mean, abs=0.006)
    assert x.std().item() == pytest.approx(spread, abs=0.006)


def test_one_leading_step_takes_noise_for_data() -> None:
    """Why "trailing" is the default."""
    schedule = NoiseSchedule()
    start = noise()

    def best(x: Tensor, t: Tensor) -> Tensor:  # the data are all zero
        bar = schedule.bar(round(t[0].item() * 100) - 1)
        return x / math.sqrt(1 - bar)

    options = {"steps": 1, "clip": None}
    trailing = sample_ddim(best, start, schedule, **options)
    assert trailing.abs().max() < 1e-9

    def blind(x: Tensor, t: Tensor) -> Tensor:  # bounded, as a real network is
        return best(x, t).clamp(-3, 3)

    leading = sample_ddim(blind, start, schedule, spacing="leading", **options)
    assert leading.std() > 0.9 * start.std()


def test_what_cannot_work_is_refused() -> None:
    schedule = NoiseSchedule()
    with pytest.raises(UsageError, match="Did you mean 'squaredcos_cap_v2'"):
        NoiseSchedule("squaredcos_cap")
    with pytest.raises(UsageError, match="at least 1 step"):
        NoiseSchedule(steps=0)
    with pytest.raises(UsageError, match="beta_start <= beta_end"):
        NoiseSchedule(beta_start=0.5, beta_end=0.1)
    with pytest.raises(UsageError, match="1 to 100, got 101"):
        sample_ddim(network, noise(), schedule, steps=101)
    with pytest.raises(UsageError, match="1 to 100, got 0"):
        sample_ddpm(network, noise(), schedule, steps=0)
    with pytest.raises(UsageError, match="eta is in 0 to 1"):
        sample_ddim(network, noise(), schedule, eta=1.5)
    with pytest.raises(UsageError, match="spacing of steps"):
        sample_ddim(network, noise(), schedule, spacing="evenly")
    for sampler in (sample_ddim, sample_ddpm):
        with pytest.raises(UsageError, match="unknown prediction 'eps'"):
            sampler(network, noise(), schedule, prediction="eps")
    with pytest.raises(UsageError, match="unknown prediction 'eps'"):
        draw_example(schedule, noise(), prediction="eps")
