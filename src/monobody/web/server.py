"""The server's pages and its HTTP interface: drop a photo or clip, watch its progress, take the page and files.

A file comes as the bare body of a request, without a name: what is stored is called by ours. Files are looked up in a
job's own list and never by a path from outside. All pages, their scripts and styles are in the package.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from monobody import __version__
from monobody.web.api_page import api_page
from monobody.web.jobs import Full, Job, Jobs
from monobody.web.kinds import BYTES_NEEDED, kind_of
from monobody.web.limits import Limits
from monobody.web.shipped import EXAMPLES, asset, example

NAMES = {"photo": "photo.img", "clip": "clip.mp4"}
"""What uploads are called; decoders look at what is in them."""
ABOUT = {"one": "one person", "group": "three people", "crossing": "a clip of two"}
"""What the examples show."""
MEDIA = {
    "html": "text/html; charset=utf-8", "jpg": "image/jpeg", "mp4": "video/mp4", "glb": "model/gltf-binary",
    "json": "application/json",
}  # fmt: skip
BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "media-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)


def make_app(jobs: Jobs, limits: Limits, model: str) -> Any:
    """Return the ASGI application; who may talk to it is the guard's business."""
    from fastapi import FastAPI, HTTPException, Query, Request
    from fastapi import Path as InPath
    from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
    from pydantic import BaseModel
    from starlette.routing import Match

    class File(BaseModel):
        name: str
        bytes: int
        url: str

    class JobState(BaseModel):
        id: str
        kind: str
        state: str
        progress: float
        message: str
        waiting_before: int
        people: int
        files: list[File]

    class Example(BaseModel):
        name: str
        about: str
        kind: str
        url: str

    class About(BaseModel):
        version: str
        model: str
        upload_mb: float
        megapixels: float
        clip_s: float
        keep_minutes: float
        examples: list[Example]

    class Sentence(BaseModel):
        detail: str

    def says(*codes: int) -> dict[int | str, dict[str, Any]]:
        return {code: {"model": Sentence, "description": REASONS[code]} for code in codes}

    job_id = InPath(pattern="^[0-9a-f]{32}$", description="the job's id")
    uploading = asyncio.Semaphore(limits.uploads)

    app = FastAPI(
        title="monobody", version=__version__, docs_url=None, redoc_url=None,
        description="3D people from a photo or a clip.",
    )  # fmt: skip

    def found(name: str) -> Job:
        job = jobs.get(name)
        if job is None:
            raise HTTPException(404, "There is no such job, or it has been removed.")
        return job

    def state(job: Job) -> JobState:
        return JobState(
            id=job.id, kind=job.kind, state=job.state, progress=round(job.progress, 3), message=job.message,
            waiting_before=jobs.place(job), people=job.people,
            files=[
                File(name=name, bytes=size, url=f"/api/jobs/{job.id}/files/{name}")
                for name in job.files
                if (size := _size(job.folder / name)) is not None
            ],
        )  # fmt: skip

    def room(expected_bytes: int) -> Path:
        try:
            return jobs.new_folder(expected_bytes / 1e6)
        except Full as error:
            raise HTTPException(503, str(error), {"retry-after": "60"}) from None

    def enqueue(folder: Path, start: bytes, stored: Path) -> JobState:
        kind = kind_of(start)
        if kind is None:
            raise HTTPException(
                415, "This is no photo and no clip that can be read: send JPEG, PNG, WebP, MP4, MOV, WebM or the like."
            )
        source = stored.rename(folder / NAMES[kind])
        try:
            return state(jobs.add(kind, folder, source))
        except Full as error:
            raise HTTPException(503, str(error), {"retry-after": "60"}) from None

    @app.get("/api", response_class=HTMLResponse, include_in_schema=False)
    async def interface() -> HTMLResponse:
        return page(api_page(app.openapi()))

    @app.get("/api/about", summary="What this server is and takes", tags=["about"])
    async def about() -> About:
        examples = [
            Example(
                name=name, about=ABOUT[name], kind=str(kind_of(example(name)[:BYTES_NEEDED])), url=f"/examples/{file}"
            )
            for name, file in EXAMPLES.items()
        ]
        return About(
            version=__version__, model=model, upload_mb=limits.upload_mb, megapixels=limits.megapixels,
            clip_s=limits.clip_s, keep_minutes=limits.keep_minutes, examples=examples,
        )  # fmt: skip

    @app.post(
        "/api/jobs", status_code=202, summary="Send a photo or clip", tags=["jobs"],
        responses=says(400, 408, 413, 415, 503),
        openapi_extra={"requestBody": {"required": True, "description": "the file's bytes", "content": BYTES}},
    )  # fmt: skip
    async def send(request: Request) -> JobState:
        declared = request.headers.get("content-length", "")
        most = int(declared) if declared.isdigit() else limits.upload_bytes
        too_large = HTTPException(413, f"At most {limits.upload_mb:g} MB are taken: make the file smaller.")
        if most > limits.upload_bytes:
            raise too_large
        if uploading.locked():
            raise HTTPException(503, "Too many uploads at once: try again in a minute.", {"retry-after": "60"})
        async with uploading:
            folder = await asyncio.to_thread(room, most)
            try:
                async with asyncio.timeout(limits.upload_s):
                    start, size = b"", 0
                    with (folder / "upload").open("wb") as file:
                        async for chunk in request.stream():
                            size += len(chunk)
                            if size > most:
                                raise too_large
                            start = (start + chunk)[:BYTES_NEEDED] if len(start) < BYTES_NEEDED else start
                            await asyncio.to_thread(file.write, chunk)
                if not size:
                    raise HTTPException(400, "The file is empty: choose another.")
                return enqueue(folder, start, folder / "upload")
            except TimeoutError:
                jobs.drop(folder)
                raise HTTPException(408, f"The upload took longer than {limits.upload_s:g} seconds.") from None
            except BaseException:
                jobs.drop(folder)
                raise

    @app.post(
        "/api/examples/{name}", status_code=202, summary="Take one of the examples", tags=["jobs"],
        responses=says(404, 503),
    )  # fmt: skip
    def take_example(name: Annotated[str, InPath(description="one of those that /api/about lists")]) -> JobState:
        if name not in EXAMPLES:
            raise HTTPException(404, f"There is no such example: choose from {', '.join(EXAMPLES)}.")
        content = example(name)
        folder = room(len(content))
        try:
            (folder / "upload").write_bytes(content)
            return enqueue(folder, content[:BYTES_NEEDED], folder / "upload")
        except BaseException:
            jobs.drop(folder)
            raise

    @app.get("/api/jobs/{name}", summary="How far a job is, and its files", tags=["jobs"], responses=says(404))
    async def look(name: Annotated[str, job_id]) -> JobState:
        return state(found(name))

    @app.delete(
        "/api/jobs/{name}", status_code=204, summary="Stop a job and remove all of it", tags=["jobs"],
        responses=says(404), response_class=Response,
    )  # fmt: skip
    def remove(name: Annotated[str, job_id]) -> None:
        jobs.remove(found(name))

    @app.get(
        "/api/jobs/{name}/files/{file}", summary="One of a job's files", tags=["jobs"], response_class=FileResponse,
        responses={200: {"content": BYTES}, **says(404)},
    )  # fmt: skip
    def take(
        name: Annotated[str, job_id],
        file: Annotated[str, InPath(description="a name that the job lists")],
        download: Annotated[bool, Query(description="as a file to keep, not to show")] = False,
    ) -> FileResponse:
        job = found(name)
        if file not in job.files or not (job.folder / file).is_file():
            raise HTTPException(404, "The job has no such file.")
        kind = MEDIA.get(file.rpartition(".")[2], "application/octet-stream")
        shown = kind.startswith(("image", "video", "text/html")) and not download
        # Without a name, so that the page can give the file the one of what was sent.
        headers = {"content-disposition": "inline" if shown else "attachment"}
        return FileResponse(job.folder / file, media_type=kind, headers=headers)

    def page(content: str) -> HTMLResponse:
        return HTMLResponse(content, headers={"content-security-policy": POLICY})

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def start() -> HTMLResponse:
        return page(asset("start.html"))

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        kinds = {"start.js": "text/javascript", "start.css": "text/css"}
        if name not in kinds:
            raise HTTPException(404, "There is no such file.")
        return Response(asset(name), media_type=f"{kinds[name]}; charset=utf-8")

    @app.get("/examples/{file}", include_in_schema=False)
    async def shown(file: str) -> Response:
        name, _, ending = file.partition(".")
        if EXAMPLES.get(name) != file:
            raise HTTPException(404, "There is no such example.")
        return Response(example(name), media_type=MEDIA[ending])

    @app.exception_handler(405)
    async def other_method(request: Request, _: Any) -> JSONResponse:
        here = [route for route in app.routes if route.matches(request.scope)[0] != Match.NONE]
        allowed = sorted({method for route in here for method in getattr(route, "methods", None) or ()})
        return JSONResponse({"detail": "This is not done here."}, 405, {"allow": ", ".join(allowed)})

    @app.exception_handler(Exception)
    async def failed(*_: Any) -> JSONResponse:
        return JSONResponse({"detail": "Something went wrong here; it is not your file's fault."}, 500)

    return app


REASONS = {
    400: "the file is empty",
    404: "there is none of that name",
    408: "the upload was too slow",
    413: "the file is too large",
    415: "the file is no photo and no clip",
    503: "no room at the moment",
}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
