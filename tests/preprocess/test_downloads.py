"""Downloads, against answers as the services give them: a STAC API on this machine, and an Earth Engine in memory."""

import json
import sys
import threading
from collections import Counter
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio import Affine
from rasterio.io import MemoryFile

from darts.core.errors import SceneError
from darts.preprocess.auxiliary import find_elevation, find_trends
from darts.preprocess.downloads import CELL, TREND_PIXEL, ArcticDemStac, EarthEngineTrends
from darts.preprocess.scenes import Grid

pytestmark = pytest.mark.usefixtures("no_noise")

UTM_3 = rasterio.CRS.from_epsg(32603)
SHIFT = 1_000.0
GRID = Grid(UTM_3, Affine(10, 0, 500_000, 0, -10, 7_600_000), 50, 60)
EAST = Grid(UTM_3, Affine(10, 0, 500_000 + SHIFT, 0, -10, 7_600_000), 50, 60)


def geotiff(bounds, crs, pixel, values, count=1):
    """A tiny GeoTIFF around a box, as bytes."""
    left, bottom, right, top = bounds
    shape = int((top - bottom) / pixel) + 1, int((right - left) / pixel) + 1
    profile = {
        "driver": "GTiff",
        "height": shape[0],
        "width": shape[1],
        "count": count,
        "dtype": np.asarray(values).dtype,
    }
    with MemoryFile() as memory:
        with memory.open(crs=crs, transform=Affine(pixel, 0, left, 0, -pixel, top), **profile) as raster:
            raster.write(np.broadcast_to(values, (count, *shape)))
        return memory.read()


def around(grid, crs, margin):
    left, bottom, right, top = rasterio.warp.transform_bounds(grid.crs, crs, *grid.bounds)
    return left - margin, bottom - margin, right + margin, top + margin


