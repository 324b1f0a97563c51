"""Variational autoencoders: a picture of the data through a few normal numbers.

Kingma and Welling (2014), "Auto-Encoding Variational Bayes". An encoder gives a normal
distribution q(z | x) with a mean and a variance for each latent number, a decoder gives
p(x | z), and both climb a lower bound of the data's likelihood:

    log p(x) >= E_q[log p(x | z)] - KL(q(z | x) || N(0, 1))

A conditional one (Sohn et al. 2015) gives both a condition. In ACT (Zhao et al. 2023,
arXiv:2304.13705) the condition is the robot's joints, the data a chunk of actions, and
z the manner in which this demonstrator did it; at run time z = 0, the mean of all.
"""

import math

import torch
from torch import Tensor, nn

from assets.errors import UsageError
from ml.networks import MLP
from ml.transformer import TransformerConfig, TransformerEncoder, sinusoidal_1d


def reparameterize(mean: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
    """Draw from a diagonal normal so that gradients reach its mean and variance.

    Args:
        mean: (..., latent).
        logvar: likewise, logarithm of the variance.
        noise: standard normal, likewise; None: drawn from torch's global generator.

    Returns:
        ``mean + exp(logvar / 2) * noise``.
    """
    noise = torch.randn_like(mean) if noise is None else noise
    return mean + (0.5 * logvar).exp() * noise


def kl_rows(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each row, summed over the latent numbers.

        1/2 sum (mean^2 + exp(logvar) - 1 - logvar)         Kingma and Welling, app. B

    Args:
        mean: (..., latent).
        logvar: likewise.

    Returns:
        (...) [nat].
    """
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(-1)


def kl_to_standard(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)), sum over the latent numbers, mean over rows.

        1/2 sum (mean^2 + exp(logvar) - 1 - logvar)         Kingma and Welling, app. B

    Args:
        mean: (..., latent).
        logvar: likewise.

    Returns:
        A scalar [nat].
    """
    return kl_rows(mean, logvar).mean()


class VAE(nn.Module):
    """Vectors through a latent normal, with perceptrons.

    The decoder's variance is one learned number (sigma-VAE, Rybkin et al. 2021): the
    weight of reconstruction against KL then need not be chosen by hand.
    """

    def __init__(
        self, size: int, latent: int, hidden: tuple[int, ...] = (64, 64)
    ) -> None:
        """Build with random weights.

        Args:
            size: elements of a row of data.
            latent: how many numbers stand for it.
            hidden: width of each hidden layer, of the encoder and, turned round, of the
                decoder.
        """
        super().__init__()
        self.latent = latent
        self.encoder = MLP(size, 2 * latent, hidden)
        self.decoder = MLP(latent, size, hidden[::-1])
        self.log_std = nn.Parameter(torch.zeros(()))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, size) -> mean and log-variance, each (rows, latent)."""
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        return mean, logvar

    def elbo(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The lower bound of each row's log-likelihood, by one draw of z.

        Args:
            x: (rows, size).
            noise: (rows, latent), see :func:`reparameterize`.

        Returns:
            (rows,) [nat].
        """
        mean, logvar = self.encode(x)
        error = (x - self.decoder(reparameterize(mean, logvar, noise))).square().sum(-1)
        variance = (2 * self.log_std).exp()
        size = x.shape[-1]
        likely = -0.5 * (
            error / variance + size * (math.log(2 * math.pi) + 2 * self.log_std)
        )
        return likely - kl_rows(mean, logvar)

    def sample(self, z: Tensor, noise: Tensor | None = None) -> Tensor:
        """Data like that learned from.

        Args:
            z: (rows, latent), standard normal.
            noise: (rows, size), standard normal; None: the mean, without noise.
        """
        mean = self.decoder(z)
        return mean if noise is None else mean + self.log_std.exp() * noise


class GaussianEncoder(nn.Module):
    """q(z | condition, sequence): a transformer over [CLS, condition, sequence].

    ACT's encoder (section IV-C): what the transformer makes of the first token, a
    learned one, becomes mean and log-variance. Places are told by fixed waves, added to
    queries and keys in each layer. The last map starts at 0, so that q is N(0, 1) at
    first and the KL starts at 0 as well.
    """

    places: Tensor

    def __init__(
        self,
        condition: int,
        element: int,
        length: int,
        *,
        latent: int = 32,
        config: TransformerConfig | None = None,
    ) -> None:
        """Build with random weights.

        Args:
            condition: size of the condition, C.
            element: size of an element of the sequence, A.
            length: of the longest sequence, T.
            latent: size of z.
            config: of the transformer; None: the default.
        """
        super().__init__()
        config = config or TransformerConfig()
        self.length = length
        self.first = nn.Parameter(torch.empty(config.width))
        nn.init.normal_(self.first, std=0.02)
        self.condition = nn.Linear(condition, config.width)
        self.element = nn.Linear(element, config.width)
        self.encoder = TransformerEncoder(config)
        self.readout = nn.Linear(config.width, 2 * latent)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)
        self.register_buffer(
            "places", sinusoidal_1d(length + 2, config.width), persistent=False
        )

    def forward(
        self, condition: Tensor, sequence: Tensor, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What z may have been.

        Args:
            condition: (batch, C).
            sequence: (batch, time, A), time at most T.
            padding: (batch, time) bool, True where an element is only filling.

        Returns:
            Mean and log-variance, each (batch, latent).

        Raises:
            UsageError: a longer sequence.
        """
        batch, time = sequence.shape[:2]
        if time > self.length:
            raise UsageError(
                f"the encoder was built for sequences of at most {self.length}, got "
                f"{time}: build it longer, or give shorter ones"
            )
        first = self.first.expand(batch, 1, -1)
        given = self.condition(condition)[:, None]
        tokens = torch.cat((first, given, self.element(sequence)), dim=1)
        if padding is not None:
            padding = nn.functional.pad(padding, (2, 0), value=False)
        y = self.encoder(tokens, position=self.places[: time + 2], padding=padding)
        mean, logvar = self.readout(y[:, 0]).chunk(2, dim=-1)
        return mean, logvar


class CVAE(nn.Module):
    """Sequences given a condition, with a z for what the condition does not say."""

    def __init__(self, encoder: GaussianEncoder, decoder: nn.Module) -> None:
        """Join the two.

        Args:
            encoder: q(z | condition, sequence); needed in training alone.
            decoder: (condition (batch, C), z (batch, latent)) -> (batch, time, A).
        """
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent = encoder.readout.out_features // 2

    def forward(
        self,
        condition: Tensor,
        sequence: Tensor,
        padding: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What training needs.

        Args:
            condition: (batch, C).
            sequence: (batch, time, A), to be reconstructed.
            padding: (batch, time) bool, True where an element is only filling.
            noise: (batch, latent), see :func:`reparameterize`.

        Returns:
            The reconstruction (batch, time, A), and mean and log-variance of z.
        """
        mean, logvar = self.encoder(condition, sequence, padding)
        z = reparameterize(mean, logvar, noise)
        return self.decoder(condition, z), mean, logvar

    def predict(self, condition: Tensor, z: Tensor | None = None) -> Tensor:
        """(batch, time, A) of a given z, (batch, latent); None: 0, as at run time."""
        if z is None:
            z = condition.new_zeros(len(condition), self.latent)
        return self.decoder(condition, z)
