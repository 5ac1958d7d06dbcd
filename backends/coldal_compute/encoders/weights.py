"""Reads weight files: hashes them, runs no code from them, and checks every tensor."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from coldal_tui.encoders.catalogue import EncoderInfo
from coldal_tui.errors import ColdalError

State = dict[str, Tensor]
_SHOWN = 10
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Loaded:
    """A network with its weights, the SHA-256 of the file they came from, and facts about it."""

    info: EncoderInfo
    network: nn.Module
    sha256: str
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_weights(path: Path, pinned: str | None = None) -> tuple[State, str]:
    """Tensors by name and the file's SHA-256.

    ``.safetensors``, or a PyTorch file (loaded with ``weights_only=True``: no code from it runs);
    a ``{"state_dict": ...}`` wrapper and a ``module.`` prefix on all names are taken off.
    The bytes that are hashed are the bytes that are loaded.

    Raises
    ------
    ColdalError : the file is missing, is not a weights file, or has another hash than ``pinned``.
    """
    content, digest = read_pinned(
        path,
        pinned,
        "weights file",
        absent="name an existing file with --weights FILE",
        changed="restore the file, or choose this one anew with --weights FILE",
    )
    return _tensors(_decode(content, path), path), digest


def read_pinned(
    path: Path, pinned: str | None, kind: str, *, absent: str, changed: str
) -> tuple[bytes, str]:
    """A file's bytes and their SHA-256, which must be the ``pinned`` one.

    ``kind`` names it in errors; ``absent`` and ``changed`` are the remedies.

    Raises ColdalError: it can't be read (``no-weights``), or is another file (``weights-hash``).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ColdalError(
            f"the {kind} can't be read ({error.strerror})",
            where=str(path),
            remedy=absent,
            code="no-weights",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if pinned is not None and digest != pinned.lower():
        raise ColdalError(
            f"the {kind} has SHA-256 {digest}, expected {pinned}",
            where=str(path),
            remedy=changed,
            code="weights-hash",
        )
    return content, digest


def fill(network: nn.Module, state: State, path: Path) -> None:
    """Load ``state`` into ``network`` if it fits exactly.

    Batch-norm counters (``num_batches_tracked``) may be absent: inference never reads them.

    Raises
    ------
    ColdalError : any missing or unexpected name, other shape, or value that is not finite.
    """
    expected = network.state_dict()
    problems = [
        *_list("missing", [k for k in expected if k not in state and not k.endswith(_COUNTER)]),
        *_list("unexpected", [k for k in state if k not in expected]),
        *_list(
            "another shape",
            [
                f"{k} {tuple(v.shape)}, expected {tuple(expected[k].shape)}"
                for k, v in state.items()
                if k in expected and v.shape != expected[k].shape
            ],
        ),
        *_list("not finite", [k for k, v in state.items() if not torch.isfinite(v).all()]),
    ]
    if problems:
        raise mismatch("; ".join(problems), path)
    network.load_state_dict({**expected, **state}, strict=True)


def mismatch(what: str, path: Path) -> ColdalError:
    """The error for weights of another network."""
    return ColdalError(
        f"the weights don't fit this network: {what}",
        where=str(path),
        remedy="name the file that was published for this encoder",
        code="weights-mismatch",
    )


def _list(kind: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}{more}"]


def _decode(content: bytes, path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            return load(content)
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        # The unpickler and the safetensors parser raise what they like on a file that isn't theirs.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise _not_weights(path, reason) from error


def _tensors(content: Any, path: Path) -> State:
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise _not_weights(path, f"it holds a {type(content).__name__}, not tensors by name")
    strangers = [str(k) for k, v in content.items() if not isinstance(v, Tensor)]
    if strangers:
        raise _not_weights(path, f"not tensors: {', '.join(strangers[:_SHOWN])}")
    state = {str(k): v for k, v in content.items()}
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): v for name, v in state.items()}
    return state


def _not_weights(path: Path, reason: str) -> ColdalError:
    return ColdalError(
        f"this is not a file of weights ({reason})",
        where=str(path),
        remedy="save the network's state_dict with torch.save, or as .safetensors",
        code="bad-weights",
    )
