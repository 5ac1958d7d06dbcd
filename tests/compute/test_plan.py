"""What the plan decides from the scans, on both kinds of device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coldal_compute.segmentation.network import build_network
from coldal_compute.segmentation.plan import (
    DeviceLimits,
    Plan,
    load_plan,
    make_plan,
    save_plan,
)
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.image import ScanRef
from coldal_tui.jobs.spec import ScanInput, TrainOptions

_GPU = DeviceLimits(gpu=True, memory=16 * 1024**3)


def _scan(*shape: int, channels: int = 1, spacing: tuple[float, ...] | None = None) -> ScanInput:
    return ScanInput("s", ScanRef("raster", ("s",)), shape, channels, spacing, None, "hash")


def _plan(*scans: ScanInput, thickness: float | None = None, **options: object) -> Plan:
    return make_plan(scans, ["a"], TrainOptions(**options), thickness=thickness)  # type: ignore[arg-type]


def test_pictures_are_seen_whole_at_128_pixels_on_a_cpu() -> None:
    plan = _plan(_scan(1024, 1024))
    assert plan.image_size == plan.patch == (128, 128)
    assert plan.whole


def test_the_working_image_keeps_the_median_aspect() -> None:
    plan = _plan(_scan(512, 384), _scan(512, 384), _scan(512, 512))
    assert plan.image_size == (128, 96)


def test_the_working_image_is_never_above_the_median_long_side() -> None:
    plan = _plan(_scan(60, 50), _scan(60, 50), _scan(900, 900))
    assert plan.image_size == (60, 48)


def test_a_gpu_gets_a_larger_image_and_more_steps() -> None:
    plan = make_plan([_scan(1024, 1024)], ["a"], TrainOptions(), _GPU)
    assert plan.image_size == (256, 256)
    assert plan.steps > _plan(_scan(1024, 1024)).steps


def test_thin_structures_get_a_finer_image_and_patches() -> None:
    plan = _plan(_scan(1000, 1000), thickness=0.005)
    assert plan.image_size == (800, 800)
    assert plan.patch == (128, 128)
    assert not plan.whole


def test_one_colour_image_makes_the_network_take_colour() -> None:
    assert _plan(_scan(64, 64), _scan(64, 64, channels=3)).in_channels == 3
    assert _plan(_scan(64, 64)).in_channels == 1


def test_volumes_share_the_median_spacing() -> None:
    scans = [_scan(35, 50, 35, spacing=(z, 1.0, 1.0)) for z in (1.0, 1.2, 3.0)]
    assert _plan(*scans).spacing == (1.2, 1.0, 1.0)


def test_small_volumes_are_seen_nearly_whole() -> None:
    plan = _plan(_scan(35, 50, 35, spacing=(1.0, 1.0, 1.0)))
    assert plan.patch == (40, 56, 40)
    assert plan.strides == ((2, 2, 2),) * 3


def test_thick_slices_are_halved_later_than_the_plane() -> None:
    plan = _plan(_scan(128, 128, 16, spacing=(1.0, 1.0, 6.0)))
    assert plan.strides[:2] == ((2, 2, 1), (2, 2, 1))


def test_large_volumes_are_coarsened_for_a_cpu_and_say_so() -> None:
    plan = _plan(_scan(512, 512, 400, spacing=(0.7, 0.7, 0.7)))
    working = plan.working_shape((512, 512, 400), (0.7, 0.7, 0.7))
    assert np.prod(working) <= 1.02 * 160**3
    assert np.prod(plan.patch) <= 1.5 * 64**3
    assert "large" in plan.reasons[-1]


def test_volumes_without_spacing_are_planned_in_voxels() -> None:
    plan = _plan(_scan(32, 32, 32))
    assert plan.spacing == (1.0, 1.0, 1.0)
    assert "voxels" in plan.reasons[0]


def test_options_win_over_what_the_data_suggest() -> None:
    plan = _plan(_scan(512, 512), steps=7, batch_size=3, patch=(64, 48), learning_rate=0.5)
    assert (plan.steps, plan.batch_size, plan.patch) == (7, 3, (64, 48))
    assert plan.learning_rate == 0.5


def test_a_smaller_working_image_can_be_asked_for() -> None:
    """Even where the classes are thin, and in the images' own aspect."""
    plan = _plan(_scan(512, 256), image_size=96)
    assert (plan.image_size, plan.patch) == ((96, 48), (96, 48))
    assert plan.reasons == ("working image 96, as asked",)


