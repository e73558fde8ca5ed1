"""`monobody serve`: a web page that takes photos and clips and gives people in 3D."""

from monobody.cli.exits import OK


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    token: str | None = None,
    model: str | None = None,
    lift: bool = False,
    device: str = "auto",
    upload_mb: float = 200.0,
    clip_seconds: float = 60.0,
    keep_minutes: float = 60.0,
    disk_gb: float = 4.0,
) -> int:
    """Serve a web page, and an HTTP interface for programs, until Ctrl-C. Needs the extra monobody[web].

    Args:
        host: The address to listen on; others than this machine's own need a token.
        port: The port; 0 for any that is free.
        token: What visitors must know: at least 16 characters; auto makes one and prints it.
        model: A name from `monobody models`, or a weights file.
        lift: Fit bodies to the skeletons of models that give skeletons.
        device: auto, cpu, cuda, cuda:1, ...
        upload_mb: The largest file that is taken.
        clip_seconds: The longest clip that is taken.
        keep_minutes: Results are removed after so long.
        disk_gb: Uploads and results take no more than this.
    """
    from monobody.hub import DEFAULT_MODEL
    from monobody.web.limits import Limits
    from monobody.web.serving import serve as run
    from monobody.web.worker import loader_of

    limits = Limits(upload_mb=upload_mb, clip_s=clip_seconds, keep_minutes=keep_minutes, disk_mb=1000 * disk_gb)
    run(
        loader_of(model, device, lift=lift),
        model=str(model or DEFAULT_MODEL),
        host=host,
        port=port,
        token=token,
        limits=limits,
        say=lambda line: print(line, flush=True),
    )
    return OK
