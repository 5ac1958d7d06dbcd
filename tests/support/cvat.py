"""A played CVAT: as much of its interface as the connector asks, in the shapes of its SDK's models.

No CVAT can be had: what is proven with this is that the connector and the SDK understand each
other, and that nothing is sent twice or lost; not that a CVAT answers so.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass, field
from email.parser import BytesParser
from io import BytesIO
from typing import Any

from PIL import Image

from tests.support.played_server import Asked, Reply

STAMP = "2026-01-01T{:02d}:{:02d}:{:02d}.000000Z"


@dataclass
class Cvat:
    """The state of a server: one project (number 7), its users, tasks and jobs."""

    labels: list[dict[str, Any]] = field(default_factory=list)
    users: list[str] = field(default_factory=lambda: ["ana", "ben"])
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    frames: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    jobs: dict[int, dict[str, Any]] = field(default_factory=dict)
    shapes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    comments: dict[int, list[str]] = field(default_factory=dict)
    sent: dict[int, dict[str, bytes]] = field(default_factory=dict)
    clock: int = 0
    last: int = 0

    def play(self, asked: Asked) -> Reply:
        parts = urllib.parse.urlsplit(asked.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        path = parts.path.rstrip("/")
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == asked.method:
                said = answer(self, asked, query, *map(int, found.groups()))
                return said if isinstance(said, Reply) else Reply(body=json.dumps(said).encode())
        return Reply(404, b'{"detail": "Not found."}')

    # What people do there

    def job_of(self, scan: str, person: str | None = None) -> int:
        """The job of a scan by the exported picture's name, and by its person."""
        for number, job in self.jobs.items():
            task = self.tasks[job["task_id"]]
            name = self.frames[job["task_id"]][job["start_frame"]]["name"]
            who = (task["assignee"] or {}).get("username")
            if f"_{scan}" in name and person in (None, who):
                return number
        raise AssertionError(f"no job of {scan}")

    def draw(self, job: int, *shapes: dict[str, Any], person: str | None = None) -> None:
        """Draw in a job's first frames, and finish it."""
        held = self.jobs[job]
        kept = [
            one
            for one in self.shapes.get(held["task_id"], [])
            if not held["start_frame"] <= one["frame"] <= held["stop_frame"]
        ]
        more = [{**one, "frame": held["start_frame"] + one["frame"]} for one in shapes]
        self.shapes[held["task_id"]] = kept + [self._shape(one) for one in more]
        if person:
            held["assignee"] = _user(self.users.index(person) + 1, person)
        held |= {"state": "completed", "updated_date": self._now()}

    def _shape(self, one: dict[str, Any]) -> dict[str, Any]:
        self.last += 1
        defaults = {"z_order": 0, "occluded": False, "outside": False, "rotation": 0.0}
        about = {"group": 0, "source": "manual", "attributes": [], "score": 1.0, "elements": []}
        return {**defaults, **about, **one, "id": self.last}

    def _now(self) -> str:
        self.clock += 1
        return _stamp(self.clock)

    # What the server answers

    def about(self, asked: Asked, query: Any) -> Any:
        return {
            "name": "CVAT",
            "description": "",
            "version": "2.80.0",
            "subtitle": "",
            "logo_url": "",
        }

    def project(self, asked: Asked, query: Any, number: int) -> Any:
        if asked.method == "PATCH":
            for one in json.loads(asked.body)["labels"]:
                self.last += 1
                self.labels.append({"id": self.last, "type": "any", **one})
        return {"id": 7, "name": "lungs", "url": "", "tasks": {"url": ""}, "labels": {"url": ""}}

    def list_labels(self, asked: Asked, query: Any) -> Any:
        return _page(self.labels, query)

    def list_users(self, asked: Asked, query: Any) -> Any:
        return _page([_user(n, name) for n, name in enumerate(self.users, start=1)], query)

    def list_tasks(self, asked: Asked, query: Any) -> Any:
        return _page(list(self.tasks.values()), query)

    def new_task(self, asked: Asked, query: Any) -> Any:
        said = json.loads(asked.body)
        self.last += 1
        who = said.get("assignee_id")
        self.tasks[self.last] = {
            "id": self.last,
            "name": said["name"],
            "project_id": said["project_id"],
            "assignee": _user(who, self.users[who - 1]) if who else None,
            "jobs": {"count": 0, "completed": 0, "validation": 0, "url": ""},
            "labels": {"url": ""},
        }
        return Reply(201, json.dumps(self.tasks[self.last]).encode())

    def task(self, asked: Asked, query: Any, number: int) -> Any:
        if number not in self.tasks:
            return Reply(404, b'{"detail": "Not found."}')
        if asked.method == "PATCH":
            self.tasks[number] |= json.loads(asked.body)
        return self.tasks[number]

    def remove_task(self, asked: Asked, query: Any, number: int) -> Any:
        self.tasks.pop(number)
        self.jobs = {n: job for n, job in self.jobs.items() if job["task_id"] != number}
        return Reply(204, b"")

    def data(self, asked: Asked, query: Any, number: int) -> Any:
        headers = {name.lower() for name in asked.headers}
        if "upload-start" in headers:
            return Reply(202)
        if "upload-multiple" in headers:
            self.sent.setdefault(number, {}).update(_files(asked))
            return Reply(200)
        said = json.loads(asked.body)
        sent, names = self.sent[number], said["upload_file_order"]
        assert sorted(names) == sorted(sent)
        sizes = [Image.open(BytesIO(sent[name])).size for name in names]
        self.frames[number] = [
            {"name": name, "width": width, "height": height, "related_files": 0}
            for name, (width, height) in zip(names, sizes, strict=True)
        ]
        start = 0
        for some in said["job_file_mapping"]:
            assert names[start : start + len(some)] == some
            self.last += 1
            self.jobs[self.last] = {
                "id": self.last,
                "task_id": number,
                "project_id": 7,
                "assignee": None,
                "stage": "annotation",
                "state": "new",
                "start_frame": start,
                "stop_frame": start + len(some) - 1,
                "frame_count": len(some),
                "updated_date": self._now(),
                "issues": {"count": 0, "url": ""},
                "labels": {"url": ""},
            }
            start += len(some)
        return Reply(202, b'{"rq_id": "make"}')

    def request(self, asked: Asked, query: Any) -> Any:
        operation = {"type": "create:task", "target": "task", "task_id": 1}
        date = _stamp(0)
        return {
            "id": "make", "status": "finished", "message": "", "operation": operation,
            "created_date": date, "progress": 1.0, "owner": _user(1, "ana"),
        }  # fmt: skip

    def meta(self, asked: Asked, query: Any, number: int) -> Any:
        frames = self.frames.get(number, [])
        return {
            "frames": frames, "image_quality": 95, "size": len(frames), "start_frame": 0,
            "stop_frame": max(0, len(frames) - 1), "frame_filter": "", "deleted_frames": [],
            "chunks_updated_date": _stamp(0),
        }  # fmt: skip

    def set_shapes(self, asked: Asked, query: Any, number: int) -> Any:
        said = json.loads(asked.body)["shapes"]
        self.shapes[number] = [self._shape(one) for one in said]
        return Reply(200, b'{"version": 0, "tags": [], "shapes": [], "tracks": []}')

    def list_jobs(self, asked: Asked, query: Any) -> Any:
        wanted = [
            job
            for job in self.jobs.values()
            if "task_id" not in query or job["task_id"] == int(query["task_id"])
        ]
        return _page(wanted, query)

    def drawn(self, asked: Asked, query: Any, number: int) -> Any:
        job = self.jobs[number]
        shapes = [
            one
            for one in self.shapes.get(job["task_id"], [])
            if job["start_frame"] <= one["frame"] <= job["stop_frame"]
        ]
        return {"version": 1, "tags": [], "shapes": shapes, "tracks": []}

    def drawn_in_task(self, asked: Asked, query: Any, number: int) -> Any:
        return {"version": 1, "tags": [], "shapes": self.shapes.get(number, []), "tracks": []}

    def list_comments(self, asked: Asked, query: Any) -> Any:
        said = self.comments.get(int(query["job_id"]), [])
        return _page([{"id": n, "issue": 1, "message": text} for n, text in enumerate(said)], query)


