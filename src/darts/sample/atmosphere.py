"""What lies between the ground and the sensor: clouds, their shadows, haze, and the sensor's own noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from darts.sample.cover import Reflectance, spectrum
from darts.sample.layout import Grid, Sun
from darts.sample.noise import Field, generator, smoothstep, spectral_noise

CLOUD = (0.56, 0.58, 0.60, 0.66)
HAZE = (0.030, 0.020, 0.013, 0.008)
SKYLIGHT = (0.45, 0.38, 0.33, 0.28)
"""Share of the light that reaches the ground in a cloud's shadow, from the sky."""
NOISE = 0.0025
"""Standard deviation of the sensor's noise, reflectance."""


@dataclass(frozen=True)
class Sky:
    """Clouds over a scene, on its grid."""

    cloud: Field
    """Opacity, 0 to 1."""
    shadow: Field
    """Share of the direct sunlight that clouds take away, 0 to 1."""


def simulate_sky(seed: int, name: str, grid: Grid, sun: Sun, mean_cover: float = 0.055) -> Sky:
    """Clouds with soft edges, and their shadows away from the sun."""
    rng = generator(seed, "clouds", name)
    pixels_per_km = 1000 / grid.resolution
    drop = float(rng.uniform(350, 700)) / np.tan(np.radians(sun.elevation)) / grid.resolution
    # clouds beyond the border cast their shadows into the scene
    border = int(np.ceil(drop)) + 1
    shape = grid.height + 2 * border, grid.width + 2 * border
    longest, shortest = 1.0 * pixels_per_km, 0.06 * pixels_per_km
    noise = spectral_noise(shape, rng, roughness=3.7, longest=longest, shortest=shortest)
    cover = float(np.clip(rng.gamma(1.6, mean_cover / 1.6), 0.004, 0.16))
    level = float(np.quantile(noise, 1 - cover))
    opacity = smoothstep(noise, level - 0.30, level + 0.65)
    rows, columns = drop * np.cos(np.radians(sun.azimuth)), -drop * np.sin(np.radians(sun.azimuth))
    # the shadow falls away from the sun: northwards, towards smaller rows, for a sun in the south
    shifted = ndimage.shift(opacity, (rows, columns), order=1)
    inner = slice(border, -border), slice(border, -border)
    return Sky(opacity[inner], (shifted * (1 - opacity))[inner].astype(np.float32))


def through_the_air(ground: Reflectance, sky: Sky, seed: int, name: str) -> Reflectance:
    """What the sensor measures, float32 (4, height, width): shadows, haze, clouds, blur and noise."""
    rng = generator(seed, "air", name)
    shaded = ground * (1 - sky.shadow * (1 - spectrum(SKYLIGHT)))
    veil = spectral_noise(sky.cloud.shape, rng, roughness=4.0, longest=250, shortest=30)
    haze = np.clip(rng.uniform(0.1, 0.6) + 0.15 * veil, 0, 1.2)
    gain = 1 + rng.normal(0, 0.03) + rng.normal(0, 0.01, (4, 1, 1))
    hazy = shaded * gain * (1 - 0.06 * haze) + haze * spectrum(HAZE)
    billow = 1 + 0.07 * spectral_noise(sky.cloud.shape, rng, roughness=2.6, longest=40, shortest=3)
    seen = hazy + sky.cloud * (spectrum(CLOUD) * billow - hazy)
    blurred = ndimage.gaussian_filter(seen, (0, 0.45, 0.45))
    return np.asarray((blurred + NOISE * rng.standard_normal(blurred.shape)), dtype=np.float32)


def to_digital_numbers(reflectance: Reflectance) -> npt.NDArray[np.uint16]:
    """Reflectance times 10000, uint16; 0 means no data, so the darkest value is 1."""
    return np.clip(np.rint(reflectance * 10_000), 1, 65_535).astype(np.uint16)
