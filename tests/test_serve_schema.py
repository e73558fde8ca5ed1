"""The server's interface does what its OpenAPI description says, whatever is sent (schemathesis)."""

import atexit
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from test_serve import TOKEN, Server, photo

SERVER = Server(Path(tempfile.mkdtemp()) / "jobs", token=TOKEN, upload_mb=1, disk_mb=50)
atexit.register(SERVER.jobs.close)
ENTRY = {"authorization": f"Bearer {TOKEN}"}
DESCRIBED = schemathesis.openapi.from_asgi("/openapi.json", SERVER.client.app, headers=ENTRY)
# No schema can say what the bytes of a photo are.
schemathesis.openapi.media_type("application/octet-stream", st.binary(max_size=300).map(photo))


@pytest.mark.slow
@DESCRIBED.parametrize()
@hypothesis.settings(max_examples=30, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_the_interface_is_as_described(case: Any) -> None:
    case.call_and_validate(headers=ENTRY)


@hypothesis.settings(max_examples=40)
@hypothesis.given(content=st.binary(max_size=600))
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    before = len(list(SERVER.jobs.folder.iterdir()))
    answer = SERVER.send(content, headers=ENTRY)
    assert answer.status_code in (202, 400, 415)
    if answer.status_code != 202:
        assert len(list(SERVER.jobs.folder.iterdir())) == before
