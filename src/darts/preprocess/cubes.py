"""Rasters as data cubes: zarr and icechunk stores and netCDF files, read through xarray.

A cube may be far larger than memory, so that only metadata, the coordinates of its axes, and the window that is asked
for are ever read.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from darts.core.errors import SceneError, one_line
from darts.preprocess.headers import BandSource, RasterHeader
from darts.preprocess.scenes import Grid

if TYPE_CHECKING:
    from xarray import DataArray, Dataset

CUBE_SUFFIXES = (".zarr", ".icechunk", ".nc")
MAX_COORDINATES = 50_000_000
"""More pixels than any cube has in a row: an axis that claims more is not believed."""

_DEGREES_X, _DEGREES_Y = ("lon", "longitude"), ("lat", "latitude")
_AXIS_X = ("x", "easting", "eastings", "projection_x_coordinate", *_DEGREES_X)
_AXIS_Y = ("y", "northing", "northings", "projection_y_coordinate", *_DEGREES_Y)
_METADATA = ("zarr.json", ".zmetadata", ".zattrs", ".zgroup", ".zarray")
_REFERENCES = ("refs/branch.main/ref.json", "repo")
"""What a commit to an icechunk repository replaces, in either version of its format."""
_FILLED_STEPWISE = {"loaded_patches", "loaded_tiles"}
"""Attributes of smart-geocubes, which creates a cube empty and then fills the parts that are asked for."""
_NETCDF_ENGINES = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}
_NUMBERS = "biuf"


@dataclass(frozen=True, slots=True)
class _Band:
    """A band of a cube: a variable, or one layer of it along a third dimension."""

    variable: str
    layer: dict[str, int]
    description: str


def is_cube(path: Path) -> bool:
    """Whether a path is named as a data cube."""
    return path.suffix.lower() in CUBE_SUFFIXES


def read_cube_header(path: Path) -> RasterHeader:
    """Read what a cube says of itself.

    Its bands are the numeric variables along its two spatial dimensions, described by their names: in the order of a
    file, sorted in a store. A variable with a third dimension gives a band for each layer.

    Raises
    ------
    SceneError
        When it is damaged, holds no band, or its pixels aren't regular or have no coordinate reference system.
    """
    with _opened(path) as dataset:
        axes, bands = _bands(dataset, path)
        variables = [dataset[band.variable] for band in bands]
        return RasterHeader(
            path=path,
            grid=_grid(dataset, path, axes, bands[0].variable),
            descriptions=tuple(band.description for band in bands),
            nodata=tuple(_nodata(variable, dataset.attrs) for variable in variables),
            scales=tuple(_number(variable.attrs.get("scale_factor"), 1.0) for variable in variables),
            offsets=tuple(_number(variable.attrs.get("add_offset"), 0.0) for variable in variables),
            tags={str(name): str(value) for name, value in dataset.attrs.items()},
        )


def read_cube_values(source: BandSource, window: Window | None) -> np.ndarray:
    """The stored numbers of a band, of all of it or of a window inside it: (height, width); booleans as uint8.

    Raises
    ------
    SceneError
        When the cube is damaged.
    """
    path = source.header.path
    with _opened(path, without=(*_AXIS_X, *_AXIS_Y)) as dataset:
        (y, x), bands = _bands(dataset, path)
        band = bands[source.index - 1]
        rows, columns = _slices(source, window)
        return _plain(dataset[band.variable].isel({**band.layer, y: rows, x: columns}).transpose(y, x))


def cube_inputs(path: Path) -> tuple[Path, ...]:
    """The files that describe a cube, sorted; those of an icechunk repository or a netCDF file change with its content.

    The numbers of a zarr store are in further files, see `chunk_files`.
    """
    if path.is_file():
        return (path,)
    if path.suffix.lower() == ".icechunk":
        return tuple(path / name for name in _REFERENCES if (path / name).is_file())
    folders = [path, *(folder for folder in sorted(path.iterdir()) if folder.is_dir())]
    return tuple(sorted(folder / name for folder in folders for name in _METADATA if (folder / name).is_file()))


def chunk_files(sources: Sequence[BandSource], window: Window) -> tuple[Path, ...]:
    """The files that hold the numbers of bands of one zarr store in a window, sorted; other cubes have none.

    A chunk that was never written has no file.

    Raises
    ------
    SceneError
        When the store is damaged.
    """
    path = sources[0].header.path
    if path.suffix.lower() != ".zarr":
        return ()
    import zarr

    found: set[Path] = set()
    with _opened(path, without=(*_AXIS_X, *_AXIS_Y)) as dataset:
        (y, x), bands = _bands(dataset, path)
        for source in sources:
            band = bands[source.index - 1]
            rows, columns = _slices(source, window)
            wanted = {y: rows, x: columns, **{dim: slice(layer, layer + 1) for dim, layer in band.layer.items()}}
            array = zarr.open_array(path / band.variable, mode="r")
            dims = [str(dim) for dim in dataset[band.variable].dims]
            ranges = [
                range(wanted[dim].start // size, (wanted[dim].stop - 1) // size + 1)
                for dim, size in zip(dims, array.shards or array.chunks, strict=True)
            ]
            found.update(path / band.variable / array.metadata.encode_chunk_key(place) for place in product(*ranges))
    return tuple(sorted(file for file in found if file.is_file()))


@contextmanager
def _opened(path: Path, without: tuple[str, ...] = ()) -> Iterator["Dataset"]:
    """A cube without the given variables; whatever goes wrong with it becomes one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _dataset(path, without) as dataset:
                scalars = [name for name, variable in dataset.data_vars.items() if variable.ndim == 0]
                yield dataset.set_coords(scalars)
    except (SceneError, MemoryError):
        raise
    except ImportError as error:
        raise SceneError(f"{path} can't be read without a package that is missing ({one_line(error)}).") from None
    except Exception as error:  # noqa: BLE001 -- xarray and what it reads with raise errors of many kinds
        raise SceneError(
            f"{path} must be a whole zarr or icechunk store or netCDF file, but can't be read "
            f"({one_line(error, 160) or type(error).__name__}); get it again."
        ) from None


