"""Small videos for tests: written by PyAV, damaged by hand; and what is truly in synthetic ones."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from scenes import shipped_body

from monobody.camera import Camera
from monobody.data.clip_scenes import SyntheticClip
from monobody.motion import Motion, Track
from monobody.predict.smooth import nearest_rotations


def coloured(frame: int, width: int, height: int) -> np.ndarray:
    """A picture whose top left quarter is red, and whose brightness below tells the frame's number."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[height // 2 :] = 4 * frame % 256
    return pixels


def write_clip(
    path: Path,
    *,
    frames: int = 12,
    width: int = 64,
    height: int = 48,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_s: Sequence[float] | None = None,
    sound: str | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    color_trc: int | None = None,
) -> Path:
    """Write a video at 25 frames a second, or at given times; with a tone of 440 Hz where ``sound`` names a codec."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if color_trc is not None:
            stream.codec_context.color_trc = color_trc
        tone = None if sound is None else container.add_stream(sound, rate=44100, layout="stereo")
        for number in range(frames):
            pixels = coloured(number, width, height) if pictures is None else pictures[number]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times_s is not None:
                frame.pts, frame.time_base = round(1000 * times_s[number]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        if tone is not None:
            _play(container, tone, frames / 25)
        container.mux(stream.encode())
    return path


def write_sound(path: Path, codec: str = "aac") -> Path:
    """Write a second of sound without pictures."""
    with av.open(str(path), "w") as container:
        _play(container, container.add_stream(codec, rate=44100, layout="stereo"), 1.0)
    return path


def _play(container, stream, seconds: float) -> None:
    time_s = np.arange(round(44100 * seconds)) / 44100
    wave = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    resampler = av.AudioResampler(
        format=stream.format.name, layout="stereo", rate=44100, frame_size=stream.codec_context.frame_size or 1024
    )
    for start in range(0, len(wave), 1024):
        piece = np.stack([wave[start : start + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44100, start
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    container.mux(stream.encode())


def turn_flag(path: Path, quarter_turns: int) -> None:
    """Set an MP4's display matrix: the film is to be shown turned clockwise by so many quarters."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    start = at + 4 + 4 + (20 if data[at + 4] == 0 else 32) + 16
    one = 65536
    matrix = {1: (0, one, 0, -one, 0, 0), 2: (-one, 0, 0, 0, -one, 0), 3: (0, -one, 0, one, 0, 0)}[quarter_turns]
    data[start : start + 24] = struct.pack(">6i", *matrix)
    path.write_bytes(data)


def truth_of(clip: SyntheticClip) -> Motion:
    """What happens in a synthetic clip, as a model would have it."""
    view = np.eye(4)
    view[:3] = clip.camera_from_world
    count = len(clip.times_s)
    return Motion(
        times_s=clip.times_s,
        tracks=tuple(
            Track(
                id=person,
                frames=np.arange(count),
                rotations=nearest_rotations(clip.rotations(person)),
                betas=clip.cast.betas[person],
                translation_m=clip.translation_m(person),
                seen=np.ones(count, bool),
                score=np.ones(count),
            )
            for person in range(len(clip.acts))
        ),
        camera=Camera(focal_px=clip.focal_px, principal_px=(clip.width_px / 2, clip.height_px / 2), source="user"),
        width_px=clip.width_px,
        height_px=clip.height_px,
        T_world_camera=np.linalg.inv(view),
        body_digest=shipped_body().digest,
        model="truth",
        terms="test",
        name=clip.name,
        body=shipped_body(),
    )


def noisy(motion: Motion, generator: np.random.Generator, turn_rad: float = 0.05, place_m: float = 0.03) -> Motion:
    """The motion as a model of single pictures might have it."""
    from monobody.body.legs import turning

    def shaken(track: Track) -> Track:
        axis = turn_rad * generator.normal(size=(track.rotations.size // 9, 3))
        turns = turning(axis, np.linalg.norm(axis, axis=1)).reshape(track.rotations.shape)
        moved = track.translation_m + place_m * generator.normal(size=track.translation_m.shape) * [0.2, 0.2, 1]
        return replace(track, rotations=nearest_rotations(track.rotations @ turns), translation_m=moved)

    return replace(motion, tracks=tuple(shaken(track) for track in motion.tracks))
