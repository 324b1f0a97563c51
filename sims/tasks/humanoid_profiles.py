"""What varies for the humanoid: the profiles of its tasks.

``train`` has the guide's ranges for walking machines: friction 0.5 to 2.0, mass 0.8 to
1.2, motor strength 0.8 to 1.2, roughness 0 to 0.1 m, pushes of 0 to 200 N; and, about
as published for humanoids of its size, those of what a real one is built and sensed
with. Friction is drawn for all surfaces at once, since of two that touch the rougher
one counts. Roughness is for the task that asks for it, pushes are for tasks that have
none of their own.
"""

from sims.randomization import (
    Push,
    Randomization,
    armature,
    centre_of_mass,
    encoder_bias,
    friction,
    joint_damping,
    link_mass,
    motor_strength,
    position_gain,
    roughness,
    sensor_noise,
    velocity_gain,
)

LINKS = ("pelvis", "torso", "waist_*", "left_*", "right_*")
"""All of the robot's bodies."""
TRUNK = ("pelvis", "torso")

NOISE = (
    sensor_noise("gyro_noise", 0.1, "gyro_*"),
    sensor_noise("gravity_noise", 0.03, "gravity_*"),
    sensor_noise("angle_noise", 0.01, "*_angle"),
    sensor_noise("velocity_noise", 0.5, "*_velocity"),
)
"""[rad/s], [1], [rad], [rad/s]"""

TRAIN = Randomization(
    fields=(
        link_mass(0.8, 1.2, *LINKS),
        centre_of_mass(0.02, 0.02, 0.02, *TRUNK),
        friction(0.5, 2.0),
        joint_damping(0.5, 1.5),
        armature(0.8, 1.2),
        motor_strength(0.8, 1.2),
        position_gain(0.9, 1.1),
        velocity_gain(0.9, 1.1),
    ),
    sensors=(encoder_bias(0.015, "*_angle"), *NOISE),
    action_delay=(0, 1),
    observation_delay=(0, 1),
    push=Push(body="torso", force=(0.0, 200.0), interval=4.0, axes=(0, 1)),
    task=(roughness(0.0, 0.1),),
)
"""What a policy may be trained under."""

GAP = Randomization(
    fields=(
        link_mass(1.21, 1.35, *LINKS),
        centre_of_mass(0.02, 0.02, 0.02, *TRUNK),
        friction(0.35, 0.48),
        joint_damping(2.0, 3.0),
        armature(1.25, 1.5),
        motor_strength(0.7, 0.78),
        position_gain(0.9, 1.1),
        velocity_gain(0.8, 0.88),
    ),
    sensors=(encoder_bias(0.015, "*_angle"), *NOISE),
    action_delay=(2, 2),
    observation_delay=(0, 1),
    push=Push(body="torso", force=(205.0, 240.0), interval=4.0, axes=(0, 1)),
    task=(roughness(0.0, 0.1),),
)
"""A reality that training never saw: mass, friction, damping, armature, motor strength,
velocity gains, action delay and pushes lie outside of :data:`TRAIN`'s ranges."""