@pytest.mark.parametrize(
    ("shape", "spacing", "size", "working", "coarse"),
    [
        ((36, 50, 36), (1.0, 1.0, 1.0), 25, (18, 25, 18), (2.0, 2.0, 2.0)),
        ((256, 256, 20), (1.0, 1.0, 5.0), 64, (64, 64, 20), (4.0, 4.0, 5.0)),
        ((36, 50, 36), (1.0, 1.0, 1.0), 96, (36, 50, 36), (1.0, 1.0, 1.0)),
        ((36, 50, 36), None, 25, (18, 25, 18), (2.0, 2.0, 2.0)),
    ],
)
def test_smaller_working_volumes_can_be_asked_for(
    shape: tuple[int, ...],
    spacing: tuple[float, ...] | None,
    size: int,
    working: tuple[int, ...],
    coarse: tuple[float, ...],
) -> None:
    """Alike in all directions; thick slices stay, and nothing is made finer."""
    plan = _plan(_scan(*shape, spacing=spacing), image_size=size)
    assert plan.spacing == coarse
    assert plan.working_shape(shape, spacing) == working
    assert any("as asked" in why for why in plan.reasons)


@pytest.mark.parametrize("patch", [(64,), (0, 64)])
def test_a_patch_that_does_not_fit_is_refused(patch: tuple[int, ...]) -> None:
    with pytest.raises(ColdalError) as caught:
        _plan(_scan(512, 512), patch=patch)
    assert caught.value.code == "patch"


def test_images_and_volumes_do_not_mix() -> None:
    with pytest.raises(ColdalError) as caught:
        _plan(_scan(64, 64), _scan(64, 64, 64))
    assert caught.value.code == "mixed-dimensions"


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(ColdalError) as caught:
        _plan()
    assert caught.value.code == "no-labels"


@pytest.mark.parametrize(
    "shape", [(3, 3), (17, 400), (33, 65), (9, 9, 9), (40, 41, 1), (5, 200, 33), (2, 2, 2)]
)
def test_the_network_of_any_plan_keeps_the_patch_size(shape: tuple[int, ...]) -> None:
    import torch

    plan = _plan(_scan(*shape))
    net = build_network(plan)
    images = torch.zeros(1, 1, *plan.patch)
    assert net(images).shape == (1, 2, *plan.patch)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = _plan(_scan(35, 50, 35, spacing=(1.0, 1.5, 1.0)))
    save_plan(plan, tmp_path)
    assert load_plan(tmp_path) == plan


@pytest.mark.parametrize("content", [None, b"", b'{"classes": 1}'])
def test_a_plan_that_can_not_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(ColdalError) as caught:
        load_plan(tmp_path)
    assert caught.value.code == "run"


@pytest.mark.parametrize(("channels", "expected"), [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7)])
def test_every_channel_reaches_the_network(channels: int, expected: int) -> None:
    assert _plan(_scan(64, 64, channels=channels)).in_channels == expected


def test_scans_of_another_number_of_channels_are_told() -> None:
    plan = _plan(*[_scan(64, 64, channels=4)] * 2, _scan(64, 64), _scan(64, 64, channels=2))
    assert plan.in_channels == 4
    assert "2 of 4 scans have another number of channels" in plan.reasons
    assert "the network takes all 4 channels" in plan.reasons
