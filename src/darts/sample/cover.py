"""What covers the land, and the light that it reflects."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from darts.sample.layout import Sun
from darts.sample.noise import Field, smoothstep
from darts.sample.world import Terrain

BANDS = ("blue", "green", "red", "nir")
Reflectance = npt.NDArray[np.float32]
"""Surface reflectance, float32 (4, height, width) in the order of BANDS."""

# Typical summer surface reflectances of blue, green, red, near infrared.
TUSSOCK = (0.036, 0.062, 0.062, 0.235)
SHRUB = (0.024, 0.052, 0.036, 0.315)
SEDGE = (0.028, 0.055, 0.048, 0.190)
HEATH = (0.050, 0.078, 0.088, 0.225)
WATER = (0.036, 0.038, 0.026, 0.014)
SILTY_WATER = (0.066, 0.084, 0.074, 0.036)
MUD = (0.060, 0.080, 0.094, 0.130)
SAND = (0.125, 0.170, 0.210, 0.270)


def spectrum(values: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """A reflectance for each band, float32 (4, 1, 1), ready to spread over a grid."""
    return np.asarray(values, dtype=np.float32)[:, None, None]


def soil_reflectance(dryness: Field) -> Reflectance:
    """Bare ground from wet mud (dryness 0) to dry sand (1), float32 (4, height, width)."""
    return spectrum(MUD) + (spectrum(SAND) - spectrum(MUD)) * np.clip(dryness, -0.35, 1.5)


def vegetation_reflectance(terrain: Terrain) -> Reflectance:
    """A smooth mixture of four plant communities by moisture, slope and vigour."""
    wet, vigour, steep = terrain.moisture, terrain.vigour, (terrain.slope - 4) / 3
    scores = np.stack([0.6 + 0 * wet, 1.1 * vigour + 0.5 * steep + 0.3 * wet, 1.3 * wet - steep - 0.4, -1.3 * wet])
    weights = np.exp(1.6 * (scores - scores.max(axis=0)))
    weights /= weights.sum(axis=0)
    table = np.asarray([TUSSOCK, SHRUB, SEDGE, HEATH], dtype=np.float32)
    mixed = np.einsum("khw,kb->bhw", weights, table)
    texture = 1 + 0.06 * terrain.grain + 0.05 * terrain.vigour
    return np.asarray((mixed * texture), dtype=np.float32)


def bare_shares(terrain: Terrain) -> dict[str, Field]:
    """Share of each kind of ground without plants that is not a slump, 0 to 1, float32 (height, width)."""
    bank = smoothstep(terrain.river, 85, 60) * smoothstep(terrain.bars, -0.1, 0.25)
    return {
        "ridges": smoothstep(terrain.ridges, -0.15, 0.35),
        "blowouts": smoothstep(terrain.blowouts, -0.08, 0.12),
        "drybeds": smoothstep(terrain.drybeds, -0.03, 0.07),
        "sandbars": bank,
        "roads": smoothstep(terrain.roads, 9, 1),
    }


def water_share(terrain: Terrain) -> Field:
    """Share of water, 0 to 1, float32 (height, width)."""
    width = 32 + 8 * terrain.bars
    return np.maximum(smoothstep(terrain.river, width + 8, width - 8), smoothstep(terrain.lakes, -0.03, 0.05))


def land_reflectance(terrain: Terrain) -> Reflectance:
    """Surface reflectance of all but the slumps, evenly lit."""
    land = vegetation_reflectance(terrain)
    dryness = {
        "ridges": 0.45 + 0.2 * terrain.soil,
        "blowouts": 0.40 + 0.32 * terrain.soil,
        "drybeds": 0.75 - 0.9 * np.clip(terrain.drybeds, 0, 1) + 0.15 * terrain.soil,
        "sandbars": 0.65 + 0.25 * terrain.soil,
        "roads": 0.60 + 0.05 * terrain.grain,
    }
    for name, share in bare_shares(terrain).items():
        land += share * (soil_reflectance(dryness[name] + 0.04 * terrain.grain) - land)
    silt = smoothstep(terrain.river, 120, 40)
    water = spectrum(WATER) + (spectrum(SILTY_WATER) - spectrum(WATER)) * silt
    return np.asarray((land + water_share(terrain) * (water - land)), dtype=np.float32)


def illumination(elevation: Field, resolution: float, sun: Sun) -> Field:
    """How much more or less light the ground gets than level ground, around 1, float32 (height, width)."""
    south, east = np.gradient(ndimage.gaussian_filter(elevation, 1.0), resolution)
    height, azimuth = np.radians(sun.elevation), np.radians(sun.azimuth)
    towards_sun = -east * np.sin(azimuth) + south * np.cos(azimuth)
    direct = (np.sin(height) + np.cos(height) * towards_sun) / np.sqrt(1 + east**2 + south**2) / np.sin(height)
    return np.asarray((0.3 + 0.7 * np.clip(direct, 0.2, 2)), dtype=np.float32)
