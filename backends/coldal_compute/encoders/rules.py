"""The preprocessing rules in words: part of an encoder's identity."""

from __future__ import annotations

from coldal_tui.imaging.intensity import HU_AIR

PREPROCESSING_VERSION = "2"
"""Goes up whenever ``preprocess`` changes what a network sees; part of an encoder's hash."""

VOLUME_SLICES = 9
"""Slices of a volume that are embedded; the volume's vector is the mean of theirs."""

INTENSITY_RULE = (
    "to [0, 1]: 8-bit pictures and films by their full range, CT by a window in HU (files without "
    f"a modality are CT where their least value is from -4096 to {HU_AIR:g}), MR and other volumes "
    "by the 0.5 and 99.5 percentiles of the foreground, the rest (16-bit pictures, CR, DX, MG) by "
    "those of all pixels"
)
CHANNEL_RULE = (
    "one channel repeated, three as they are, any other number averaged to grey; encoders of one "
    "channel get the average"
)
RESIZE_RULE = "squashed to the input size (aspect ratio not kept), bilinear with antialiasing"
VOLUME_RULE = (
    f"volume: {VOLUME_SLICES} slices evenly spaced through the foreground along the axis of the "
    "coarsest spacing (ties: the last axis, foot to head where the orientation is known)"
)
POOLING_RULES = {
    "mean": "mean of the slices' vectors",
    "foreground": "mean of the slices' vectors, weighted by the share of foreground in each",
}
