"""Asks Label Studio's interface for programs: tokens that live five minutes, pages of tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from coldal_tui.connectors import Address
from coldal_tui.connectors.tokens import variable_of
from coldal_tui.connectors.web import Web, not_json, read_json_answer
from coldal_tui.errors import ColdalError

KEY = "coldal_id"
"""The key of a task's data by which what is on the server already is found."""
_PAGE = 500
_OVERLAP_S = 30
"""Seconds of changes that are asked for once more: a change is seen only when it is committed."""


class Api:
    """The server, entered when it is first asked."""

    def __init__(self, address: Address, web: Web) -> None:
        self._address = address
        self._access = ""
        self.web = web
        self.project = f"/api/projects/{address.project}"

    def tasks(self, since: str = "") -> list[Mapping[str, Any]]:
        """The project's tasks without their drawings, by id: all, or those changed since."""
        asked: dict[str, Any] = {"ordering": ["tasks:id"]}
        if since:
            rule = {
                "filter": "filter:tasks:updated_at",
                "operator": "greater",
                "value": _earlier(since),
                "type": "Datetime",
            }
            asked["filters"] = {"conjunction": "and", "items": [rule]}
        found: dict[str, Mapping[str, Any]] = {}
        page: int = 1
        total: Any = 1
        while len(found) < total and page < 100_000:
            query = {
                "project": self._address.project,
                "page": str(page),
                "page_size": str(_PAGE),
                "resolve_uri": "false",
                "query": json.dumps(asked),
            }
            answer = self.ask("GET", "/api/tasks", query=query)
            some = answer.get("tasks") if isinstance(answer, dict) else None
            total = answer.get("total") if isinstance(answer, dict) else None
            if not isinstance(some, list) or not isinstance(total, int):
                # Taken for an empty project, it would get every task once more.
                raise not_json(json.dumps(answer).encode(), self._address.url)
            if not some:
                break
            found |= {str(task["id"]): task for task in dicts(some) if "id" in task}
            page += 1
        return list(found.values())

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Sequence[str]] | None = None,
        data: Any = None,
        body: bytes | None = None,
        kind: str = "application/json",
        again: bool | None = None,
    ) -> Any:
        """One question; the JSON of its answer (an empty one: an empty object).

        ``data`` is sent as JSON, or ``body`` as it is. ``again``: see ``Web.ask``.
        """
        if data is not None:
            body = json.dumps(data, ensure_ascii=False).encode()
        if not self._access:
            self._enter()
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = kind
        # Read anew at each try: a renewed token must reach the next one.
        answer = self.web.ask(
            method,
            path,
            query=query,
            headers=lambda: headers | {"Authorization": self._access},
            body=body,
            again=again,
            refused=self._renew,
        )
        if answer.status == 204 or not answer.body:
            return {}
        found = read_json_answer(answer, self._address.url)
        if not isinstance(found, (dict, list)):
            raise not_json(answer.body, self._address.url)
        return found

    def _enter(self) -> None:
        """Exchange a personal access token for one that lives five minutes; a legacy one stays."""
        token = self._address.token
        if not token:
            raise no_token(self._address)
        if token.count(".") != 2:
            self._access = f"Token {token}"
            return
        told = json.dumps({"refresh": token}).encode()
        answer = self.web.ask(
            "POST",
            "/api/token/refresh/",
            headers=lambda: {"Content-Type": "application/json", "Accept": "application/json"},
            body=told,
            again=True,
        )
        found = read_json_answer(answer, self._address.url)
        access = found.get("access") if isinstance(found, dict) else None
        if not isinstance(access, str):
            raise not_json(answer.body, self._address.url)
        self._access = f"Bearer {access}"

    def _renew(self, status: int) -> bool:
        if status != 401 or not self._access.startswith("Bearer "):
            return False
        self._enter()
        return True


def no_token(address: Address) -> ColdalError:
    """The error of a server that wants a token where there is none."""
    return ColdalError(
        "there is no token for this server",
        where=f"{address.name} ({address.url})",
        remedy=f"coldal-tui connect token {address.name} asks for it, or set "
        f"{variable_of(address.name)}",
        code="no-token",
    )


def id_of(task: Mapping[str, Any]) -> str:
    data = task.get("data")
    found = data.get(KEY) if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


def key_of(task: Mapping[str, Any]) -> str:
    """The scan's key: a task's id without the slice."""
    return id_of(task).partition("__")[0]


def untouched(task: Mapping[str, Any]) -> bool:
    return not (task.get("total_annotations") or task.get("cancelled_annotations"))


def dicts(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, dict) and isinstance(found.get("results"), list):
        found = found["results"]
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _earlier(stamp: str) -> str:
    """A server's time, a little earlier, in the one form that its filter reads."""
    try:
        found = datetime.fromisoformat(stamp) - timedelta(seconds=_OVERLAP_S)
    except ValueError:
        return stamp
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
