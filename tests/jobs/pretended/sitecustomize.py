"""With this folder in PYTHONPATH, workers do pretended steps: real processes, and no torch."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if "coldal_launch.worker" in sys.orig_argv:
    found = spec_from_file_location("coldal_compute.steps", Path(__file__).with_name("steps.py"))
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules["coldal_compute.steps"] = module
    found.loader.exec_module(module)
