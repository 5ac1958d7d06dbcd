"""Encoders from plug-ins: loads, checks and identifies their network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from coldal_compute.encoders.model_file import probe
from coldal_compute.encoders.weights import Loaded, read_pinned
from coldal_tui import plugins
from coldal_tui.encoders.catalogue import EncoderInfo, encoder_plugin
from coldal_tui.errors import ColdalError


def load(info: EncoderInfo, path: Path | None, pinned: str | None) -> Loaded:
    """The network that the plug-in's package makes.

    Its SHA-256 covers the package with its version, and the file of weights where there is one,
    else all parameters: another version, or other weights, are another encoder.

    Raises
    ------
    ColdalError : another file than pinned (``weights-hash``), a plug-in that fails (``plug-in``),
        or one whose vectors are not as long as it says (``model-output``).
    """
    plugin = encoder_plugin(info.name)
    file_hash = None
    if path is not None:
        _, file_hash = read_pinned(
            path,
            pinned,
            "weights file",
            absent="name an existing file with --weights FILE",
            changed="restore the file, or choose this one anew with --weights FILE",
        )
    try:
        network = plugin.network(path)
        if not isinstance(network, nn.Module):
            raise TypeError(f"network gave a {type(network).__name__}, not a torch.nn.Module")
        network.eval()
    except ColdalError:
        raise
    except Exception as error:  # anybody's code
        raise ColdalError(
            f"the encoder {info.name!r} of the package {plugin.package} failed: "
            f"{plugins.reason(error)}",
            where=None if path is None else str(path),
            remedy="tell its author, and use another encoder until then",
            code="plug-in",
        ) from error
    dim = probe(network, info, Path(path or info.name))
    if dim != info.dim:
        raise ColdalError(
            f"the encoder {info.name!r} gives {dim} numbers for an image, and says {info.dim}",
            remedy=f"tell the author of the package {plugin.package}",
            code="model-output",
        )
    digest = identify(network, plugin.package, plugin.version, file_hash)
    details = {"package": f"{plugin.package} {plugin.version}".strip()}
    return Loaded(info, network, digest, details)


def identify(network: nn.Module, package: str, version: str, file_hash: str | None) -> str:
    """SHA-256 of a package's name and version and of its weights, by the file or by value."""
    found = hashlib.sha256(f"{package}\0{version}\0{file_hash or ''}".encode())
    if file_hash is None:
        for name, tensor in sorted(network.state_dict().items()):
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            found.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
            found.update(plain.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
