"""What happens to a picture between the scene and the network: colour casts, poor light, blur, noise, JPEG, holes.

:func:`degrade` works on one uint8 picture (numpy, for data workers), :func:`degrade_batch` on a batch of float
pictures in torch, on any device, with the effects that have a cheap batched form.
"""

import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Appearance:
    """How often and how strongly a picture is changed; strengths are standard deviations unless said otherwise."""

    brightness: float = 0.16
    """Of the logarithm of the overall gain."""
    contrast: float = 0.15
    """Of the logarithm of the contrast about the mean."""
    saturation: float = 0.2
    """Of the logarithm of the saturation."""
    cast: float = 0.05
    """Of the logarithm of each channel's gain."""
    gamma: float = 0.15
    """Of the logarithm of the exponent."""
    grey_share: float = 0.05
    """Share of pictures turned grey."""
    blur_share: float = 0.25
    """Share of pictures blurred by a Gaussian of up to ``blur_px``, or shrunk and enlarged again."""
    blur_px: float = 0.008
    """Largest standard deviation of the blur, in picture sizes."""
    noise_share: float = 0.25
    """Share of pictures with sensor noise of up to ``noise``."""
    noise: float = 12.0
    """Largest standard deviation of the noise, in 8-bit levels."""
    jpeg_share: float = 0.25
    """Share of pictures compressed again, at quality 25 to 85."""
    erase_share: float = 0.1
    """Share of pictures with one to three flat or noisy rectangles over them."""


def degrade(image: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator, appearance: Appearance) -> np.ndarray:
    """Return a changed copy of a uint8 RGB picture; the same ``rng`` state gives the same picture."""
    a = appearance
    height, width = image.shape[:2]
    size = max(height, width)
    image = _apply_tone(image, rng, a)
    if rng.random() < a.erase_share:
        image = _erase(image, rng)
    if rng.random() < a.blur_share:
        picture = Image.fromarray(image)
        if rng.random() < 0.5:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.0) * a.blur_px * size))
        else:
            factor = rng.uniform(0.3, 0.8)
            small = picture.resize((int(width * factor), int(height * factor)), Image.Resampling.BILINEAR)
            picture = small.resize((width, height), Image.Resampling.BILINEAR)
        image = np.asarray(picture)
    if rng.random() < a.noise_share:
        sigma = rng.uniform(2.0, a.noise)
        image = _add_grain(image, rng, sigma, channels=1 if rng.random() < 0.5 else 3)
    if rng.random() < a.jpeg_share:
        image = compress(image, int(rng.integers(25, 86)))
    return image


def compress(image: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture as it comes back from a JPEG file of this quality."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def degrade_batch(
    images: Float[Tensor, "b 3 h w"], generator: torch.Generator, appearance: Appearance
) -> Float[Tensor, "b 3 h w"]:
    """Change colours, add noise and erase rectangles on a batch of pictures in [0, 1], on their device."""
    a, count, device = appearance, len(images), images.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, 1, 1, generator=generator, device=device)

    def chance(share: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator, device=device) < share

    luma = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    saturation = torch.where(chance(a.grey_share), 0.0, torch.exp(a.saturation * normal(1)))
    gain = torch.exp(a.brightness * normal(1) + a.cast * normal(3))
    images = images.clamp(1e-4, 1) ** torch.exp(a.gamma * normal(1)) * gain
    grey = (images * luma).sum(1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * torch.exp(a.contrast * normal(1))
    sigma = torch.rand(count, 1, 1, 1, generator=generator, device=device) * a.noise / 255
    noise = torch.randn(images.shape, generator=generator, device=device) * sigma
    images = torch.where(chance(a.noise_share), images + noise, images)
    return _erase_batch(images, chance(a.erase_share), generator).clamp(0, 1)


def _apply_tone(image: np.ndarray, rng: np.random.Generator, a: Appearance) -> np.ndarray:
    """Gamma, gain and cast by one table a channel; saturation and contrast by one 3 x 3 matrix and an offset."""
    from monobody.data.tone import toned  # Compiled loops: numba takes half a second to import.

    exponent = np.exp(a.gamma * rng.normal())
    gain = np.exp(a.brightness * rng.normal() + a.cast * rng.normal(size=3))
    contrast = np.exp(a.contrast * rng.normal())
    saturation = 0.0 if rng.random() < a.grey_share else np.exp(a.saturation * rng.normal())
    levels = np.arange(256, dtype=np.float32) / 255
    tables = (255 * levels**exponent * gain[:, None]).astype(np.float32)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    mix = contrast * (saturation * np.eye(3) + (1 - saturation) * luma)
    return toned(image, tables, mix.astype(np.float32), ((1 - contrast) * luma).astype(np.float32))


def _add_grain(image: np.ndarray, rng: np.random.Generator, sigma: float, *, channels: int) -> np.ndarray:
    from monobody.data.tone import DRAWS, grained

    draws = rng.integers(len(DRAWS), size=(*image.shape[:2], channels), dtype=np.uint16)
    return grained(image, draws, np.float32(sigma) * DRAWS)


def _erase(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 4)):
        h, w = (rng.uniform(0.06, 0.3, 2) * (height, width)).astype(int)
        y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        colour = rng.uniform(0, 255, 3)
        grain = rng.normal(size=(h, w, 1)) * rng.uniform(0, 30) * (rng.random() < 0.5)
        image[y : y + h, x : x + w] = np.clip(colour + grain, 0, 255)
    return image


def _erase_batch(images: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    random = torch.rand(7, count, 1, 1, 1, generator=generator, device=images.device)
    half_height, half_width = (0.03 + 0.12 * random[0]) * height, (0.03 + 0.12 * random[1]) * width
    rows = torch.arange(height, device=images.device)[:, None]
    columns = torch.arange(width, device=images.device)
    inside = ((rows - random[2] * height).abs() < half_height) & ((columns - random[3] * width).abs() < half_width)
    return torch.where(chosen & inside, torch.cat(list(random[4:]), 1), images)
