"""What every policy that learns from demonstrations is told."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from assets.errors import UsageError, unknown
from ml.training_setup import TrainingConfig

CONSTANT = ("refuse", "accept")
ENCODERS = ("small_cnn", "resnet18", "vit")


@dataclass(frozen=True, kw_only=True)
class ImitationConfig:
    """Shared by all of them; each adds its own."""

    kind: ClassVar[str]
    """Name of the algorithm, in :data:`policies.learners.LEARNERS`."""

    groups: tuple[str, ...] = ()
    """Groups of the observation to read; none named: all vectors there are."""
    drop: tuple[str, ...] = ()
    """Elements of the observation to leave out, by the start of their names."""
    cameras: tuple[str, ...] = ()
    """Cameras to look through, such as: top left/wrist."""
    image_size: tuple[int, int] = (64, 64)
    """Width and height that pictures are brought to [pixels]."""
    encoder: Literal["small_cnn", "resnet18", "vit"] = "small_cnn"
    """What makes features of a picture."""
    history: int = 1
    """Observations that it looks at: the present one, and those just before."""
    changes: bool = False
    """Whether those before are shown as changes from one to the next, brought to unit
    size: small ones, such as of joints at 100 Hz, are hard to learn from otherwise."""
    chunk: int = 1
    """Actions that it predicts at once."""
    execute: int | None = None
    """Of these, how many are executed before it looks again; None: all."""
    ensemble: float | None = None
    """Temporal ensembling in place of that: it looks at every step, and all predictions
    for a moment are averaged, the i-th oldest with weight exp(-this i)."""
    normalize: Literal["mean_std", "min_max"] = "mean_std"
    """How observations and actions are normalised."""
    constant: Literal["refuse", "accept"] = "refuse"
    """What to do with an observed or commanded element that does not vary in the data:
    nothing says how large a change of it is. Accepted, it is centred and not scaled."""
    state_noise: float = 0.0
    """Noise on observed vectors in training, as a fraction of their spread."""
    image_shift: int = 0
    """Pixels by which pictures are shifted at random in training."""
    image_jitter: float = 0.0
    """How far brightness, contrast and saturation vary in training, as a fraction."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The training loop's."""

    def __post_init__(self) -> None:
        """Refuse what makes no policy; cameras are named as in observations."""
        cameras = tuple(camera.replace("/", "_") for camera in self.cameras)
        object.__setattr__(self, "cameras", cameras)
        if self.chunk < 1 or not 1 <= self.executed <= self.chunk:
            raise UsageError(
                f"a chunk has 1 or more actions, of which 1 to all are executed, got "
                f"chunk {self.chunk} and execute {self.execute}"
            )
        if self.history < 1:
            raise UsageError(f"history is at least 1, got {self.history}")
        if self.constant not in CONSTANT:
            raise unknown("choice for what does not vary", self.constant, CONSTANT)
        if self.encoder not in ENCODERS:
            raise unknown("image encoder", self.encoder, ENCODERS)
        if min(self.image_size) < 16:
            raise UsageError(
                f"pictures are at least 16 pixels wide and high, got {self.image_size}"
            )
        for name in ("state_noise", "image_shift", "image_jitter"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name)}")

    @property
    def executed(self) -> int:
        """Actions of a chunk that are executed."""
        return self.chunk if self.execute is None else self.execute