_ROUTES = (
    ("GET", r"/api/server/about", Cvat.about),
    ("GET", r"/api/projects/(\d+)", Cvat.project),
    ("PATCH", r"/api/projects/(\d+)", Cvat.project),
    ("GET", r"/api/labels", Cvat.list_labels),
    ("GET", r"/api/users", Cvat.list_users),
    ("GET", r"/api/tasks", Cvat.list_tasks),
    ("POST", r"/api/tasks", Cvat.new_task),
    ("GET", r"/api/tasks/(\d+)", Cvat.task),
    ("PATCH", r"/api/tasks/(\d+)", Cvat.task),
    ("DELETE", r"/api/tasks/(\d+)", Cvat.remove_task),
    ("POST", r"/api/tasks/(\d+)/data", Cvat.data),
    ("GET", r"/api/tasks/(\d+)/data/meta", Cvat.meta),
    ("PUT", r"/api/tasks/(\d+)/annotations", Cvat.set_shapes),
    ("GET", r"/api/tasks/(\d+)/annotations", Cvat.drawn_in_task),
    ("GET", r"/api/requests/make", Cvat.request),
    ("GET", r"/api/jobs", Cvat.list_jobs),
    ("GET", r"/api/jobs/(\d+)/annotations", Cvat.drawn),
    ("GET", r"/api/comments", Cvat.list_comments),
)


def _stamp(second: int) -> str:
    return STAMP.format(second // 3600, second // 60 % 60, second % 60)


def _page(some: list[Any], query: dict[str, str]) -> dict[str, Any]:
    """Two entries a page at most, whatever is asked: a server may have its own limit."""
    start = 2 * (int(query.get("page", 1)) - 1)
    return {"count": len(some), "next": None, "previous": None, "results": some[start : start + 2]}


def _user(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "username": name, "url": "", "first_name": "", "last_name": ""}


def _files(asked: Asked) -> dict[str, bytes]:
    kind = next(value for key, value in asked.headers.items() if key.lower() == "content-type")
    found = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + asked.body)
    files = {}
    for part in found.get_payload():
        if name := part.get_filename():
            files[name.rpartition("/")[2]] = part.get_payload(decode=True)
    return files
