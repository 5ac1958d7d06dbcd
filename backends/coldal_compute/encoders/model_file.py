"""A user's own model: a TorchScript or ONNX file that maps images to vectors."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coldal_compute.encoders.weights import Loaded, read_pinned
from coldal_tui.encoders.catalogue import EncoderInfo
from coldal_tui.errors import ColdalError
from coldal_tui.extras import install

ONNX_SUFFIX = ".onnx"


class Reduced(nn.Module):
    """A model whose output is reduced to one vector per image, by the declared ``layer``.

    ``pooled``: the output is ``(B, dim)`` as it is. ``mean``: over the places of ``(B, dim, H, W)``
    or the tokens of ``(B, T, dim)``. ``cls``: the first token of ``(B, T, dim)``.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        super().__init__()
        self.model, self.layer = model, layer

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, dim)``."""
        found = self.model(x)
        while isinstance(found, (tuple, list)) and found:
            found = found[0]
        if isinstance(found, dict) and found:
            found = next(iter(found.values()))
        if not isinstance(found, Tensor):
            raise ColdalError(
                f"its output is a {type(found).__name__}, not a tensor", code="model-output"
            )
        return _reduce(found, self.layer)


def _reduce(found: Tensor, layer: str) -> Tensor:
    axes = found.dim()
    if layer == "pooled" and axes == 2:
        return found
    if layer == "mean" and axes == 4:
        return found.mean(dim=(2, 3))
    if layer == "mean" and axes == 3:
        return found.mean(dim=1)
    if layer == "cls" and axes == 3:
        return found[:, 0]
    fits = {2: "pooled", 3: "cls or mean", 4: "mean"}.get(axes)
    raise ColdalError(
        f"its output has the shape {tuple(found.shape)}, of which {layer!r} makes no vector",
        remedy=f"set layer under [encoder] to {fits}" if fits else "let it give (images, numbers)",
        code="model-output",
    )


class OnnxModel(nn.Module):
    """An ONNX graph of one input, run by onnxruntime on the CPU, on one thread."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Scans are embedded side by side, each on one thread: so a vector never depends on them.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs, not one")
        self._input = inputs[0].name

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """All outputs of the graph for ``(B, C, H, W)`` images."""
        found = self._session.run(None, {self._input: x.detach().cpu().numpy()})
        return tuple(torch.from_numpy(array) for array in found)


def load(info: EncoderInfo, path: Path | None, pinned: str | None) -> Loaded:
    """Load the user's model; the vector length is found by running it on a blank image.

    The bytes that are hashed are the bytes that are loaded. TorchScript holds code: use models of
    people you trust, as with any program.

    Raises
    ------
    ColdalError : no such file (``no-weights``), another hash than pinned (``weights-hash``), no
        model of either kind (``bad-weights``), no onnxruntime (``no-onnxruntime``), or one whose
        input or output is not what was declared (``model-output``).
    """
    assert path is not None, "the registry refuses a missing path"
    content, digest = read_pinned(
        path,
        pinned,
        "model file",
        absent="mend weights under [encoder], or encoder use file --weights FILE",
        changed="restore the file, or choose this one anew: encoder use file --weights FILE",
    )
    onnx = path.suffix.lower() == ONNX_SUFFIX
    model = Reduced(_onnx(content, path) if onnx else _torchscript(content, path), info.layer)
    dim = probe(model.eval(), info, path)
    kind = "ONNX" if onnx else "TorchScript"
    layer = f"{info.layer} output of the user's {kind} file"
    return Loaded(replace(info, dim=dim, layer=layer), model, digest, {"layout": kind})


def _torchscript(content: bytes, path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # PyTorch advises to export again, but the files that labs have are of this kind.
            warnings.simplefilter("ignore", DeprecationWarning)
            model: nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise _no_model(path, "TorchScript", str(error)) from error
    return model


def _onnx(content: bytes, path: Path) -> nn.Module:
    try:
        return OnnxModel(content)
    except ImportError as error:
        raise ColdalError(
            "onnxruntime is not installed",
            where=str(path),
            remedy=f"{install('onnx')}, or save the model as TorchScript",
            code="no-onnxruntime",
        ) from error
    except Exception as error:
        # onnxruntime raises classes of its own for every way in which a graph can be wrong.
        raise _no_model(path, "ONNX", str(error)) from error


def _no_model(path: Path, kind: str, reason: str) -> ColdalError:
    first = next((line for line in reason.splitlines() if line.strip()), "no reason given")
    return ColdalError(
        f"this is no {kind} model ({first})",
        where=str(path),
        remedy="save it with torch.jit.save (any suffix) or torch.onnx.export (.onnx)",
        code="bad-weights",
    )


def probe(model: nn.Module, info: EncoderInfo, path: Path) -> int:
    """The length of the vector that a model gives for one blank image of ``info``'s size.

    Raises ColdalError (``model-output``), which names ``path``, where it gives none.
    """
    channels = 1 if info.channels == "L" else 3
    blank = torch.zeros(1, channels, info.input_size, info.input_size)
    try:
        with torch.inference_mode():
            found: Tensor = model(blank)
    except ColdalError as error:
        raise ColdalError(
            error.what, where=str(path), remedy=error.remedy, code=error.code
        ) from error
    except Exception as error:
        # A model may fail in any way on an input that it was not made for.
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ColdalError(
            f"it can't take {channels} channels of {info.input_size} pixels ({first})",
            where=str(path),
            remedy="set size and channels under [encoder] to what the model takes",
            code="model-output",
        ) from error
    if found.dim() != 2 or found.shape[0] != 1 or found.shape[1] < 1:
        raise ColdalError(
            f"it gives {tuple(found.shape)} for one image, not one vector",
            where=str(path),
            remedy="let it give (images, numbers)",
            code="model-output",
        )
    return int(found.shape[1])
