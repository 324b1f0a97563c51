"""A trained policy on its way to a robot: exported, and later smaller and served."""
