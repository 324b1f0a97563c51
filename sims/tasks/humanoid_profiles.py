"""What varies for the humanoid: the profiles of its tasks."""

from sims.randomization import (
    Push,
    Randomization,
    friction,
    joint_damping,
    link_mass,
    position_gain,
    velocity_gain,
)
from sims.tasks.humanoid_feet import SIDES

LINKS = ("torso", "pelvis", *(f"{s}_{p}" for s in SIDES for p in ("thigh", "shank")))

TRAIN = Randomization(
    fields=(
        link_mass(0.8, 1.2, *LINKS),
        friction(0.5, 1.1),
        joint_damping(0.5, 1.5),
        position_gain(0.9, 1.1),
        velocity_gain(0.9, 1.1),
    ),
    observation_noise=0.01,
    action_delay=(0, 1),
    observation_delay=(0, 1),
    push=Push(body="torso", force=(0.0, 50.0), interval=2.0, axes=(0, 1)),
)
"""What a policy may be trained under. Friction is drawn for all surfaces at once, since
of two that touch the rougher one counts."""

GAP = Randomization(
    fields=(
        link_mass(1.21, 1.35, *LINKS),
        friction(0.38, 0.48),
        joint_damping(2.0, 3.0),
        position_gain(0.8, 0.88),
        velocity_gain(0.8, 0.88),
    ),
    observation_noise=0.015,
    action_delay=(2, 2),
    observation_delay=(0, 1),
    push=Push(body="torso", force=(50.0, 80.0), interval=2.0, axes=(0, 1)),
)
"""A reality that training never saw: masses, friction, damping, gains, delay and pushes
lie outside of :data:`TRAIN`'s ranges."""
