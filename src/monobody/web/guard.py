"""Who may talk to the server: by its own address or with its token, and never through another site's page."""

import hmac
import html
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
COOKIE = "monobody"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """ASGI middleware before everything else.

    With a token, requests need it: as ``Authorization: Bearer TOKEN``, or once as ``?token=`` of the start page, which
    then keeps it in a cookie. Without one the server listens on this machine alone, and requests must name it: a page
    of another site whose name was turned to 127.0.0.1 does not. Requests that change something and come from another
    site's page are refused in either case.
    """

    def __init__(self, app: Any, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self.app(scope, receive, send_guarded)
        else:
            await _answer(send_guarded, *refusal)

    def _refusal(self, scope: dict[str, Any], headers: dict[str, str]) -> tuple[int, str, bytes, list[Any]] | None:
        host = headers.get("host", "")
        if self.token is None and _name_of(host) not in LOOPBACK:
            return _sentence(403, "This server answers to localhost alone.")
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in ("GET", "HEAD") and _host_of(origin) != host:
            return _sentence(403, "Another site's page may not send anything here.")
        if self.token is None:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and given and self._is(given):
            # The token leaves the address, so that nobody copies it along.
            cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Lax; Path=/"
            return 303, "text/plain", b"", [(b"location", b"/"), (b"set-cookie", cookie.encode("latin-1"))]
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if (scheme.lower() == "bearer" and self._is(bearer.strip())) or self._is(_cookie(headers.get("cookie", ""))):
            return None
        if scope["path"] == "/":
            return 401, "text/html; charset=utf-8", _asking(bool(given)).encode(), []
        status, kind, content, more = _sentence(401, "A token is needed: Authorization: Bearer TOKEN.")
        return status, kind, content, [*more, (b"www-authenticate", b"Bearer")]

    def _is(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.encode("latin-1", "replace"), self.token.encode("latin-1", "replace"))


def _name_of(host: str) -> str:
    """Return a host's name without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _host_of(origin: str) -> str | None:
    """Return the host, with its port, of an origin; None of one that is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _sentence(status: int, text: str) -> tuple[int, str, bytes, list[Any]]:
    return status, "application/json", b'{"detail":"%s"}' % text.encode(), []


def _asking(wrong: bool) -> str:
    said = "That is not the token." if wrong else "This server needs its token."
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>monobody</title><style>:root{color-scheme:light dark}body{font:16px system-ui,sans-serif;margin:3rem}"
        f"</style><p>{html.escape(said)} Whoever started it can tell you.</p>"
        '<form><label>Token <input name="token" type="password" autocomplete="off" autofocus></label> '
        "<button>Enter</button></form></html>"
    )


async def _answer(send: Any, status: int, kind: str, content: bytes, more: list[Any]) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
