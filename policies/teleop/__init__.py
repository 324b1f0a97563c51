"""Teleoperation: a person's hands, or a scripted stand-in for them, move the robot."""
