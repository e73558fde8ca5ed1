"""`monobody fit`: the bodies of people whose keypoints somebody else has found, and how well they fit.

What `predict` is for networks this is for SMPLify (``fit/smplify.py``): a picture in, a scene out. The picture itself
is looked at where the fit starts from a network's body (``start``), and to warn of keypoints of somebody else.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8

from monobody.body.model import Body
from monobody.body.skeleton import SKELETONS
from monobody.camera import Camera
from monobody.data.keypoint_files.known_people import KnownPerson, choose_people
from monobody.data.keypoint_files.read_people import People, read_people
from monobody.errors import UserError
from monobody.fit.evidence import FEWEST_JOINTS, Evidence, Fits, Mask, Start
from monobody.fit.settings import Settings
from monobody.fit.smplify import fit_bodies
from monobody.image import Picture
from monobody.predict.before_camera import hypothesis_of_fit
from monobody.predict.given_keypoints import box_about, detection_from_keypoints, region_of
from monobody.predict.predictor import as_picture, choose_camera, load, versions
from monobody.predict.refine import start_of
from monobody.predict.somebody_else import Doubt, doubt_about
from monobody.scene import Person, Scene

if TYPE_CHECKING:
    from monobody.predict.predictor import Predictor

MEAN = "mean"
SHIPPED = "monobody"
"""What the shipped body calls itself."""
FITS_BADLY = 0.06
"""A mean distance of the keypoints above this share of the person's size is worth a warning."""
FILLS_BADLY = 0.3
"""So is a mask of which the body has less than this in common."""
BESIDE_MASK = 0.05
"""Keypoints this near to a mask, in person sizes, count as inside."""
NOT_THEIRS = (
    "In the whole picture it surely finds somebody, and nobody with such a pose. If the keypoints are right all the "
    "same, say so: --trust (trust=True)."
)
FROM_MEAN, FROM_MODEL = Settings(), Settings(start_error_rad=0.3)
"""Given keypoints are thought to be better than a model's body, so that this is tied to loosely."""