def _dataset(path: Path, without: tuple[str, ...]) -> "Dataset":
    """A cube with its numbers as they are stored, none of which are read yet."""
    import xarray as xr

    options: dict[str, Any] = {
        "mask_and_scale": False,
        "decode_times": False,
        "decode_coords": "all",
        "drop_variables": without,
        "chunks": None,
    }
    if path.suffix.lower() == ".nc":
        return xr.open_dataset(path, engine=_netcdf_engine(path), **options)
    if not path.is_dir():
        raise SceneError(f"{path} must be the folder of a store, but there is none; check the path.")
    if path.suffix.lower() == ".icechunk":
        return xr.open_zarr(_icechunk_store(path), consolidated=False, **options)
    return xr.open_zarr(path, **options)


def _netcdf_engine(path: Path) -> Any:
    """The engine of xarray that the first bytes of a netCDF file call for: netCDF 4 is HDF 5, older ones aren't."""
    try:
        with path.open("rb") as file:
            signature = file.read(4)
    except OSError as error:
        raise SceneError(f"{path} can't be read ({error.strerror}); check the file.") from None
    if signature not in _NETCDF_ENGINES:
        raise SceneError(f"{path} must be a netCDF file, but its content is something else; get the file again.")
    return _NETCDF_ENGINES[signature]


def _icechunk_store(path: Path) -> Any:
    """What was last committed to an icechunk repository."""
    try:
        import icechunk
    except ImportError:
        raise SceneError(f"{path} needs a package to be read: pip install 'darts[icechunk]'.") from None
    # It would warn that local storage isn't safe for commits at the same time; nothing is committed here.
    icechunk.set_logs_filter("error")
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path.absolute())))
    return repository.readonly_session("main").store


def _bands(dataset: "Dataset", path: Path) -> tuple[tuple[str, str], list[_Band]]:
    """The spatial dimensions (y, x), and the bands along them."""
    found: dict[tuple[str, str], list[_Band]] = {}
    # A store lists its variables in an order that changes from one opening to the next.
    for name in dataset.data_vars if path.is_file() else sorted(dataset.data_vars, key=str):
        variable = dataset[name]
        y = [str(dim) for dim in variable.dims if str(dim).lower() in _AXIS_Y]
        x = [str(dim) for dim in variable.dims if str(dim).lower() in _AXIS_X]
        if len(y) == len(x) == 1 and variable.ndim in {2, 3} and variable.dtype.kind in _NUMBERS:
            found.setdefault((y[0], x[0]), []).extend(_layers(str(name), variable, {y[0], x[0]}))
    if not found:
        raise SceneError(
            f"{path} must hold a variable along x and y (or longitude and latitude), but holds "
            f"{', '.join(sorted(map(str, dataset.data_vars))) or 'nothing'}; write its bands as such variables."
        )
    axes = next(iter(found))
    return axes, found[axes]


def _layers(name: str, variable: "DataArray", spatial: set[str]) -> list[_Band]:
    """The bands of a variable."""
    others = [str(dim) for dim in variable.dims if dim not in spatial]
    if not others:
        return [_Band(name, {}, name)]
    other = others[0]
    count = variable.sizes[other]
    texts = _texts(variable, other) or ([name] if count == 1 else [""] * count)
    return [_Band(name, {other: layer}, text) for layer, text in enumerate(texts)]


