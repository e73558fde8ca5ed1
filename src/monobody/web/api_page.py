"""The HTTP interface as a plain page, made of its OpenAPI description; nothing on it comes from anywhere else."""

from typing import Any

from monobody.evaluate.page import text

EXAMPLE = """curl --data-binary @photo.jpg http://localhost:7860/api/jobs
curl http://localhost:7860/api/jobs/ID
curl -O http://localhost:7860/api/jobs/ID/files/photo.glb"""


def api_page(described: dict[str, Any]) -> str:
    """Return the page of an OpenAPI description."""
    parts = []
    for path, methods in described["paths"].items():
        for method, one in methods.items():
            parts.append(_operation(method.upper(), path, one, described))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>monobody: HTTP interface</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/start.css"></head>'
        '<body class="text"><main>'
        '<p><a href="/">monobody</a></p>'
        "<h1>HTTP interface</h1><p>For programs: send a file, ask until its state is <code>done</code> or "
        '<code>failed</code>, take the files. The same as <a href="/openapi.json">OpenAPI</a>. Where the server has a '
        "token, send <code>Authorization: Bearer TOKEN</code>.</p>"
        f"<pre>{text(EXAMPLE)}</pre>{''.join(parts)}</main></body></html>"
    )


def _operation(method: str, path: str, one: dict[str, Any], described: dict[str, Any]) -> str:
    rows = [
        _row(each["name"], f"in the {each['in']}", each.get("description", "")) for each in one.get("parameters", [])
    ]
    if "requestBody" in one:
        body = one["requestBody"]
        kinds = ", ".join(body["content"])
        rows.append(_row("body", kinds, body.get("description", "")))
    for code, answer in one["responses"].items():
        fields = ", ".join(_fields(answer, described))
        rows.append(_row(code, answer["description"], fields))
    return (
        f"<section><h2><code>{text(method)} {text(path)}</code></h2><p>{text(one.get('summary', ''))}</p>"
        f'<div class="wide"><table>{"".join(rows)}</table></div></section>'
    )


def _row(name: str, what: str, more: str) -> str:
    return f"<tr><th>{text(name)}</th><td>{text(what)}</td><td>{text(more)}</td></tr>"


def _fields(answer: dict[str, Any], described: dict[str, Any]) -> list[str]:
    """Return the names of what a JSON answer holds."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return list(described.get("components", {}).get("schemas", {}).get(name, {}).get("properties", {}))
