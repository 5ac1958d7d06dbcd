"""The text of a new coldal.toml: every key with its default or an example."""

from __future__ import annotations

from coldal_tui.project.settings.config_backends import CLUSTERS_TEMPLATE
from coldal_tui.project.settings.config_connections import CONNECTIONS_TEMPLATE
from coldal_tui.project.settings.config_hooks import HOOKS_TEMPLATE
from coldal_tui.project.settings.config_keys import KEYS_TEMPLATE

TEMPLATE = """\
# A coldal-tui project. Edit this file freely: comments are kept, and a wrong value is answered
# with its line and what is allowed. "# key = value" shows a default, "#: key = value" an example.

[project]
name = {name}
{id}

[images]
dir = {images}               # where the scans lie; relative to this file; never written to
#: include = ["*.png"]       # file patterns to index; everything when empty
#: exclude = ["masks/*"]     # file patterns to leave out
#: patients_csv = "meta.csv" # columns filename, patient_id; others are kept as metadata
#: patients_pattern = '^(?P<patient>[^_]+)_'   # or: a pattern on the file's path below dir
#: channels = ["_t1", "_t2"] # files of a folder that differ only in these ends are one scan
# keep_masks = false         # true: masks and thumbnails that lie beside scans are scans, too
# How intensities are read, by embedding, training, scoring and the screen alike:
# modality = "auto"          # of files that state none: ct, mr, pt, us, xr, other; or one a channel
# window = "soft-tissue"     # of CT: soft-tissue, lung, bone, brain, liver

[classes]
names = ["foreground"]       # mask values 1, 2, … in this order; 0 is background
#: ignore_value = 255        # this mask value leaves training and every measure
#: values = {{ "128" = "foreground" }}   # when the labeler wrote other values
#: map = {{ Tumor = 1, "#ff1493" = "foreground" }}   # … or names and colours; import --map adds
#: priority = ["foreground"] # what wins where drawings overlap (default: the later class)

[budget]
total = 100                  # scans that may be labelled in all
#: round0 = 20               # size of the first queue (default: a fifth of the total, at least 5)
#: batch = 10                # size of each later batch (default: the size of round 0)
#: minutes = 600             # people's minutes of labelling; the budget ends at what comes first
#: minutes_per_scan = 5      # what a scan takes, until drawings say it (default: by its slices)
# enough = 0.01              # `status` says stop when the next batch surely gains less Dice

[selection]
# strategy = "coldstart"
# within = "farthest"        # of coldstart's clusters: farthest points (the paper), herding, kmeans
# aim = "average"            # what advise looks to: Dice over all scans, or over every kind alike
# round_strategy = "entropy-diversity"
# alpha = 0.5                # 1: only uncertainty, 0: only diversity
# one_per_patient = false    # true: no second scan of a patient before everybody has one
# cost = "scans"             # minutes: S of a scan counts by its expected minutes of labelling
# entropy = "mean"           # of all pixels; foreground or boundary: where the model sees something
seed = 0

[validation]
# patients = "auto"          # frozen at the first selection, never trained on: none if it has
#                            # fewer than 30 scans, else a fifth; or a number
# folds = 5                  # of cross-fitting, by which a run is measured where nobody is frozen
#                            # (trains so many networks more, after all other jobs); 0: not

[raters]
# consensus = "person"       # of a scan that was given to several people and that they drew
#                            # differently: a person decides (labels adjudicate), or majority
#                            # (ties are ignored), staple, ignore (all they disagree on)

[encoder]
name = "efficientnet-lite0"
#: weights = "/path/to/RadImageNet-ResNet50.pt"   # for encoders whose weights you bring
# `encoder use` pins the file by its hash:
#: sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# batch_size = 64            # pictures or slices that a GPU takes at once
#: window = "lung"           # of older projects; the one above counts for all, too
# pooling = "mean"           # slices of a volume to one vector: mean, or by their foreground
# precision = "float32"      # alike on every device; tf32, bf16: faster on a GPU, other vectors
#: size = 224                # name = "file", a TorchScript or ONNX model: its square input …
#: mean = [0.5]              # … what is subtracted from intensities in [0, 1]: one or three
#: std = [0.5]               # … what they are then divided by
#: channels = "L"            # … RGB, BGR or L
#: layer = "mean"            # … its output: pooled (as it is), mean, or cls (the first token)

[train]
#: steps = 240               # optimiser steps; by default decided from the data and the device
#: batch_size = 8
#: patch = [128, 128]        # training grid or patch, per axis
# learning_rate = 0.002
# workers = 0                # processes that read data beside the training
# amp = true                 # mixed precision where the device has it
# devices = 1                # GPUs that share each batch of a training; "auto": all there are
# cleanup = "off"            # largest: of a predicted class, only its largest part is kept;
#                            # auto: for the classes where the newest cross-fitting gains by it
#: networks = 3              # trained one after the other; by default 3 for bald, else 1

[backend]
# name = "local"
# device = "auto"            # auto, cpu, cuda, cuda:1
# threads = 0                # of a job; 0: as many as it may use (affinity, container quota)
# nice = 0                   # how far local jobs step back for other people's, 0 to 19
# jobs_per_gpu = 1           # jobs that share one GPU; more of them wait
# gpus = 1                   # GPUs that share one embedding, scoring or simulation; "auto": all
# cpu_jobs = 1               # jobs that run side by side without a GPU
# gpu_free_gb = 6.0          # a job starts only on a GPU with so much free memory
# cache_gb = 8.0             # of the disk for resized scans, kept for all jobs; 0: none are kept
# retries = 2                # how often an interrupted job goes on by itself
"""
TEMPLATE += CLUSTERS_TEMPLATE + CONNECTIONS_TEMPLATE + HOOKS_TEMPLATE + KEYS_TEMPLATE


def render_template(name: str, images: str, project_id: str | None = None) -> str:
    """The text of a new ``coldal.toml``; ``project_id`` is the id in the project's database."""
    import tomlkit

    own = f'id = "{project_id}"   # its database has it, too: leave it as it is'
    return TEMPLATE.format(
        name=tomlkit.item(name).as_string(),
        images=tomlkit.item(images).as_string(),
        id=own if project_id else "",
    )
