"""What an upload is, by its first bytes: a photo, a clip, or nothing that is taken."""

from typing import Literal

Kind = Literal["photo", "clip"]
BYTES_NEEDED = 512

_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "photo"),
    (b"\x89PNG\r\n\x1a\n", "photo"),
    (b"GIF87a", "photo"),
    (b"GIF89a", "photo"),
    (b"BM", "photo"),
    (b"II*\0", "photo"),
    (b"MM\0*", "photo"),
    (b"\x1a\x45\xdf\xa3", "clip"),  # Matroska and WebM.
    (b"OggS", "clip"),
    (b"FLV\1", "clip"),
    (b"\0\0\1\xba", "clip"),  # MPEG.
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "clip"),  # ASF, WMV.
)
_LARGEST_FTYP = 4096
"""Bytes of the box that MP4 and its kin begin with; text with "ftyp" in it would claim far more."""
_PHOTO_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1"})


def kind_of(start: bytes) -> Kind | None:
    """Return what a file that begins like this is.

    Only containers of pixels are known. Lists that name other files (playlists, for one) are not, so that an upload
    cannot make the decoder read anything else.
    """
    for beginning, kind in _STARTS:
        if start.startswith(beginning):
            return kind
    if start[:4] == b"RIFF":
        return {b"WEBP": "photo", b"AVI ": "clip"}.get(start[8:12])  # type: ignore[return-value]
    if start[4:8] == b"ftyp" and int.from_bytes(start[:4], "big") <= _LARGEST_FTYP:
        return "photo" if start[8:12] in _PHOTO_BRANDS else "clip"
    if len(start) > 188 and start[0] == start[188] == 0x47:  # MPEG transport stream.
        return "clip"
    return None
