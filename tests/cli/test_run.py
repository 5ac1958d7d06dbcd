"""``run import`` and ``run remove`` as a shell sees them."""

from __future__ import annotations

import numpy as np


def test_maps_are_imported_and_removed(queued, call):
    maps = queued.parent / "maps"
    maps.mkdir()
    for name in ("scan_3", "nobody"):
        np.save(maps / f"{name}.npy", np.full((2, 8, 8), 0.5, np.float32))
    made = call("run", queued, "import", maps, "--name", "nnU-Net")
    assert made.status == 0
    assert "imported-001: maps of 1 scan" in made.out
    assert "2 scans of 3 that may be picked have no map" in made.out
    assert "passed over: nobody.npy: " in made.out
    assert call("status", queued, "--json").json["runs"][0]["run_id"] == "imported-001"
    assert call("status", queued).status == 0
    assert call("run", queued, "remove", "imported-001").out == "removed imported-001\n"


def test_wrong_calls(queued, call):
    assert "which model is it?" in call("run", queued, "import", queued).err
    assert call("run", queued).status == 2
    assert call("run", queued, "import", queued / "no", "--name", "A").status == 2
    assert call("run", queued, "remove", "run-009").status == 2
