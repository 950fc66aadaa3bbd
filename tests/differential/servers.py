"""The two servers, asked in the same way: over HTTP, one connection each."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.parse
from pathlib import Path
from typing import Any

from differential.cases import PATHS, Step


class Server:
    """One of the two; `saved` is what the steps of the present case have kept."""

    def __init__(self, url: str, token: str, ca_file: Path | None) -> None:
        self._address = urllib.parse.urlsplit(url)
        self._token = token
        self._tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._address.netloc, context=self._tls, timeout=30)
        return http.client.HTTPConnection(self._address.netloc, timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def exchange(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body of one request."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            self._connection.close()
            self._connection = self._connect()
            raise

    def install(self, definitions: list[dict[str, Any]]) -> None:
        """Create custom resource definitions and wait until they are served."""
        for definition in definitions:
            self._must("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        for definition in definitions:
            spec = definition["spec"]
            kind = {"apiVersion": f"{spec['group']}/{spec['versions'][0]['name']}", "kind": spec["names"]["kind"]}
            path = f"/apis/{kind['apiVersion']}/namespaces/default/{spec['names']['plural']}?dryRun=All"
            probe = {**kind, "metadata": {"name": "probe"}}
            for _ in range(200):
                if self.exchange("POST", path, probe)[0] in (201, 422):
                    break
                time.sleep(0.05)  # the real server begins to serve a definition some time after it is stored
            else:
                raise RuntimeError(f"{path}: not served after 10 s")

    def _must(self, method: str, path: str, body: Any) -> None:
        status, text = self.exchange(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {text!r}")

    def run(self, namespace: str, steps: tuple[Step, ...]) -> list[Any]:
        """The answers to a case in a namespace of its own: `{"status": …, "body": …}` or `{"events": […]}` each."""
        self._must("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        names = {"ns": namespace}
        return [self._step(step, names) for step in steps]

    def _step(self, step: Step, names: dict[str, str]) -> Any:
        path = _fill(step.path, names)
        body = step.body
        if isinstance(body, bytes):
            body = _fill(body.decode(), names).encode()
        elif body is not None:
            body = json.loads(_fill(json.dumps(body), names))
        status, text = self.exchange(step.method, path, body, step.content_type)
        if step.watch and status == 200:
            return {"events": [json.loads(line) for line in text.splitlines()]}
        try:
            decoded = json.loads(text)
        except ValueError:
            decoded = text.decode()
        if step.save:
            metadata = decoded["metadata"]
            for key, field in (("uid", "uid"), ("rv", "resourceVersion"), ("name", "name"), ("continue", "continue")):
                names[f"{step.save}.{key}"] = metadata.get(field) or ""
        return {"status": status, "body": decoded}


_NAME = re.compile(r"\{([a-z0-9]+(?:\.[a-z]+)?)\}")


def _fill(text: str, names: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in PATHS:
            return PATHS[name].replace("{ns}", names["ns"])
        return names.get(name, found[0])

    return _NAME.sub(value, text)