class Catalogue(BaseHTTPRequestHandler):
    """The parts of the STAC API of the Polar Geospatial Center that a search uses."""

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        state = self.server.state
        state.requests.append((self.command, self.path, body))
        if state.failures[self.path]:
            state.failures[self.path] -= 1
            self.reply(state.status, b"busy")
        elif self.path == "/":
            self.reply(200, json.dumps(landing(state.url)).encode())
        elif self.path == "/search":
            self.reply(200, json.dumps(search(state, json.loads(body))).encode())
        elif self.path in state.files:
            self.reply(200, state.files[self.path], length=state.lengths.get(self.path))
        else:
            self.reply(404, b"not found")

    def reply(self, status, content, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def landing(url):
    kinds = {"self": "GET", "root": "GET", "search": "POST"}
    return {
        "type": "Catalog",
        "id": "pgc-data-stac",
        "title": "PGC Data Catalog",
        "description": "Polar Geospatial Center",
        "stac_version": "1.0.0",
        "conformsTo": [
            f"https://api.stacspec.org/v1.0.0/{part}"
            for part in ("core", "collections", "ogcapi-features", "item-search")
        ],
        "links": [
            {
                "rel": rel,
                "href": url + ("search" if rel == "search" else ""),
                "method": method,
                "type": "application/json",
            }
            for rel, method in kinds.items()
        ],
    }


def item(url, name, collection, bbox, href=None):
    """A mosaic tile as it is published."""
    left, bottom, right, top = bbox
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    kinds = ("dem", "count", "mad", "datamask")
    assets = {
        kind: {
            "href": href or f"{url}files/{name}_{kind}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            "alternate": {"s3": {"href": f"s3://pgc-opendata-dems/arcticdem/{name}_{kind}.tif"}},
        }
        for kind in kinds
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "bbox": list(bbox),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": "2012-06-03T00:00:00Z", "gsd": 10, "license": "CC-BY-4.0"},
        "links": [{"rel": "self", "href": f"{url}collections/{collection}/items/{name}"}],
        "assets": assets,
    }


def search(state, wanted):
    """Items that meet a box, one a page."""
    left, bottom, right, top = wanted["bbox"]
    found = [
        one
        for one in state.items
        if one["collection"] in wanted["collections"]
        and one["bbox"][0] <= right
        and one["bbox"][2] >= left
        and one["bbox"][1] <= top
        and one["bbox"][3] >= bottom
    ]
    page = int(wanted.get("token", 0))
    more = {"rel": "next", "method": "POST", "href": f"{state.url}search", "body": {**wanted, "token": page + 1}}
    return {
        "type": "FeatureCollection",
        "features": found[page : page + 1],
        "links": [more] if page + 1 < len(found) else [],
    }


@pytest.fixture
def server():
    """A catalogue of two tiles of 10 m beside each other, and one of 32 m; `state` is what it knows and what it saw."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Catalogue)
    state = SimpleNamespace(
        url=f"http://127.0.0.1:{listening.server_port}/",
        items=[],
        files={},
        lengths={},
        failures=Counter(),
        status=503,
        requests=[],
    )
    for name, grid, height in (("57_19_2_1_10m_v4.1", EAST, 200), ("57_18_10m_v4.1", GRID, 100)):
        state.items.append(item(state.url, name, "arcticdem-mosaics-v4.1-10m", around(grid, "EPSG:4326", 0)))
        state.files[f"/files/{name}_dem.tif"] = geotiff(
            around(grid, "EPSG:3413", 50), "EPSG:3413", 10, np.float32(height)
        )
    state.items.append(item(state.url, "57_18_32m_v4.1", "arcticdem-mosaics-v4.1-32m", around(GRID, "EPSG:4326", 0)))
    listening.state = state
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(server, pauses):
    return ArcticDemStac(10, url=server.url, pause=pauses.append)


def names(paths):
    return [path.name for path in paths]


TILE, TILE_EAST = "57_18_10m_v4.1_dem.tif", "57_19_2_1_10m_v4.1_dem.tif"


def test_the_tiles_of_a_grid_are_fetched_and_can_be_read(source, server, tmp_path):
    folder = tmp_path / "new" / "dem"
    assert source.fetch([GRID], folder) == [folder / TILE, folder / TILE_EAST], "they are closer than the margin"
    assert sorted(names(folder.iterdir())) == [TILE, TILE_EAST]
    assert (folder / TILE).read_bytes() == server.files[f"/files/{TILE}"]
    assert (find_elevation(folder).read("dem", GRID) == 100).all()
    asked = [json.loads(body) for _, path, body in server.requests if path == "/search"]
    assert len(asked) == 2
    assert asked[0]["collections"] == ["arcticdem-mosaics-v4.1-10m"]
    longitude, latitude = Transformer.from_crs(32603, 4326, always_xy=True).transform(500_000, 7_600_000)
    np.testing.assert_allclose(
        asked[0]["bbox"], (longitude - 0.02, latitude - 0.0245, longitude + 0.035, latitude + 0.02), atol=1e-3
    )


def test_what_is_there_is_kept(source, server, tmp_path):
    (tmp_path / TILE).write_bytes(b"mine")
    assert source.fetch([GRID, GRID, EAST], tmp_path) == [tmp_path / TILE_EAST]
    assert (tmp_path / TILE).read_bytes() == b"mine"
    assert source.fetch([GRID], tmp_path) == []
    assert Counter(path for _, path, _ in server.requests)[f"/files/{TILE_EAST}"] == 1


def test_a_grid_without_tiles_fetches_nothing(source, tmp_path):
    far = Grid(UTM_3, Affine(10, 0, 500_000, 0, -10, 6_600_000), 50, 60)
    assert source.fetch([far], tmp_path) == []
    assert ArcticDemStac(2, url=source.url, pause=source.pause).fetch([GRID], tmp_path) == []


def test_a_grid_across_the_antimeridian_is_two_boxes(source, server, tmp_path):
    x, y = Transformer.from_crs(4326, 32601, always_xy=True).transform(180, 71)
    crossing = Grid(rasterio.CRS.from_epsg(32601), Affine(10, 0, x - 500, 0, -10, y), 100, 100)
    assert source.fetch([crossing], tmp_path) == []
    boxes = [json.loads(body)["bbox"] for _, path, body in server.requests if path == "/search"]
    assert sorted((round(left, 2), round(right, 2)) for left, _, right, _ in boxes) == [
        (-180.0, -179.96),
        (179.97, 180.0),
    ]


@pytest.mark.parametrize("path", ["/", "/search", f"/files/{TILE}"])
@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_server_is_asked_again(source, server, pauses, tmp_path, path, status):
    server.failures[path], server.status = 2, status
    assert names(source.fetch([GRID], tmp_path)) == [TILE, TILE_EAST]
    assert pauses == [1, 2]


@pytest.mark.parametrize("path", ["/search", f"/files/{TILE}"])
def test_a_server_that_stays_busy_ends_in_one_line(source, server, pauses, tmp_path, path):
    server.failures[path] = 100
    with pytest.raises(SceneError, match=r"can't be fetched .*; try again later") as caught:
        source.fetch([GRID], tmp_path)
    assert pauses == [1, 2, 4, 8]
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_will_not_get_better_is_not_tried_again(source, server, pauses, tmp_path):
    server.files.clear()
    with pytest.raises(SceneError, match=f"{TILE} can't be fetched .*404"):
        source.fetch([GRID], tmp_path)
    assert pauses == []
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(pauses, tmp_path):
    with pytest.raises(SceneError, match=r"the catalogue http://127\.0\.0\.1:9/ can't be fetched"):
        ArcticDemStac(10, url="http://127.0.0.1:9/", pause=pauses.append).fetch([GRID], tmp_path)
    assert pauses == [1, 2, 4, 8]


def test_a_download_that_breaks_off_leaves_no_file(source, server, pauses, tmp_path):
    server.lengths[f"/files/{TILE}"] = len(server.files[f"/files/{TILE}"]) + 1000
    with pytest.raises(SceneError, match="can't be fetched"):
        source.fetch([GRID], tmp_path)
    assert len(pauses) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_page_in_place_of_a_raster_leaves_no_file(source, server, pauses, tmp_path):
    server.files[f"/files/{TILE}"] = b"<html>Please log in</html>"
    with pytest.raises(SceneError, match=f"{TILE} must give a GeoTIFF, but gave something else"):
        source.fetch([GRID], tmp_path)
    assert pauses == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("href", ["file:///etc/passwd", "ftp://example.org/a.tif", "s3://other/a.tif", "/etc/passwd"])
def test_only_the_web_is_fetched_from(source, server, tmp_path, href):
    server.items[1] = item(
        server.url, "57_18_10m_v4.1", "arcticdem-mosaics-v4.1-10m", around(GRID, "EPSG:4326", 0), href
    )
    with pytest.raises(SceneError, match="must be at an address that begins with https://"):
        source.fetch([GRID], tmp_path)


def test_the_public_bucket_is_asked_over_the_web(source, server, tmp_path, monkeypatch):
    href = "s3://pgc-opendata-dems/arcticdem/mosaics/v4.1/10m/57_18/57_18_10m_v4.1_dem.tif"
    server.items[:] = [
        item(server.url, "57_18_10m_v4.1", "arcticdem-mosaics-v4.1-10m", around(GRID, "EPSG:4326", 0), href)
    ]
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda address, timeout: asked.append(address) or refuse())
    with pytest.raises(SceneError):
        source.fetch([GRID], tmp_path)
    assert asked[0] == href.replace("s3://pgc-opendata-dems", "https://pgc-opendata-dems.s3.us-west-2.amazonaws.com")


def refuse():
    raise TimeoutError("timed out")


@pytest.mark.parametrize("name", ["../../evil", "a/b", ".hidden", ""])
def test_names_of_tiles_stay_in_the_folder(source, server, tmp_path, name):
    server.items[1] = item(server.url, name, "arcticdem-mosaics-v4.1-10m", around(GRID, "EPSG:4326", 0))
    with pytest.raises(SceneError, match="must name tiles by letters and digits"):
        source.fetch([GRID], tmp_path / "folder")


@pytest.mark.parametrize(("package", "make"), [("pystac_client", lambda: ArcticDemStac(10)), ("ee", EarthEngineTrends)])
def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch, package, make):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SceneError, match=rf"{package}: pip install 'darts\[download\]'\.$"):
        make().fetch([GRID], tmp_path)


class FakeImage:
    """Remembers how it was made."""

    def __init__(self, *steps):
        self.steps = steps

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments: FakeImage(*self.steps, (name, *arguments))


@pytest.fixture
def engine(monkeypatch):
    """Earth Engine, without the network: its trends say which cell they are of."""
    calls = SimpleNamespace(projects=[], requests=[], answer=None)

    def compute(request):
        calls.requests.append(request)
        if isinstance(calls.answer, Exception):
            raise calls.answer
        return calls.answer or cell_image(request["grid"])

    fake = ModuleType("ee")
    fake.Initialize = lambda project=None: calls.projects.append(project)
    fake.ImageCollection = lambda name: FakeImage(("collection", name))
    fake.data = SimpleNamespace(computePixels=compute)
    monkeypatch.setitem(sys.modules, "ee", fake)
    return calls


def cell_image(grid):
    """What Earth Engine answers: a GeoTIFF of three bands without names."""
    place, size = grid["affineTransform"], grid["dimensions"]
    transform = Affine(
        place["scaleX"], place["shearX"], place["translateX"], place["shearY"], place["scaleY"], place["translateY"]
    )
    values = np.full((3, size["height"], size["width"]), 128, np.uint8)
    profile = {"driver": "GTiff", "crs": grid["crsCode"], "transform": transform, "compress": "deflate", **size}
    with MemoryFile() as memory:
        with memory.open(count=3, dtype="uint8", **profile) as raster:
            raster.write(values)
        return memory.read()


def cell_of(longitude, latitude):
    size = CELL * TREND_PIXEL
    return int((longitude + 180) // size), int((90 - latitude) // size)


def test_the_cells_of_a_grid_are_computed_and_can_be_read(engine, tmp_path):
    new = EarthEngineTrends("a-project", date(2021, 7, 1)).fetch([GRID], tmp_path)
    longitude, latitude = Transformer.from_crs(32603, 4326, always_xy=True).transform(500_300, 7_599_750)
    column, row = cell_of(longitude, latitude)
    assert tmp_path / "TCTrend2022" / f"{column}_{row}.tif" in new
    assert engine.projects == ["a-project"]
    request = next(r for r in engine.requests if r["grid"]["affineTransform"]["translateX"] <= longitude)
    assert request["fileFormat"] == "GEO_TIFF"
    assert request["grid"]["dimensions"] == {"width": 1024, "height": 1024}
    assert request["grid"]["crsCode"] == "EPSG:4326"
    assert request["expression"].steps[:3] == (
        ("collection", "users/ingmarnitze/TCTrend_SR_2003-2022_TCVIS"),
        ("mosaic",),
        ("select", ["TCB_slope", "TCG_slope", "TCW_slope"]),
    )
    mosaic = find_trends(tmp_path, [date(2021, 7, 1)])[date(2021, 7, 1)]
    assert (mosaic.read("tc_greenness", GRID) == 128).all()


def test_cells_are_those_of_one_lattice_and_kept(engine, tmp_path):
    source = EarthEngineTrends(day=date(2010, 1, 1))
    everywhere = [GRID, Grid(UTM_3, Affine(10, 0, 520_000, 0, -10, 7_600_000), 50, 60)]
    new = source.fetch(everywhere, tmp_path)
    assert {path.parent.name for path in new} == {"TCTrend2019"}
    assert len(new) == len(engine.requests) > 1
    for path in new:
        with rasterio.open(path) as raster:
            left, top = raster.transform.c, raster.transform.f
        column, row = ((left + 180) / TREND_PIXEL / CELL, (90 - top) / TREND_PIXEL / CELL)
        assert path.name == f"{round(column)}_{round(row)}.tif"
        assert abs(column - round(column)) + abs(row - round(row)) < 1e-6
    engine.projects.clear()
    assert source.fetch(everywhere, tmp_path) == []
    assert engine.projects == [], "it isn't even asked"
    new[0].unlink()
    assert source.fetch([GRID, *everywhere], tmp_path) == [new[0]]


@pytest.mark.parametrize(
    ("year", "last"), [(2018, 2019), (2019, 2020), (2020, 2022), (2022, 2024), (2030, 2024), (None, 2024)]
)
def test_the_version_of_the_trends(year, last):
    assert EarthEngineTrends(day=date(year, 8, 1) if year else None).year == last


def test_cells_on_both_sides_of_the_antimeridian(engine, tmp_path):
    x, y = Transformer.from_crs(4326, 32601, always_xy=True).transform(180, 71)
    crossing = Grid(rasterio.CRS.from_epsg(32601), Affine(10, 0, x - 500, 0, -10, y), 100, 100)
    columns = {int(path.name.split("_")[0]) for path in EarthEngineTrends().fetch([crossing], tmp_path)}
    assert columns == {0, cell_of(179.99, 71)[0]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            RuntimeError("Please authorize access\nto your account"),
            "Please authorize access to your account.*--ee-project",
        ),
        (b"<html>", "Earth Engine must give a GeoTIFF"),
    ],
)
def test_earth_engine_that_refuses_leaves_no_file(engine, tmp_path, answer, message):
    engine.answer = answer
    with pytest.raises(SceneError, match=message) as caught:
        EarthEngineTrends().fetch([GRID], tmp_path)
    assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