class Fitter:
    """Fits bodies to the keypoints and masks of people in pictures. :func:`load_fitter` makes one.

    Args:
        body: what is fitted.
        start: the model whose bodies the fits start from, and are tied to; the mean pose where left out.
        settings: of the fit; what suits the start where left out.
    """

    def __init__(self, body: Body, *, start: "Predictor | None" = None, settings: Settings | None = None) -> None:
        self.body = body
        self.start = start
        self.settings = settings or (FROM_MEAN if start is None else FROM_MODEL)

    @property
    def model(self) -> str:
        """What a scene says it was made by."""
        return f"fit from {MEAN if self.start is None else self.start.model}"

    @property
    def terms(self) -> str:
        """On what terms the results may be used: those of the body, the prior and the model it starts from."""
        if self.start is not None:
            return self.start.terms
        return "Apache-2.0" if self.body.data.name == SHIPPED else f"those of the body {self.body.data.name}"

    def __call__(
        self,
        picture: str | Path | UInt8[np.ndarray, "h w 3"] | Picture,
        keypoints: str | Path | People,
        *,
        person: str | int = "all",
        mask: UInt8[np.ndarray, "h w"] | None = None,
        focal_px: float | None = None,
        fov_deg: float | None = None,
        trust: bool = False,
    ) -> Scene:
        """Fit everybody whom a file of keypoints lists for a picture.

        Args:
            picture: a file, RGB pixels (uint8, upright), or a read :class:`Picture`.
            keypoints: a file or folder of any layout that ``data/keypoint_files`` reads, or what was read from it.
            person: "all", "best" (highest mean confidence), or a person's number in the file, from 0.
            mask: where the person is seen, above 127, of the picture's size; only for a single person.
            focal_px: as for a :class:`~monobody.predict.predictor.Predictor`; so is ``fov_deg``.
            trust: fit keypoints though the picture surely shows somebody else, or nobody at their place.

        Returns:
            A scene whose notes tell how well every body fits; its ``people`` are empty where the file lists nobody.

        Raises:
            UserError: a file cannot be read, does not speak of this picture, or holds what cannot be fitted.
        """
        read = as_picture(picture)
        height, width = read.rgb.shape[:2]
        camera = choose_camera(width, height, focal_px=focal_px, fov_deg=fov_deg, exif_focal_px=read.exif_focal_px)
        file = read_people(keypoints) if isinstance(keypoints, str | Path) else keypoints
        listed = file.in_picture(Path(read.path).name if read.path else None, width, height)
        chosen = choose_people(listed, str(person), file.path) if listed else []
        known = [one for one in chosen if one.keypoints is not None]
        if chosen and not known:
            raise UserError(f"{file.path} has boxes and no keypoints for this picture: a body is fitted to keypoints.")
        for one in known:
            if flaw := one.flaw(width, height, fewest=FEWEST_JOINTS):
                raise UserError(flaw + (" Choose another with --person." if len(listed) > 1 else ""))
        notes = list(read.notes)
        if len(known) < len(chosen):
            notes.append(f"{len(chosen) - len(known)} of {len(chosen)} people have no keypoints and were not fitted")
        people: list[Person] = []
        if known:
            evidence = _checked_mask(mask, width, height, len(known))
            if mask is not None and not trust:
                _ensure_inside(mask, known[0])
            doubts = [doubt_about(read.rgb, _table(one), one.set_name) for one in known]
            for one, doubt in zip(known, doubts, strict=True):
                if doubt is not None and doubt.sure and not trust:
                    raise UserError(f"{one.where}: {doubt.why} {NOT_THEIRS}")
            people, measures = self._people(read.rgb, known, camera, evidence, doubts)
            notes += measures
        return Scene(
            people=tuple(people),
            width_px=width,
            height_px=height,
            camera=camera,
            body_digest=self.body.digest,
            model=self.model,
            terms=self.terms,
            name=Path(read.path).stem if read.path else "scene",
            versions=versions(),
            notes=tuple(notes),
            picture=read.rgb,
            body=self.body,
        )

    def _people(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        known: Sequence[KnownPerson],
        camera: Camera,
        mask: Mask | None,
        doubts: Sequence[Doubt | None],
    ) -> tuple[list[Person], list[str]]:
        """Return the fitted people in the file's order, and a sentence on each."""
        height, width = rgb.shape[:2]
        started = self._started(rgb, known, camera)
        people: list[Person | None] = [None] * len(known)
        sentences = [""] * len(known)
        # A fit knows one joint set; files with several are rare.
        for set_name in dict.fromkeys(one.set_name for one in known):
            rows = [row for row, one in enumerate(known) if one.set_name == set_name]
            start = None if started is None else start_of([started[row] for row in rows])
            fits = self._fits(np.stack([_table(known[row]) for row in rows]), set_name, camera, mask, start)
            for place, row in enumerate(rows):
                one, crop = known[row], region_of(_table(known[row]), set_name)
                people[row] = Person(
                    box_px=box_about(rgb, _table(one)).astype(np.float32),
                    score=one.score,
                    crop=crop,
                    hypotheses=(
                        hypothesis_of_fit(self.body, fits, place, crop, camera, width_px=width, height_px=height),
                    ),
                )
                doubt = doubts[row]
                sentences[row] = f"person {row} {how_well(fits, place)}" + (f", {doubt.why}" if doubt else "")
        return [one for one in people if one is not None], sentences

    def _started(
        self, rgb: UInt8[np.ndarray, "h w 3"], known: Sequence[KnownPerson], camera: Camera
    ) -> tuple[Person, ...] | None:
        """Return the bodies to start from, None for the mean pose."""
        if self.start is None:
            return None
        return self.start.people(
            rgb, [detection_from_keypoints(rgb, _table(one), one.set_name, score=one.score) for one in known], camera
        )

    def _fits(self, table: np.ndarray, set_name: str, camera: Camera, mask: Mask | None, start: Start | None) -> Fits:
        count = len(table)
        evidence = Evidence(
            keypoints_px=torch.from_numpy(table[..., :2]).float(),
            confidence=torch.from_numpy(table[..., 2]).float(),
            keypoint_set=set_name,
            masks=None if mask is None else [mask],
            focal_px=torch.full((count,), float(camera.focal_px)),
            principal_px=torch.tensor(camera.principal_px).float().expand(count, 2),
        )
        return fit_bodies(evidence, self.body, start=start, settings=self.settings)


