"""A Gaussian mixture carried to noise: its velocity, noise and moments, exactly."""

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    MixtureSameFamily,
    MultivariateNormal,
)


class Mixture:
    """Weights (K,), means (K, D), covariances (K, D, D), in double precision."""

    def __init__(self, weights, means, covariances) -> None:
        self.weights, self.means, self.covariances = (
            torch.as_tensor(v, dtype=torch.float64)
            for v in (weights, means, covariances)
        )

    def mean(self) -> Tensor:
        return self.weights @ self.means

    def covariance(self) -> Tensor:
        d = self.means - self.mean()
        within = torch.einsum("k,kij->ij", self.weights, self.covariances)
        return within + torch.einsum("k,ki,kj->ij", self.weights, d, d)

    def posterior(self, x: Tensor, signal: float, sigma: float):
        """E[data | x] and E[noise | x], x = signal data + sigma noise (B, D)."""
        eye = torch.eye(x.shape[1], dtype=x.dtype)
        noisy = signal**2 * self.covariances + sigma**2 * eye
        means = signal * self.means
        log = MultivariateNormal(means, noisy).log_prob(x[:, None]) + self.weights.log()
        share = log.softmax(1)  # (B, K)
        d = x[:, None] - means
        whitened = torch.linalg.solve(noisy, d[..., None])[..., 0]
        data = self.means + signal * torch.einsum(
            "kij,bkj->bki", self.covariances, whitened
        )
        noise = sigma * whitened
        return (share[..., None] * data).sum(1), (share[..., None] * noise).sum(1)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """E[noise - data | x_t = x]: what flow matching converges to."""
        data, noise = self.posterior(x, 1 - t[0].item(), t[0].item())
        return noise - data

    def draw(self, count: int, seed: int = 0) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return MixtureSameFamily(
                Categorical(self.weights),
                MultivariateNormal(self.means, self.covariances),
            ).sample((count,))


TWO_MODES = Mixture(
    [0.3, 0.7],
    [[-1.5, 0.5], [1.0, -0.5]],
    [[[0.2, 0.1], [0.1, 0.3]], [[0.1, -0.05], [-0.05, 0.2]]],
)