def _texts(variable: "DataArray", dim: str) -> list[str]:
    """Names of the layers, from their coordinate or from `long_name`, as rioxarray writes it; [] when there are none."""
    coordinate = variable.coords.get(dim)
    if coordinate is not None and coordinate.dtype.kind in "OSUT":
        texts = list(coordinate.to_numpy())
    else:
        texts = list(np.atleast_1d(variable.attrs.get("long_name", [])))
    texts = [text.decode() if isinstance(text, bytes) else str(text) for text in texts]
    return texts if len(texts) == variable.sizes[dim] else []


def _grid(dataset: "Dataset", path: Path, axes: tuple[str, str], variable: str) -> Grid:
    top, height = _axis(dataset, path, axes[0])
    left, width = _axis(dataset, path, axes[1])
    crs = _crs(dataset, path, axes, variable)
    return Grid(crs, Affine(width, 0, left, 0, height, top), dataset.sizes[axes[0]], dataset.sizes[axes[1]])


def _axis(dataset: "Dataset", path: Path, dim: str) -> tuple[float, float]:
    """Where the first pixel of an axis begins, and the step from one to the next, which is negative downwards."""
    count = dataset.sizes[dim]
    if not 2 <= count <= MAX_COORDINATES or dim not in dataset.coords:
        given = f"{count} pixels" + ("" if dim in dataset.coords else " without coordinates")
        raise SceneError(f"{path}: {dim} must have from 2 to {MAX_COORDINATES} coordinates, but has {given}; check it.")
    coordinate = dataset.coords[dim]
    stored = coordinate.to_numpy()
    scale, offset = (_number(coordinate.attrs.get(name), n) for name, n in (("scale_factor", 1.0), ("add_offset", 0.0)))
    values = stored * scale + offset
    first, last = float(values[0]), float(values[-1])
    step = (last - first) / (count - 1)
    # What is stored as float32 can't be more regular than float32 is fine.
    rounding = float(np.spacing(np.abs(stored).max())) * abs(scale) if stored.dtype.kind == "f" else 0.0
    allowed = 1e-3 * abs(step) + min(rounding, 0.1 * abs(step))
    deviation = np.abs(np.linspace(first, last, count) - values).max()
    if step == 0 or not deviation <= allowed:
        raise SceneError(f"{path}: {dim} must be regular, but its steps differ; bring the cube to a regular grid.")
    return first - step / 2, step


def _crs(dataset: "Dataset", path: Path, axes: tuple[str, str], variable: str) -> CRS:
    import rioxarray  # noqa: F401 -- adds .rio to what xarray reads

    crs = dataset[variable].rio.crs or dataset.rio.crs
    if crs is not None:
        return crs
    if axes[0].lower() in _DEGREES_Y and axes[1].lower() in _DEGREES_X:
        return CRS.from_epsg(4326)
    raise SceneError(
        f"{path} has no coordinate reference system; write one, for example with rio.write_crs of rioxarray."
    )


def _nodata(variable: "DataArray", attributes: Mapping[Any, Any]) -> float | None:
    """The declared value of pixels without a value.

    Where a cube is filled step by step, a part that isn't filled yet holds the fill value of zarr: a height of 0, say.
    """
    declared = variable.attrs.get("_FillValue", variable.attrs.get("missing_value"))
    if np.isnan(_number(declared, np.nan)) and variable.dtype.kind == "f" and attributes.keys() & _FILLED_STEPWISE:
        declared = variable.encoding.get("fill_value", declared)
    if declared is None:
        return None
    value = _number(declared, np.nan)
    return value + 256.0**variable.dtype.itemsize if value < 0 and _is_unsigned(variable) else value


def _number(value: Any, otherwise: float) -> float:
    """An attribute that may be written as a number or as an array of one."""
    return otherwise if value is None else float(np.asarray(value).reshape(-1)[0])


def _is_unsigned(variable: "DataArray") -> bool:
    """Whether a variable holds unsigned numbers in a signed type, as netCDF 3 does, which has no other."""
    return variable.dtype.kind == "i" and str(variable.attrs.get("_Unsigned", "")).lower() == "true"


def _plain(variable: "DataArray") -> np.ndarray:
    """The numbers of a variable in the byte order of this machine; booleans and unsigned ones as unsigned types."""
    values = variable.to_numpy()
    values = values.astype(np.uint8 if values.dtype.kind == "b" else values.dtype.newbyteorder("="), copy=False)
    return values.view(f"u{values.dtype.itemsize}") if _is_unsigned(variable) else values


def _slices(source: BandSource, window: Window | None) -> tuple[slice, slice]:
    """Rows and columns of a window."""
    if window is None:
        return slice(0, source.header.grid.height), slice(0, source.header.grid.width)
    row, column = int(window.row_off), int(window.col_off)
    return slice(row, row + int(window.height)), slice(column, column + int(window.width))
