"""An encoder without weights: how often each of 16 grey values occurs."""

from coldal_tui.encoders.catalogue import EncoderInfo, EncoderPlugin

BINS = 16


def network(weights):
    import torch

    class Histogram(torch.nn.Module):
        def forward(self, x):  # (B, 1, 64, 64) in [0, 1] to (B, 16)
            level = (x.flatten(1) * BINS).long().clamp(0, BINS - 1)
            return torch.nn.functional.one_hot(level, BINS).float().mean(dim=1)

    return Histogram()


ENCODER = EncoderPlugin(
    EncoderInfo(
        name="histogram", title="histogram of grey values", source="this file",
        licence="Apache-2.0", dim=BINS, input_size=64, preprocessing="grey, [0, 1]",
        layer="share of each of 16 grey values", needs_file=False, channels="L",
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), suits="scans that differ in brightness",
    ),
    network,
)  # fmt: skip
