"""Diffusion, flow matching and adversarial learning, of anything batched."""
