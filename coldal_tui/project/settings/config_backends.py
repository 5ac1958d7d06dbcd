"""``[backend.slurm]`` and ``[backend.ray]`` of coldal.toml: how jobs run on a cluster."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
_LINE = r"^[^\x00-\x1f\x7f]+$"
Word = Annotated[str, Meta(pattern=_LINE, description="one line of text")]
OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""The name of an option of sbatch: a second line in it would be a line of the job's script."""
Value = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*$", description="one line of text")]
Minutes = Annotated[int, Meta(ge=1)]
SlurmTime = Annotated[
    str,
    Meta(
        pattern=r"^(\d+|\d+:\d{1,2}|\d+:\d{1,2}:\d{1,2}|\d+-\d{1,2}(:\d{1,2}){0,2})$",
        description='minutes, "hours:minutes:seconds" or "days-hours"',
    ),
]


class SlurmSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How jobs are submitted to Slurm.

    ``partition``, ``gres`` (for jobs that use a GPU), ``time``, ``account``, ``qos``: options of
    sbatch. ``cpu_partition``: for jobs without a GPU. ``cpus``, ``mem_gb``: per job. ``array``:
    tasks that share one embedding, scoring or simulation. ``signal_s``: seconds before the time
    limit at which a job is signalled; it saves a checkpoint, ends and is queued again, at most
    ``timeouts`` times. ``setup``: shell lines before the worker. ``python``: the interpreter on the
    cluster's nodes. ``extra``: other options of sbatch; true for an option without a value, false
    to omit it.
    """

    partition: Word | None = None
    cpu_partition: Word | None = None
    gres: Word | None = None
    time: Minutes | SlurmTime = 1440
    account: Word | None = None
    qos: Word | None = None
    cpus: Count | None = None
    mem_gb: Annotated[float, Meta(gt=0)] | None = None
    array: Count = 1
    signal_s: Count = 90
    timeouts: Annotated[int, Meta(ge=0)] = 20
    setup: tuple[Value, ...] = ()
    python: Word | None = None
    extra: dict[str, Value | int | float | bool] = {}


class RaySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How jobs run on an existing Ray cluster.

    ``address``: its dashboard, ``http://HOST:8265`` (the variables RAY_API_SERVER_ADDRESS and
    RAY_ADDRESS take precedence). ``python``: the interpreter on its nodes. ``actors``: how many
    share an embedding or scoring job; 0 for one per GPU or, without GPUs, per node. ``cpus``: per
    actor or job.
    """

    address: Word | None = None
    python: Word | None = None
    actors: Annotated[int, Meta(ge=0)] = 0
    cpus: Count = 1


CLUSTERS_TEMPLATE = """\

#: [backend.slurm]           # for name = "slurm": pip install '.[slurm]' in its source
#: partition = "gpu"
#: cpu_partition = "cpu"     # for jobs that use no GPU (default: the same)
#: gres = "gpu:1"            # for jobs that use a GPU
# time = 1440                # minutes, or "days-hours"; a job that needs more is queued again
#: account = "lab"
#: qos = "normal"
#: cpus = 8
#: mem_gb = 32
# array = 1                  # tasks that share one embedding, scoring or simulation
# signal_s = 90              # so long before its time is over a job ends with its checkpoint
# timeouts = 20              # how often a job may run out of time
#: setup = ["module load cuda"]
#: python = "/opt/coldal/bin/python"   # on the cluster's nodes, where it is another than here
#: extra = {{ constraint = "a100" }}   # any other options of sbatch

#: [backend.ray]             # for name = "ray": pip install '.[ray]' in its source
#: address = "http://head:8265"
#: python = "/opt/coldal/bin/python"   # on the cluster's nodes, where it is another than here
# actors = 0                 # how many share an embedding or scoring; 0: one per GPU or node
# cpus = 1                   # of one actor or job
"""
