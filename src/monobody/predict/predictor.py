"""The predictor: one picture in, a :class:`~monobody.scene.Scene` out.

Find the people, cut each out in the turned square that the detector gives, regress 85 numbers, turn the answer back
into the upright picture, and place every body in front of one camera.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from monobody.body.assets import SHIPPED_ANIMAL
from monobody.body.model import Body
from monobody.body.skeleton import HUMAN_SETS
from monobody.camera import Camera, full_image_translation
from monobody.data.crop import Crop, checked_box, turn_back
from monobody.errors import UserError
from monobody.fit.lift import Lift
from monobody.hub import DEFAULT_MODEL, XAS, find_weights, resolved
from monobody.hypothesis import Kept, checked_kept
from monobody.image import Picture
from monobody.models.detectors import detector_of
from monobody.models.hmr import model_on_card
from monobody.models.storage import load_weights, read_card
from monobody.motion import Motion
from monobody.predict.before_camera import hypothesis_of
from monobody.predict.detect import Detection, Detector, find_detector
from monobody.predict.estimate import (
    Estimator,
    LandmarkEstimator,
    MeanPose,
    PixelEstimator,
    Seen,
    estimate,
    knows_picture,
    with_own_crops,
)
from monobody.predict.frames import is_video
from monobody.predict.given import as_picture, choose_camera, choose_device, versions
from monobody.predict.mask_file import box_in_mask
from monobody.predict.place import place, turn_back_shift
from monobody.predict.skeletons import SkeletonEstimator
from monobody.scene import Hypothesis, Person, Scene

if TYPE_CHECKING:
    from monobody.predict.live import LiveFrame


LIFTED = ", lifted"


class Predictor:
    """A model with its body, ready for pictures. :func:`monobody.load` makes one.

    Args:
        estimator: gives a body in its crop's frame for each detection, or skeletons before the picture's camera.
        body: the body that the estimator speaks of.
        model: its name, and ``terms`` on which its results may be used; both are written into every scene.
    """

    def __init__(self, estimator: Estimator | SkeletonEstimator, body: Body, *, model: str, terms: str) -> None:
        self.estimator = estimator
        self.body = body
        self.model = model
        self.terms = terms

    @overload
    def __call__(self, picture: UInt8[np.ndarray, "h w 3"] | Picture, **options: Any) -> Scene: ...

    @overload
    def __call__(self, picture: str | Path, **options: Any) -> Any: ...

    def __call__(
        self,
        picture: str | Path | UInt8[np.ndarray, "h w 3"] | Picture,
        *,
        boxes: Sequence[Sequence[float]] | None = None,
        mask: Any = None,
        detector: str | Path | Detector = "blazepose",
        focal_px: float | None = None,
        fov_deg: float | None = None,
        refine: bool = False,
        **video: Any,
    ) -> "Scene | Motion":
        """Predict everybody in a picture, or in a video: a file with a video's extension goes to :meth:`video`.

        Args:
            picture: a file, RGB pixels (uint8, upright), a PIL image's array, or a read :class:`Picture`.
            boxes: where the people are, x0, y0, x1, y1 in pixels of the upright picture; found by the detector where
                left out.
            mask: where a person is, of the picture's size, instead of a box: True, 1, 255 or more than a half there.
            detector: "blazepose", "whole" (the whole picture is one person), "torchvision", a file of people (any
                that `data/keypoint_files` reads), or any :class:`~monobody.predict.detection.Detector`.
            focal_px: focal length in pixels; or ``fov_deg``, the horizontal field of view in degrees. Without both the
                one in the photo's EXIF is taken, else the picture's diagonal. The scene's camera tells which.
            refine: fit the bodies to the detector's landmarks, starting from and tied to the model's.
            video: choices of :meth:`video`, where it is one.

        Returns:
            A scene; its ``people`` are empty where nobody was found. Of a video, a motion.

        Raises:
            UserError: the picture cannot be read, or a box, the mask, the detector or the camera makes no sense.
        """
        if isinstance(picture, str | Path) and is_video(picture):
            if boxes is not None or mask is not None:
                raise UserError("Boxes and masks are for pictures: in a video people are found and followed.")
            return self.video(
                picture, detector=detector, focal_px=focal_px, fov_deg=fov_deg, refine=refine, **video
            )  # fmt: skip
        if video:
            raise UserError(f"{', '.join(video)}: choices for videos, and this is a picture.")
        read = as_picture(picture)
        height, width = read.rgb.shape[:2]
        camera = choose_camera(width, height, focal_px=focal_px, fov_deg=fov_deg, exif_focal_px=read.exif_focal_px)
        if mask is not None:
            if boxes is not None:
                raise UserError("Give boxes or a mask, not both: each says where to look.")
            boxes = [box_in_mask(mask, width, height)]
        checked = None if boxes is None else [checked_box(box, width, height) for box in boxes]
        find = find_detector(detector) if isinstance(detector, str | Path) else detector
        detections = find(read.rgb, checked, name=Path(read.path).name if read.path else None)
        people, told = self._told(Seen(rgb=read.rgb, detections=detections, camera=camera))
        notes, model = (*read.notes, *getattr(find, "notes", ()), *told), self.model
        if refine:
            self._ensure_bodies("Refining moves bodies")
        if refine and people:
            from monobody.predict.refine import refine_people

            detections = with_own_crops(self.estimator, detections)
            refined, note = refine_people(people, detections, camera, self.body, width_px=width, height_px=height)
            if refined is not people:
                people, model = refined, f"{model}, refined"
            notes = (*notes, note)
        return Scene(
            people=people,
            width_px=width,
            height_px=height,
            camera=camera,
            body_digest=self.body.digest,
            model=model,
            terms=self.terms,
            name=Path(read.path).stem if read.path else "scene",
            versions=versions(),
            notes=notes,
            picture=read.rgb,
            body=self.body,
        )

    def video(
        self,
        source: str | int | Path,
        *,
        progress: Callable[[int, int | None], None] | None = None,
        journal: Path | None = None,
        **options: Any,
    ) -> Motion:
        """Predict everybody in a video, a folder of frames (``fps=``) or some ``seconds`` of a webcam.

        Args:
            source: a file, a folder, or the number of a webcam.
            progress: called after every frame with how many are done, and of how many (None: nobody knows).
            journal: a folder in which to note what was seen; the same call goes on from it after a crash.
            options: the fields of :class:`~monobody.predict.video.VideoOptions`: ``every``, ``smooth_s``, ...

        Raises:
            UserError: the video cannot be read, or a choice makes no sense.
        """
        from monobody.predict.video import options_of, predict_video

        self._ensure_bodies("A motion is one of bodies")
        return predict_video(self, source, options_of(options), progress=progress, journal=journal)

    def stream(self, source: str | int | Path, **options: Any) -> "Iterator[LiveFrame]":
        """Predict a webcam (its number) or a video frame by frame, as they come: scenes with times and ids.

        Raises:
            UserError: as :meth:`video`.
        """
        from monobody.predict.live import stream
        from monobody.predict.video import options_of

        self._ensure_bodies("A motion is one of bodies")
        return stream(self, source, options_of(options))

    def people(
        self, rgb: UInt8[np.ndarray, "h w 3"], detections: Sequence[Detection], camera: Camera
    ) -> tuple[Person, ...]:
        """Estimate everybody who was detected at once and place them before the camera."""
        return self.people_in([Seen(rgb=rgb, detections=detections, camera=camera)])[0]

    def people_in(self, pictures: Sequence[Seen]) -> list[tuple[Person, ...]]:
        """Estimate everybody in several pictures at once, and place each person before the camera of theirs.

        Pictures without a camera get the one that is assumed of any.
        """
        seen = [self._with_camera(each) for each in pictures]
        if isinstance(self.estimator, SkeletonEstimator):
            return [people for people, _ in self.estimator.people(seen)]
        rows = [(each, one) for each in seen for one in each.detections]
        if not rows:
            return [() for _ in pictures]
        output = estimate(self.estimator, [each for each in seen if each.detections])
        with torch.inference_mode():
            pelvis_m = self.body.identity(output.betas).joints_m[:, 0]
            roots, shifts = [], []
            for row, (_, detection) in enumerate(rows):
                angle = detection.crop.angle_rad
                roots.append(turn_back(output.rotations[row, 0], angle))
                shifts.append(turn_back_shift(output.camera[row, 1:], pelvis_m[row, :2], angle))
            rotations = torch.cat([torch.stack(roots)[:, None], output.rotations[:, 1:]], dim=1)
            cameras = torch.cat([output.camera[:, :1], torch.stack(shifts)], dim=1)
            # People one by one: a full mesh each is a few megabytes, and faces differ in nothing.
            people = iter(
                [
                    Person(
                        box_px=np.asarray(detection.box_px, np.float32),
                        score=float(detection.score),
                        crop=detection.crop,
                        hypotheses=(
                            self._placed(cameras[row], rotations[row], output.betas[row], detection.crop, each),
                        ),
                    )
                    for row, (each, detection) in enumerate(rows)
                ]
            )
        return [tuple(next(people) for _ in each.detections) for each in seen]

    def asked(self, hypotheses: Kept = "all", *, lift: bool = False) -> "Predictor":
        """Return the model asked otherwise.

        Args:
            hypotheses: of each person "all" that count, the "best" alone, or at most so many; models that give one
                answer give one.
            lift: whether skeletons are turned into bodies, each hypothesis into one.

        Raises:
            UserError: there are no such hypotheses, or with `lift` the model gives bodies already, or no people.
        """
        kept = checked_kept(hypotheses)
        if isinstance(self.estimator, SkeletonEstimator):
            if lift and self.estimator.joint_set not in HUMAN_SETS:
                raise UserError(f"{self.model} finds no people: only they are lifted to bodies. Leave out --lift.")
            model = self.model.removesuffix(LIFTED) + (LIFTED if lift else "")
            return Predictor(replace(self.estimator, kept=kept, lift=lift), self.body, model=model, terms=self.terms)
        if lift:
            raise UserError(f"{self.model} gives bodies, not skeletons: there is nothing to lift. Leave out --lift.")
        return self

    @property
    def gives_skeletons(self) -> bool:
        """Whether people are skeletons without bodies."""
        return isinstance(self.estimator, SkeletonEstimator) and not self.estimator.lift

    def _ensure_bodies(self, why: str) -> None:
        """Make sure that the model gives bodies.

        Raises:
            UserError: it gives skeletons.
        """
        if self.gives_skeletons:
            raise UserError(f"{why}, and {self.model} gives skeletons: add --lift (lift=True).")

    def _told(self, seen: Seen) -> tuple[tuple[Person, ...], tuple[str, ...]]:
        """Return the people of a picture, and what their reader should know of them."""
        if isinstance(self.estimator, SkeletonEstimator):
            return self.estimator.people([self._with_camera(seen)])[0]
        return self.people_in([seen])[0], ()

    def _with_camera(self, seen: Seen) -> Seen:
        """Return a picture with its camera, and its people in the crops that the estimator was trained on."""
        camera = seen.camera or choose_camera(seen.rgb.shape[1], seen.rgb.shape[0])
        return replace(seen, detections=with_own_crops(self.estimator, seen.detections), camera=camera)

    def _placed(
        self,
        weak: Float[Tensor, "3"],
        rotations: Float[Tensor, "24 3 3"],
        betas: Float[Tensor, "10"],
        crop: Crop,
        seen: Seen,
    ) -> Hypothesis:
        """Return the body before the picture's camera, with its joints in every set."""
        posed = self.body(rotations, betas)
        # The shift already speaks of the upright crop.
        upright = Crop(crop.centre_px, crop.size_px)
        camera, (height, width) = seen.camera, seen.rgb.shape[:2]
        assert camera is not None
        if knows_picture(self.estimator):
            translation_m = full_image_translation(weak, upright, camera.focal_px, width, height)
        else:
            translation_m = place(posed.joints_m, weak, upright, camera, width_px=width, height_px=height)
        return hypothesis_of(
            self.body,
            posed,
            rotations=rotations,
            betas=betas,
            weak=weak,
            translation_m=translation_m,
            camera=camera,
        )


