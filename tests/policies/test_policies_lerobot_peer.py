"""Our ACT with LeRobot's weights says, and loses, what LeRobot's does."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ml.lerobot.layout import ACTION
from ml.step_draws import StepDraws
from policies.act import ACTConfig, ACTNet
from policies.imitation.net import COUNTS, INPUTS, OBSERVATION, TARGETS, Seen, Sizes
from tests.ml.lerobot_peer import needs_peer, run_peer

STATE, ENVIRONMENT, OUTPUTS, CHUNK, WIDTH, ROWS = 5, 3, 4, 12, 32, 6

RUN = """
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy

given = {k: torch.tensor(v) for k, v in np.load(sys.argv[1]).items()}
state, environment = given["state"].shape[1], given["environment"].shape[1]
chunk, outputs = given["action"].shape[1:]
torch.manual_seed(0)
policy = ACTPolicy(ACTConfig(
    input_features={
        "observation.state": PolicyFeature(FeatureType.STATE, (state,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (environment,)),
    },
    output_features={"action": PolicyFeature(FeatureType.ACTION, (outputs,))},
    device="cpu", chunk_size=chunk, n_action_steps=chunk, dim_model=32, n_heads=4,
    dim_feedforward=48, n_encoder_layers=2, n_vae_encoder_layers=2, latent_dim=8,
    dropout=0.0, kl_weight=3.0,
))
batch = {
    "observation.state": given["state"],
    "observation.environment_state": given["environment"],
    "action": given["action"],
    "action_is_pad": given["padded"],
}
torch.randn_like = lambda x: given["noise"]
loss, parts = policy.train().forward(dict(batch))
loss.backward()
found = {f"weight {k}": v.detach().numpy() for k, v in policy.model.named_parameters()}
found |= {f"grad {k}": p.grad.numpy() for k, p in policy.model.named_parameters()}
found |= {"loss": loss.detach().numpy(), "kl": parts["kld_loss"]}
found["said"] = policy.predict_action_chunk(batch).numpy()
np.savez(sys.argv[2], **found)
"""


def _names(net: ACTNet) -> dict[str, str]:
    """Of our tensors, LeRobot's name; with "/q", "/k" or "/v" a third of a tensor."""
    found = {
        "latent.weight": "encoder_latent_input_proj.weight",
        "places.weight": "encoder_1d_feature_pos_embed.weight",
        "queries.weight": "decoder_pos_embed.weight",
        "posterior.first": "vae_encoder_cls_embed.weight",
        "posterior.readout.weight": "vae_encoder_latent_output_proj.weight",
        "posterior.element.weight": "vae_encoder_action_input_proj.weight",
        "posterior.condition.weight": "vae_encoder_robot_state_input_proj.weight",
        "tokens.state.weight": "encoder_robot_state_input_proj.weight",
        "tokens.environment_state.weight": "encoder_env_state_input_proj.weight",
        "action.weight": "action_head.weight",
        "decoder.norm.weight": "decoder.norm.weight",
    }
    parts = (("encoder", "encoder"), ("decoder", "decoder"))
    for ours, theirs in (*parts, ("posterior.encoder", "vae_encoder")):
        blocks = {"attention": "self_attn", "around_attention": "norm1"}
        blocks["around_feedforward"] = "norm2"
        if ours == "decoder":
            blocks = {"self_attention": "self_attn", "around_self": "norm1"}
            blocks |= {"memory_attention": "multihead_attn", "around_memory": "norm2"}
            blocks["around_feedforward"] = "norm3"
        for layer in range(2 if ours != "decoder" else 1):
            a, b = f"{ours}.layers.{layer}", f"{theirs}.layers.{layer}"
            found[f"{a}.feedforward.widen.weight"] = f"{b}.linear1.weight"
            found[f"{a}.feedforward.narrow.weight"] = f"{b}.linear2.weight"
            for mine, its in blocks.items():
                if mine.startswith("around"):
                    found[f"{a}.{mine}.norm.weight"] = f"{b}.{its}.weight"
                    continue
                found[f"{a}.{mine}.output.weight"] = f"{b}.{its}.out_proj.weight"
                for part in ("query", "key", "value"):
                    name = f"{b}.{its}.in_proj_weight/{part[0]}"
                    found[f"{a}.{mine}.{part}.weight"] = name
    for name, its in list(found.items()):
        bias = name.replace(".weight", ".bias")
        if bias != name and bias in dict(net.named_parameters()):
            found[bias] = its.replace("in_proj_weight", "in_proj_bias").replace(
                ".weight", ".bias"
            )
    return found


def _theirs(data: dict[str, np.ndarray], kind: str, name: str) -> Tensor:
    """One of LeRobot's tensors, in the shape of ours."""
    whole, _, part = name.partition("/")
    value = torch.tensor(data[f"{kind} {whole}"])
    if part:
        value = value.chunk(3)["qkv".index(part)]
    if name == "vae_encoder_cls_embed.weight":
        value = value[0]
    if name == "vae_encoder_robot_state_input_proj.weight":  # ours sees all vectors
        value = torch.nn.functional.pad(value, (0, ENVIRONMENT))
    return value


class Given(StepDraws):
    """Draws that are handed in."""

    def __init__(self, noise: Tensor) -> None:
        super().__init__(0, 0, slice(0, ROWS), ROWS)
        self._noise = noise

    def normal(self, term: str, *shape: int) -> Tensor:
        return self._noise


def _net() -> ACTNet:
    """Ours, of that size; its normaliser changes nothing."""
    config = ACTConfig(
        chunk=CHUNK,
        execute=CHUNK,
        width=WIDTH,
        heads=4,
        feedforward=48,
        encoder_layers=2,
        vae_layers=2,
        latent=8,
        kl_weight=3.0,
        dropout=0.0,
        padded_loss=True,
    )
    groups = {"state": STATE, "environment_state": ENVIRONMENT}
    net = ACTNet(Sizes(groups=groups, outputs=OUTPUTS), config)
    sizes = {OBSERVATION: STATE + ENVIRONMENT, ACTION: OUTPUTS}
    units = {k: np.array([[-1.0], [1.0]]) * np.ones(n) for k, n in sizes.items()}
    net.normalizer.fit(units)
    return net


@needs_peer
def test_act_with_lerobots_weights_is_lerobots_act(tmp_path: Path) -> None:
    """Chunk, loss, KL and the gradient of every weight."""
    draw = np.random.default_rng(0)
    given = {
        "state": draw.normal(size=(ROWS, STATE)).astype(np.float32),
        "environment": draw.normal(size=(ROWS, ENVIRONMENT)).astype(np.float32),
        "action": draw.normal(size=(ROWS, CHUNK, OUTPUTS)).astype(np.float32),
        "noise": draw.normal(size=(ROWS, 8)).astype(np.float32),
        "padded": np.arange(CHUNK) >= draw.integers(4, CHUNK + 1, (ROWS, 1)),
    }
    np.savez(tmp_path / "in.npz", **given)
    run_peer(RUN, tmp_path / "in.npz", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as file:
        theirs = dict(file)
    net, weights = _net(), {}
    names, parameters = _names(net), dict(net.named_parameters())
    assert names.keys() == parameters.keys()
    for name, its in names.items():
        weights[name] = _theirs(theirs, "weight", its)
        assert weights[name].shape == parameters[name].shape, name
    net.load_state_dict(weights, strict=False)
    inputs = torch.tensor(np.hstack([given["state"], given["environment"]]))
    batch = {
        INPUTS: inputs,
        TARGETS: torch.tensor(given["action"]),
        COUNTS: torch.tensor(~given["padded"]).float(),
    }
    terms = net.train().loss(batch, Given(torch.tensor(given["noise"])))
    loss = terms.total.sum() / terms.weight.sum()
    loss.backward()
    assert abs(loss.item() / float(theirs["loss"]) - 1) < 1e-5
    kl = terms.parts["kl"].sum() / terms.weight.sum()
    assert abs(kl.item() / float(theirs["kl"]) - 1) < 1e-5
    for name, its in names.items():
        own, expected = parameters[name].grad, _theirs(theirs, "grad", its)
        assert own is not None
        if name == "posterior.condition.weight":
            own = own * (torch.arange(STATE + ENVIRONMENT) < STATE)
        torch.testing.assert_close(own, expected, atol=1e-6, rtol=1e-4, msg=name)
    with torch.no_grad():
        said, _ = net.eval().predict(
            Seen(inputs=inputs), net.memory(ROWS), torch.zeros(ROWS, 0), None
        )
    np.testing.assert_allclose(said.numpy(), theirs["said"], atol=1e-5)
