"""The README that lies beside the simulated data."""

from dataclasses import asdict, dataclass

_TEXT = """# Simulated scenes with known truth

Nothing here was measured: a computer drew it (seed {seed}). It is there to try `darts` without any data of
your own, and to test it. A model trained on it knows nothing about the real Arctic.

## What is simulated

One piece of tundra, seen by several sensors. Relief, rivers and lakes come from smooth random fields; plants
follow moisture, slope and height. On the slopes lie {slumps} thaw slumps: horseshoes and drops, {shortest:.0f} to
{longest:.0f} m long, open downhill, with a pale headwall, a dark strip below it, stripes of mud and islands of
plants that grow back. Their polygons were made first and painted into the pixels, so the labels are exact.

Much else is bare, too, and has the same colours: crests, patches blown free by the wind, sand bars, drained lake
beds, roads and gravel pads. No threshold of a band or of NDVI tells slumps from them; shape and texture do.

Each scene has a date, a sun, some haze, a sensor's noise, and clouds with shadows. As in real products, the cloud
masks are not quite right at the edges.

## What lies where

`sentinel2/<site>/`: {scenes} scenes of {size} x {size} pixels of {s2:.0f} m.
: `*_SR_clip.tif` holds blue, green, red and near infrared (reflectance x 10000, 0 is no data), `*_SCL_clip.tif` the
  scene classification at 20 m, `*.shp` the slumps.

`planet/PSScene/<id>/`: {planet_scenes} scenes of {size} x {size} pixels of {planet:.0f} m.
: `*_3B_AnalyticMS_SR.tif` holds the same four bands, `*_3B_udm2.tif` the usable data mask, `*_metadata.json` the sun
  and the date.

`labels/iteration001/`
: `TrainingLabel_*.gpkg` and `ImageFootprints_*.gpkg` of the PlanetScope scenes.

`arcticdem/dem.tif`
: elevation in metres, EPSG:3413, 10 m, -9999 is no data.

`tcvis/tcvis.tif`
: trends of brightness, greenness and wetness, 0 to 255, EPSG:4326.

`admin/regions.gpkg`
: regions, named in `shapeName`.

`sample.toml`
: the settings, and the size of every file.
"""


@dataclass(frozen=True)
class Facts:
    """What the text tells."""

    seed: int
    scenes: int
    size: int
    """Height and width of a scene, pixels."""
    slumps: int
    shortest: float
    """Length of the shortest slump, metres."""
    longest: float
    planet_scenes: int
    s2: float
    """Pixel size of Sentinel-2, metres."""
    planet: float
    """Pixel size of PlanetScope, metres."""


def readme(facts: Facts) -> str:
    """The text, filled in."""
    return _TEXT.format_map(asdict(facts))