def load(
    name_or_file: str | Path | None = None,
    *,
    device: str = "auto",
    body: Body | str | Path | None = None,
    hypotheses: Kept = "all",
    lift: bool = False,
    runtime: str = "torch",
) -> Predictor:
    """Load a model by its name or from a weights file.

    Args:
        name_or_file: one of ``monobody models``, or a file; the default model where left out.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...
        body: the body, or a SMPL .npz or .pkl file, that the model was trained with; the shipped one where left out.
        hypotheses: as for :meth:`Predictor.asked`; so is ``lift``.
        runtime: what runs the network: torch, onnxruntime or openvino; the latter two on the processor.

    Raises:
        UserError: no such model, device, body, hypotheses or runtime; damaged weights; weights made for another body.
    """
    target = choose_device(device)
    loaded = body if isinstance(body, Body) else Body.load(body)
    name = resolved(str(DEFAULT_MODEL if name_or_file is None else name_or_file))
    if runtime != "torch" and target.type != "cpu":
        target = choose_device("cpu")
    predictor = _loaded(name, target, loaded)
    if runtime != "torch" and name != "mean-pose":
        from monobody.predict.runtime import in_runtime

        predictor.estimator = in_runtime(predictor.estimator, runtime, find_weights(name), loaded.digest)
    return predictor.asked(hypotheses, lift=lift)


def _loaded(name: str, target: torch.device, body: Body) -> Predictor:
    """Return the model of that name or file."""
    if name == "mean-pose":
        return Predictor(MeanPose(body), body, model=name, terms="Apache-2.0")
    path = find_weights(name)
    card = read_card(path)
    if card.get("model") == "lift":
        lift = Lift(body)
        load_weights(lift, path, body_digest=body.digest)
        estimator: Estimator | SkeletonEstimator = LandmarkEstimator(lift, target)
    elif card.get("model") in XAS:
        detector = detector_of(card)
        if detector.joint_set == "quadruped":
            body = Body.load(SHIPPED_ANIMAL, animals=True)
        load_weights(detector, path, body_digest=body.digest)
        estimator = SkeletonEstimator(network=detector, device=target, body=body)
    else:
        network = model_on_card(card, body=body)
        load_weights(network, path, body_digest=body.digest)
        estimator = PixelEstimator(network, target, crop=card.get("crop", "region"))
    return Predictor(estimator, body, model=name, terms=card.get("terms", "unknown: the weights' card does not say"))