def load_fitter(start: str | Path = MEAN, *, device: str = "auto", body: Body | str | Path | None = None) -> Fitter:
    """Get fits ready that start from the mean pose ("mean") or from a model's bodies.

    Args:
        start: "mean", one of ``monobody models``, or a weights file.
        device: where the model runs; the fit itself runs on the processor.
        body: a body, or a SMPL .npz or .pkl file; the shipped one where left out.

    Raises:
        UserError: no such model, device or body.
    """
    loaded = body if isinstance(body, Body) else Body.load(body)
    if str(start) == MEAN:
        return Fitter(loaded)
    model = load(start, device=device, body=loaded)
    return Fitter(loaded, start=model.asked("best", lift=True) if model.gives_skeletons else model)


def how_well(fits: Fits, row: int) -> str:
    """Return what is to be known of a fit, in words."""
    assert fits.keypoint_set is not None
    relative, worst = float(fits.reprojection_relative[row]), int(fits.worst_joint[row])
    said = [
        f"{float(fits.reprojection_px[row]):.1f} px off ({100 * relative:.1f} % of their size), most at "
        f"{SKELETONS[fits.keypoint_set].joints[worst]} ({100 * float(fits.worst_relative[row]):.1f} %)"
    ]
    if relative > FITS_BADLY:
        said.append("which is a bad fit: are these keypoints of another person, or of another joint set or order?")
    if torch.isfinite(fits.silhouette_iou[row]):
        said.append(f"silhouette IoU {float(fits.silhouette_iou[row]):.2f}")
        if fits.silhouette_iou[row] < FILLS_BADLY:
            said.append("which is hardly filled: is the mask of another person, or of another picture?")
    said.append(f"pose {float(fits.prior_nats[row]):.0f} nats above chance")
    if fits.beyond_limits[row] > 0:
        said.append(f"{100 * float(fits.beyond_limits[row]):.0f} % of joints beyond their limits")
    if not fits.converged[row]:
        said.append("not converged")
    return ", ".join(said)


def _checked_mask(mask: UInt8[np.ndarray, "h w"] | None, width_px: int, height_px: int, people: int) -> Mask | None:
    if mask is None:
        return None
    if mask.shape[:2] != (height_px, width_px):
        raise UserError(
            f"The mask has {mask.shape[1]} x {mask.shape[0]} pixels and the picture {width_px} x {height_px}: "
            "give one of the picture's size."
        )
    if people > 1:
        raise UserError(f"The mask is of one person and the keypoints are of {people}: choose one with --person.")
    if np.asarray(mask).min() > 127:
        raise UserError("The mask is white everywhere: it must be white where the person is, and black elsewhere.")
    covered = torch.from_numpy((np.asarray(mask) > 127).astype(np.float32))
    return Mask(coverage=covered, window_px=(0.0, 0.0, float(width_px), float(height_px)))


def _ensure_inside(mask: UInt8[np.ndarray, "h w"], person: KnownPerson) -> None:
    """Refuse keypoints none of which lies in the mask or beside it.

    Raises:
        UserError: they are another person's.
    """
    rows, columns = np.nonzero(np.asarray(mask) > 127)
    if not len(rows):
        return
    points = _table(person)[_table(person)[:, 2] > 0, :2]
    reach = BESIDE_MASK * np.ptp(points, axis=0).max()
    covered = np.column_stack([columns, rows]) + 0.5
    near = [np.abs(covered - point).max(1).min() <= reach for point in points]
    if not any(near):
        raise UserError(
            f"{person.where}: none of the {len(points)} keypoints is in the mask: is it of another person, or of "
            "another picture? If both are right all the same, say so: --trust (trust=True)."
        )


def _table(person: KnownPerson) -> np.ndarray:
    """Return the keypoints of somebody who has some."""
    assert person.keypoints is not None
    return person.keypoints
