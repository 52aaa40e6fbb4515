"""Auxiliary data from the network: fetched into a folder, and read from there as any other files are.

Nothing here is used unless it is asked for.
"""

import importlib
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.error import URLError

import numpy as np
from rasterio.crs import CRS

from darts.core.errors import SceneError, one_line
from darts.core.files import make_directory, write_atomically
from darts.preprocess.auxiliary import version_for
from darts.preprocess.mosaics import bounds_in
from darts.preprocess.rasters import read_header
from darts.preprocess.resampling import Bounds
from darts.preprocess.scenes import Grid

T = TypeVar("T")

ARCTIC_DEM = "https://stac.pgc.umn.edu/api/v1/"
TREND_COLLECTIONS: Mapping[int, str] = {
    2019: "users/ingmarnitze/TCTrend_SR_2000-2019_TCVIS",
    2020: "users/ingmarnitze/TCTrend_SR_2001-2020_TCVIS",
    2022: "users/ingmarnitze/TCTrend_SR_2003-2022_TCVIS",
    2024: "projects/ee-ingmarnitze/assets/TCTrend_SR_2005-2024_TCVIS",
}
"""Last year of the trends -> image collection on Earth Engine."""
COLLECTION_BANDS = ("TCB_slope", "TCG_slope", "TCW_slope")
TREND_PIXEL = 0.00026949458523585647
"""Degrees; the lattice of the trends begins at 180 degrees west and 90 degrees north."""
CELL = 1024
"""Pixels along a side of the parts that trends are fetched in; a request must stay below 48 MB."""

