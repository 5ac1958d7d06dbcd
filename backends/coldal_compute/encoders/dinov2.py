"""DINOv2 vision transformers and RAD-DINO, through transformers, from one file of weights.

Oquab et al., arXiv 2304.07193; Pérez-García et al., arXiv 2401.10815. The architecture is read off
the weights, so that no configuration file, no network and no code from elsewhere is needed. The
heads are 64 wide, as in all published sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coldal_compute.encoders.weights import Loaded, State, mismatch, read_weights
from coldal_tui.encoders.catalogue import EncoderInfo
from coldal_tui.errors import ColdalError
from coldal_tui.extras import install

_HEAD = 64
_CLASS, _POSITIONS = "embeddings.cls_token", "embeddings.position_embeddings"
_PATCH = "embeddings.patch_embeddings.projection.weight"
# Neither is used for a vector: the first only in training, the others by a classifier.
_SPARE = ("embeddings.mask_token", "classifier.")


class ClassToken(nn.Module):
    """``(B, 3, H, W)`` to the class token after the last layer norm, ``(B, dim)``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """The embedding; positions are interpolated to the input's size."""
        tokens: Tensor = self.model(pixel_values=x).last_hidden_state
        return tokens[:, 0]


def load(info: EncoderInfo, path: Path | None, pinned: str | None) -> Loaded:
    """The network with the weights at ``path``.

    Raises
    ------
    ColdalError : transformers is not installed (``no-transformers``), or the file is not that of
        this encoder (``weights-mismatch``, ``weights-hash``, ``bad-weights``, ``no-weights``).
    """
    assert path is not None, "the registry refuses a missing path"
    state, digest = read_weights(path, pinned)
    state = {name.removeprefix("dinov2."): tensor for name, tensor in state.items()}
    facts = architecture(state, path)
    if facts["hidden_size"] != info.dim:
        raise mismatch(f"vectors of {facts['hidden_size']} numbers, expected {info.dim}", path)
    model = _build(state, facts, path, info)
    shown = ", ".join(f"{key} {value}" for key, value in facts.items())
    return Loaded(info, ClassToken(model), digest, {"layout": shown})


def architecture(state: State, path: Path) -> dict[str, int]:
    """Width, depth, heads, patch and native image size, from the shapes of the weights."""
    missing = [name for name in (_CLASS, _POSITIONS, _PATCH) if name not in state]
    if missing:
        raise mismatch(f"{len(missing)} missing: {', '.join(missing)}", path)
    hidden = int(state[_CLASS].shape[-1])
    layers = {name.split(".")[2] for name in state if name.startswith("encoder.layer.")}
    side = round((int(state[_POSITIONS].shape[1]) - 1) ** 0.5)
    patch = int(state[_PATCH].shape[-1])
    return {
        "hidden_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, hidden // _HEAD),
        "patch_size": patch,
        "image_size": side * patch,
    }


def _build(state: State, facts: dict[str, int], path: Path, info: EncoderInfo) -> nn.Module:
    try:
        from transformers import Dinov2Config, Dinov2Model
        from transformers.utils import logging
    except ImportError as error:
        raise ColdalError(
            "transformers is not installed",
            where=info.name,
            remedy=install("encoders"),
            code="no-transformers",
        ) from error
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    swiglu = any(".mlp.weights_in." in name for name in state)
    config: Any = Dinov2Config(**facts, use_swiglu_ffn=swiglu)
    try:
        # The library knows how published names map to those of its own version.
        model, report = Dinov2Model.from_pretrained(  # nosec B615
            None,
            config=config,
            state_dict=dict(state),
            output_loading_info=True,
            attn_implementation="eager",
        )
    except (RuntimeError, ValueError) as error:
        raise mismatch(next(iter(str(error).splitlines()), type(error).__name__), path) from error
    problems = [
        f"{len(names)} {kind.removesuffix('_keys')}: {', '.join(sorted(map(str, names))[:10])}"
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if (names := [name for name in report[kind] if not str(name).startswith(_SPARE)])
    ]
    if problems:
        raise mismatch("; ".join(problems), path)
    bad = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise mismatch(f"{len(bad)} not finite: {', '.join(bad[:10])}", path)
    network: nn.Module = model.float()
    return network
