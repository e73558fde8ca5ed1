"""`monobody view`: a result as one page that shows it in 3D, anywhere, offline."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from monobody.cli.exits import OK, PARTLY


def view(
    file: Annotated[Positional[Path], arg(metavar="FILE.npz|PHOTO|CLIP")],
    *,
    out: Annotated[Path | None, arg(aliases=["-o"], metavar="PAGE.html")] = None,
    picture: Annotated[Path | None, arg(metavar="PHOTO|CLIP")] = None,
    save: str | None = None,
    model: str | None = None,
    lift: bool = False,
    body: Path | None = None,
    device: str = "auto",
) -> int:
    """Make one HTML file that shows people in 3D, on their photo or on a turntable, and holds their files.

    Args:
        file: What `monobody predict --save npz` or `Motion.save` wrote; or a photo or clip, which is predicted first.
        out: The page; named after the file where left out. It needs no network and no server.
        picture: The photo or clip that a .npz file was made of, to show people on it.
        save: Files to download from the page, any of glb,fbx,bvh,obj,csv,json,npz,smpl.npz; none for none; glb,bvh,npz
            where left out, glb,npz,json of skeletons.
        model: Which model predicts, where there is something to predict.
        lift: Fit bodies to the skeletons of models that give skeletons.
        body: The body file that the result or the model was made with, where that is not the shipped one.
        device: auto, cpu, cuda, cuda:1, ...
    """
    from monobody.errors import UserError
    from monobody.web.sources import open_result
    from monobody.web.viewer import write_viewer

    page = out or Path(f"{file.stem}.html")
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{page} would be a page: give it a name that ends in .html.")
    kinds = None
    if save is not None:
        named = "" if save == "none" else save
        kinds = tuple(dict.fromkeys(part.strip() for part in named.split(",") if part.strip()))
    found = open_result(file, picture, model=model, lift=lift, body=body, device=device)
    write_viewer(found.result, page, picture=found.picture, clip=found.clip, save=kinds)
    count = found.count
    seen = f"{count} {'person' if count == 1 else 'people'}"
    print(f"{page}: {seen}, {page.stat().st_size / 1e6:.1f} MB; open it in any browser")
    return OK if count else PARTLY