_GEOGRAPHIC = CRS.from_epsg(4326)
_PUBLIC_BUCKETS = {"s3://pgc-opendata-dems/": "https://pgc-opendata-dems.s3.us-west-2.amazonaws.com/"}
_MARGIN = 0.02
"""Degrees around a grid, for what interpolation and terrain need of its surroundings."""
_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a request is made again."""
_TIMEOUT = 60.0
_PASSING = (408, 429)
"""Statuses below 500 that may be better the next time."""


class AuxiliarySource(Protocol):
    """Where auxiliary data can be had from."""

    def fetch(self, grids: Sequence[Grid], folder: Path) -> list[Path]:
        """Put what covers the grids into the folder, unless it is there; returns the new files.

        Raises
        ------
        SceneError
            When a package is missing, or the data can't be had.
        """


@dataclass(frozen=True, slots=True)
class ArcticDemStac:
    """ArcticDEM mosaics of the Polar Geospatial Center, found through its catalogue.

    Attributes
    ----------
    resolution
        2, 10 or 32 metres.
    url
        The STAC API.
    pause
        Waits for so many seconds.
    """

    resolution: int
    url: str = ARCTIC_DEM
    pause: Callable[[float], None] = time.sleep

    def fetch(self, grids: Sequence[Grid], folder: Path) -> list[Path]:
        """Fetch the tiles that touch the grids as `<id>_dem.tif`; see `AuxiliarySource`."""
        boxes = [box for grid in grids for box in _boxes(grid)]
        hrefs = _patiently(f"the catalogue {self.url}", lambda: self._search(boxes), self.pause)
        make_directory(folder, SceneError)
        wanted = {folder / f"{name}_dem.tif": href for name, href in sorted(hrefs.items())}
        new = [path for path in wanted if not path.exists()]
        for path in new:
            _download(wanted[path], path, self.pause)
        return new

    def _search(self, boxes: Sequence[Bounds]) -> dict[str, str]:
        """Name of a tile -> address of its elevation."""
        client, errors = _optional("pystac_client"), _optional("pystac_client.exceptions")
        reader = _optional("pystac_client.stac_api_io").StacApiIO(max_retries=None, timeout=_TIMEOUT)
        collection, found = f"arcticdem-mosaics-v4.1-{self.resolution}m", {}
        try:
            catalogue = client.Client.open(self.url, stac_io=reader)
            for box in boxes:
                for item in catalogue.search(collections=[collection], bbox=box, limit=100).items_as_dicts():
                    found[str(item["id"])] = str(item["assets"]["dem"]["href"])
        except errors.APIError as error:
            if getattr(error, "status_code", None) is None:  # there was no answer
                raise ConnectionError(str(error)) from None
            raise
        if odd := [name for name in found if not re.fullmatch(r"\w[\w.-]*", name)]:
            raise SceneError(f"the catalogue {self.url} must name tiles by letters and digits, but names {odd[0]!r}.")
        return found


@dataclass(frozen=True, slots=True)
class EarthEngineTrends:
    """Landsat trends (TCVIS), computed by Earth Engine.

    Attributes
    ----------
    project
        The cloud project that the requests are counted for; None is the one of the account.
    day
        When the scenes were acquired, which decides on the version; see `auxiliary.version_for`.
    """

    project: str | None = None
    day: date | None = None

    @property
    def year(self) -> int:
        """The last year of the trends."""
        return version_for(TREND_COLLECTIONS, self.day)

    def fetch(self, grids: Sequence[Grid], folder: Path) -> list[Path]:
        """Fetch the cells that touch the grids as `TCTrend<year>/<column>_<row>.tif`; see `AuxiliarySource`."""
        cells = sorted({cell for grid in grids for box in _boxes(grid) for cell in _cells(box)})
        folder = make_directory(folder / f"TCTrend{self.year}", SceneError)
        wanted = {folder / f"{column}_{row}.tif": (column, row) for column, row in cells}
        new = [path for path in wanted if not path.exists()]
        if new:
            self._compute({path: wanted[path] for path in new})
        return new

    def _compute(self, cells: Mapping[Path, tuple[int, int]]) -> None:
        ee = _optional("ee")
        try:
            ee.Initialize(project=self.project)
            images = ee.ImageCollection(TREND_COLLECTIONS[self.year])
            image = images.mosaic().select(list(COLLECTION_BANDS)).unmask(0, False).toUint8()
            for path, cell in cells.items():
                request = {"expression": image, "fileFormat": "GEO_TIFF", "grid": _cell_grid(*cell)}
                _keep(ee.data.computePixels(request), path)
        except SceneError:
            raise
        except Exception as error:  # noqa: BLE001 -- accounts, projects, quotas and the network fail in many ways
            raise SceneError(
                f"Landsat trends can't be fetched from Earth Engine ({one_line(error, 160)}); run `earthengine "
                "authenticate`, and give a project with --ee-project."
            ) from None


def _cell_grid(column: int, row: int) -> dict[str, Any]:
    """The pixel grid of a cell, as Earth Engine wants it."""
    return {
        "dimensions": {"width": CELL, "height": CELL},
        "affineTransform": {
            "scaleX": TREND_PIXEL,
            "shearX": 0,
            "translateX": -180 + column * CELL * TREND_PIXEL,
            "shearY": 0,
            "scaleY": -TREND_PIXEL,
            "translateY": 90 - row * CELL * TREND_PIXEL,
        },
        "crsCode": "EPSG:4326",
    }


def _cells(box: Bounds) -> Iterable[tuple[int, int]]:
    """Column and row of the cells that touch a box in degrees."""
    left, bottom, right, top = box
    size = CELL * TREND_PIXEL
    columns = range(int(np.floor((left + 180) / size)), int(np.ceil((right + 180) / size)))
    rows = range(int(np.floor((90 - top) / size)), int(np.ceil((90 - bottom) / size)))
    return ((column, row) for column in columns for row in rows)


def _boxes(grid: Grid) -> list[Bounds]:
    """The box around a grid in degrees, with a margin; two where it lies across the antimeridian."""
    bounds = bounds_in(_GEOGRAPHIC, grid)
    if bounds is None:
        raise SceneError(f"a grid in {grid.crs} must have a place on earth, but has none; check its transform.")
    left, right = bounds[0] - _MARGIN, bounds[2] + _MARGIN
    bottom, top = max(bounds[1] - _MARGIN, -90.0), min(bounds[3] + _MARGIN, 90.0)
    shifted = [(left + turn, right + turn) for turn in (-360, 0, 360)]
    return [(max(a, -180.0), bottom, min(b, 180.0), top) for a, b in shifted if a < 180 and b > -180]


def _download(href: str, path: Path, pause: Callable[[float], None]) -> None:
    """Download a raster, whole or not at all."""
    for prefix, address in _PUBLIC_BUCKETS.items():
        href = href.replace(prefix, address, 1) if href.startswith(prefix) else href
    if not href.startswith(("https://", "http://")):
        raise SceneError(f"{path.name} must be at an address that begins with https://, but is at {href[:160]!r}.")

    def attempt() -> None:
        write_atomically(path, lambda temporary: _stream(href, temporary))

    _patiently(href, attempt, pause)


def _stream(href: str, path: Path) -> None:
    with urllib.request.urlopen(href, timeout=_TIMEOUT) as answer, path.open("wb") as file:  # noqa: S310 -- it is http
        shutil.copyfileobj(answer, file)
        promised, got = int(answer.headers.get("Content-Length", file.tell())), file.tell()
    if got != promised:
        raise IncompleteRead(b"", promised - got)
    _check(path, href)


def _keep(content: bytes, path: Path) -> None:
    """Write a raster, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        _check(temporary, "Earth Engine")

    write_atomically(path, write)


def _check(path: Path, origin: str) -> None:
    """Refuse what is no raster, such as a page that says why there is none."""
    try:
        read_header(path)
    except SceneError:
        raise SceneError(f"{origin} must give a GeoTIFF, but gave something else; try again later.") from None


def _patiently(what: str, attempt: Callable[[], T], pause: Callable[[float], None]) -> T:
    """Try a few times, with pauses between, as long as it fails for reasons that may pass."""
    for seconds in (*_PAUSES, None):
        try:
            return attempt()
        except SceneError:
            raise
        except Exception as error:  # noqa: BLE001 -- pystac_client and the network fail in many ways
            if seconds is None or not _may_pass(error):
                raise SceneError(
                    f"{what} can't be fetched ({one_line(error, 160)}); try again later, or put the files there by hand."
                ) from None
        pause(seconds)
    raise AssertionError


def _may_pass(error: Exception) -> bool:
    """Whether a failure is a busy or restarted server, or a lost connection."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if status is not None:
        return status in _PASSING or status >= 500
    return isinstance(error, (URLError, TimeoutError, ConnectionError, HTTPException))


def _optional(name: str) -> Any:
    """A package that not everybody needs."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SceneError(f"downloads need a package that is missing, {name}: pip install 'darts[download]'.") from None
