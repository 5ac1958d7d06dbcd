"""What a job was asked for: its own words first, then coldal.toml's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coldal_tui.project.project import Project

Request = Mapping[str, Any]


def seed_of(project: Project, request: Request) -> int:
    seed = request.get("seed")
    return project.config.selection.seed if seed is None else int(seed)


def device_of(project: Project, request: Request) -> str:
    return request.get("device") or project.config.backend.device
