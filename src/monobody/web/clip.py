"""A clip as browsers play it: H.264 in MP4, small enough to lie inside a page."""

import io
from fractions import Fraction

from monobody.predict.frames import Source

LONGEST_SIDE_PX = 960
_TICKS = 90_000


def small_clip(source: Source) -> bytes:
    """Return a clip's frames with their own times, no side longer than 960 pixels, without sound.

    Raises:
        UserError: the clip cannot be read.
    """
    import av

    shrink = max(1.0, max(source.width_px, source.height_px) / LONGEST_SIDE_PX)
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=round(source.rate) or 1, options={"crf": "27", "preset": "veryfast"}
        )
        # Half as many colours in each direction need even sides.
        stream.width, stream.height = (
            max(2, round(side / shrink / 2) * 2) for side in (source.width_px, source.height_px)
        )
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        for shot in source:
            frame = av.VideoFrame.from_ndarray(shot.rgb, format="rgb24")
            frame = frame.reformat(stream.width, stream.height, "yuv420p")
            frame.pts, frame.time_base = round(shot.time_s * _TICKS), Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return content.getvalue()
