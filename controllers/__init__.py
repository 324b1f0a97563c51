"""State + target -> command: kinematics, dynamics, and the classical controllers.

Every controller is a pure function or a small object of (model, state, target), batched
over environments, and holds a *nominal* ``MjModel``, never the simulated one. What runs
in a batch of the arm is elementwise arithmetic alone, so that an environment's command
is the same bits in a batch of 1 or of 512.
"""
