"""Collecting unlabelled imagery from a STAC API, a WMS and a WMTS on this machine."""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
import rasterio
import shapely
import torch
from local_services import serve
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from typer.testing import CliRunner

from mage.learning import CollectedDataset, EpochSampler, Part, RasterCrops, by_block
from mage.learning.collect.area import box_area, file_area, on_map, tile_places
from mage.learning.collect.run import collect
from mage.learning.collect.services import WmsSource, WmtsSource
from mage.learning.collect.stac import StacSource
from mage.learning.sampling import Draw
from mage.learning.streams import together
from mage.scenes import cli
from mage.scenes.dataset.unlabelled import open_unlabelled, read_tiles
from mage.scenes.errors import DatasetError, MageError

WEST, NORTH, CRS = 500_000, 5_700_000, "EPSG:32631"  # near 3 E, 51.4 N
AREA = box_area(2.9, 51.3, 3.1, 51.5)
VERSIONS = {"mage-eo": "0"}


@pytest.fixture
def services(tmp_path):
    (tmp_path / "files").mkdir()
    with serve(tmp_path / "files") as running:
        yield running


def write_cog(path, values, gsd=10, nodata=None, colours=None, north=NORTH):
    bands, rows, columns = values.shape
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", "nodata": nodata}
    transform = Affine(gsd, 0, WEST, 0, -gsd, north)
    shape = {"count": bands, "height": rows, "width": columns, "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=CRS, transform=transform, **shape, **profile) as file:
        file.write(values)
        if colours:
            file.colorinterp = colours
    return values


def noise(*shape, high=4000, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(1, high, shape).astype(dtype)


def stac(services, **more):
    given = {"url": f"{services.url}/stac", "collections": ("aerial",), "area": AREA, "assets": ("red",), "size": 64}
    return StacSource(**(given | more))


def gathered(source, out, **more):
    return collect(source, out, name="gathered", versions=VERSIONS, **more)


def content(root):
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in root.rglob("*")
        if p.is_file()
    }


def two_items(services):
    """Items of 160 x 128 px, of which the second has no data in the west; red at 10 m, infrared at 20 m."""
    red = write_cog(services.files / "a-red.tif", noise(1, 160, 128))
    write_cog(services.files / "a-nir.tif", noise(1, 80, 64, seed=1), gsd=20)
    holed = noise(1, 160, 128, seed=2)
    holed[:, :, :64] = 0
    write_cog(services.files / "b-red.tif", holed, nodata=0)
    write_cog(services.files / "b-nir.tif", noise(1, 80, 64, seed=3), gsd=20)
    for name, cloud in (("b", 30.0), ("a", 5.0), ("cloudy", 90.0), ("untold", None)):
        first = name if name in "ab" else "a"
        services.add(name, {band: f"{services.url}/files/{first}-{band}.tif" for band in ("red", "nir")}, cloud)
    return red


def test_tiles_of_a_stac_api_are_the_pixels_of_its_assets_with_licence_and_provenance(services, tmp_path):
    red = two_items(services)
    record = gathered(stac(services, assets=("red", "nir"), cloud=50), tmp_path / "out")
    assert (record.samples, record.size, record.bands) == (6, 64, ["red", "nir"])  # 2 x 2 of a, and the east of b
    assert [(s["licence"], s["attribution"]) for s in record.sources] == [("CC-BY-4.0", "The Drawers")]
    dataset = CollectedDataset(tmp_path / "out")
    told = [dataset.describe(k) for k in range(len(dataset))]
    assert [tile.item for tile in told] == ["a"] * 4 + ["b"] * 2
    assert {tile.cloud for tile in told} == {5.0, 30.0}
    assert told[0].date == "2023-02-06T08:11:09Z"
    assert told[1].grid.model_dump() == {
        "rows": 64, "columns": 64, "west": WEST + 640, "north": NORTH, "gsd": 10, "crs": CRS,
    }  # fmt: skip
    low, high = told[1].limits["red"]
    expected = np.rint(np.clip((red[0, :64, 64:128] - low) * 255 / (high - low), 0, 255))
    assert np.abs(dataset[1]["image"][0].numpy() - expected).max() <= 1
    ring = shapely.Polygon(told[1].footprint)
    assert ring.centroid.x == pytest.approx(3.0137, abs=1e-3)
    assert all(agent.startswith("MAGE") for _, agent, _ in services.asked)


def test_the_same_request_gives_the_same_bytes_and_goes_on_after_an_end(services, tmp_path):
    two_items(services)
    source = stac(services, cloud=50)
    gathered(source, tmp_path / "one")
    gathered(source, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    lost = tmp_path / "two" / "shards" / "unlabelled-000001.json"
    lost.unlink()
    kept = (tmp_path / "two" / "shards" / "unlabelled-000000.tar").stat()
    services.add("new", {"red": f"{services.url}/files/a-red.tif"}, 1.0)  # the plan was made before it came
    gathered(source, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert (tmp_path / "two" / "shards" / "unlabelled-000000.tar").stat().st_mtime_ns == kept.st_mtime_ns


def test_what_failed_in_the_middle_keeps_its_shards_and_is_no_dataset_yet(services, tmp_path):
    two_items(services)
    services.broken["/files/b-red.tif"] = (404, "text/plain", b"gone")
    with pytest.raises(DatasetError, match=r"b-red.tif: the raster cannot be read"):
        gathered(stac(services, cloud=50), tmp_path / "out")
    assert (tmp_path / "out" / "shards" / "unlabelled-000000.tar").is_file()
    with pytest.raises(DatasetError, match="collecting did not finish"):
        open_unlabelled(tmp_path / "out")


def test_a_limit_is_kept_over_shards(services, tmp_path):
    two_items(services)
    assert gathered(stac(services, cloud=50), tmp_path / "out", limit=5).samples == 5
    assert gathered(stac(services, cloud=50), tmp_path / "few", limit=3).samples == 3


def test_a_folder_of_another_request_is_left_alone(services, tmp_path):
    two_items(services)
    gathered(stac(services, cloud=50), tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(DatasetError, match="another request; take another folder; expected the same cloud"):
        gathered(stac(services, cloud=20), tmp_path / "out")
    assert content(tmp_path / "out") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    with pytest.raises(DatasetError, match="not empty, and nothing that was collected"):
        gathered(stac(services), tmp_path / "mine")


def test_a_busy_server_is_asked_again_and_a_silent_one_is_an_error(services, tmp_path):
    two_items(services)
    services.busy = 2
    assert gathered(stac(services, cloud=10), tmp_path / "out").samples == 4
    with pytest.raises(DatasetError, match="the STAC API cannot be searched"):
        gathered(stac(services, url="http://127.0.0.1:9/stac"), tmp_path / "silent")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/stac", (200, "application/json", b"{")),
        ("/stac", (200, "application/json", b"[]")),
        ("/stac", (200, "text/html", b"<html>")),
        ("/stac/search", (200, "application/json", b'{"features": [3]}')),
        (
            "/stac/search",
            (200, "application/json", b'{"type": "FeatureCollection", "features": [{"type": "Feature"}]}'),
        ),
        ("/stac/search", (400, "application/json", b'{"code": "no"}')),
        ("/stac/collections/aerial", (404, "application/json", b"{}")),
    ],
)
def test_an_answer_that_is_no_stac_is_an_error_of_one_line(services, tmp_path, path, answer):
    two_items(services)
    services.broken[path] = answer
    with pytest.raises(DatasetError, match=rf"^{services.url}/stac: ") as caught:
        gathered(stac(services), tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("href", ["file:///etc/passwd", "/vsizip/x.zip", "s3://bucket/x.tif", "../../etc/passwd"])
def test_an_item_cannot_have_a_file_of_this_machine_read(services, tmp_path, href):
    services.add("odd", {"red": href})
    with pytest.raises(DatasetError, match=r"not on the web|cannot be read"):
        gathered(stac(services), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.tar"))


def test_what_an_item_lacks_is_said(services, tmp_path):
    services.add("a", {"green": f"{services.url}/files/a.tif"})
    with pytest.raises(DatasetError, match="item 'a' has no asset 'red'; expected green"):
        gathered(stac(services), tmp_path / "out")
    services.items.clear()
    write_cog(services.files / "a.tif", np.full((1, 64, 64), 0.5, np.float32))
    services.add("a", {"red": f"{services.url}/files/a.tif"})
    with pytest.raises(DatasetError, match=r"values that a tile cannot hold; .*; found float32"):
        gathered(stac(services), tmp_path / "float")


def test_nothing_found_is_an_error_and_is_remembered(services, tmp_path):
    write_cog(services.files / "a.tif", np.zeros((1, 64, 64), np.uint8), nodata=0)
    services.add("a", {"red": f"{services.url}/files/a.tif"})
    for _ in range(2):
        with pytest.raises(DatasetError, match="no imagery was found there"):
            gathered(stac(services), tmp_path / "out")
    assert sum(path.startswith("/files/") for path, *_ in services.asked) > 0
    services.asked.clear()
    with pytest.raises(DatasetError, match="no imagery was found there"):
        gathered(stac(services), tmp_path / "out")
    assert not services.asked


def test_colours_of_one_asset_bear_their_names_and_only_tiles_of_the_area_are_read(services, tmp_path):
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    picture = write_cog(services.files / "v.tif", noise(3, 256, 256, high=255, dtype=np.uint8), colours=colours)
    services.add("v", {"visual": f"{services.url}/files/v.tif"})
    corner = box_area(3.0001, 51.448, 3.005, 51.4495)
    record = gathered(stac(services, assets=("visual",), area=corner), tmp_path / "out")
    assert record.bands == ["red", "green", "blue"]
    dataset = CollectedDataset(tmp_path / "out", bands=("blue", "red"))
    places = {(tile.grid.west, tile.grid.north) for tile in (dataset.describe(k) for k in range(len(dataset)))}
    asked = on_map(corner, CRS)
    assert places
    assert all(shapely.box(w, n - 640, w + 640, n).intersects(asked) for w, n in places)
    west, north = min(places)
    row, column = int((NORTH - north) / 10), int((west - WEST) / 10)
    first = next(
        k
        for k in range(len(dataset))
        if dataset.describe(k).grid.west == west and dataset.describe(k).grid.north == north
    )
    expected = picture[[2, 0], row : row + 64, column : column + 64]
    assert (dataset[first]["image"].numpy() == expected).all()


def wms(services, **more):
    area = box_area(3.0, 51.44, 3.004, 51.443)
    given = {
        "url": f"{services.url}/wms",
        "layer": "ortho",
        "area": area,
        "licence": "etalab-2.0",
        "size": 32,
        "delay": 0,
    }
    return WmsSource(**(given | {"crs": CRS, "gsd": 5.0, "form": "image/png"} | more))


def test_tiles_of_a_wms_are_asked_for_by_their_place_on_the_map(services, tmp_path):
    record = gathered(wms(services, attribution="IGN"), tmp_path / "out")
    dataset = CollectedDataset(tmp_path / "out")
    assert record.samples == len(dataset) > 2
    assert record.sources[0] == {
        "source": f"{services.url}/wms", "name": "ortho", "licence": "etalab-2.0", "attribution": "IGN",
    }  # fmt: skip
    for k in range(len(dataset)):
        grid, image = dataset.describe(k).grid, dataset[k]["image"]
        assert (grid.gsd, grid.crs) == (5.0, CRS)
        assert grid.west % 160 == grid.north % 160 == 0
        assert image[0, 0, 0] == int(grid.west) % 251
        assert image[1, 0, 0] == int(grid.north) % 251
    assert all(agent.startswith("MAGE") for _, agent, _ in services.asked)


def test_a_wms_is_asked_in_the_order_of_the_maps_axes(services):
    def box(crs):
        return wms(services, crs=crs)._question(10.0, 60.0, 1.0)["BBOX"]

    assert box("EPSG:2154") == "10,59,11,60"
    assert box("EPSG:4326") == "59,10,60,11"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((200, "text/xml", b"<ServiceException>no such layer</ServiceException>"), "no image; .*no such layer"),
        ((404, "text/html", b"<html>"), "no image; .*status 404"),
        ((200, "image/png", b"\x89PNG\r\n\x1a\n"), "neither a PNG nor a JPEG"),
        ((200, "image/tiff", b"II*\0"), "neither a PNG nor a JPEG"),
    ],
)
def test_what_a_service_says_instead_of_an_image_is_passed_on(services, tmp_path, answer, complaint):
    services.broken["/wms"] = answer
    with pytest.raises(DatasetError, match=complaint):
        gathered(wms(services), tmp_path / "out")


def test_tiles_of_one_colour_are_not_kept(services, tmp_path):
    with pytest.raises(DatasetError, match="no imagery was found there"):
        gathered(wms(services, layer="nothing"), tmp_path / "out")


def test_tiles_of_a_wmts_are_joined_and_lie_where_the_webs_pyramid_has_them(services, tmp_path):
    area = box_area(3.0, 51.44, 3.0005, 51.4403)
    given = {"layer": "ortho", "area": area, "licence": "etalab-2.0", "delay": 0, "form": "image/png"}
    source = WmtsSource(f"{services.url}/wmts", **given, size=512, level=18)
    gathered(source, tmp_path / "out")
    dataset = CollectedDataset(tmp_path / "out")
    for k in range(len(dataset)):
        grid, image = dataset.describe(k).grid, dataset[k]["image"]
        column, row = (
            round(v / (256 * grid.gsd)) for v in (grid.west + 20037508.342789244, 20037508.342789244 - grid.north)
        )
        assert image.shape == (3, 512, 512)
        assert [image[0, 0, x].item() for x in (0, 256)] == [column % 251, (column + 1) % 251]
        assert [image[1, y, 0].item() for y in (0, 256)] == [row % 251, (row + 1) % 251]
    # the tile of level 18 that the area's west lies in, by the formula of OpenStreetMap's wiki for slippy map tiles
    first = int((3.0 + 180) / 360 * 2**18)
    assert any(f"TILECOL={first}&" in path for path, *_ in services.asked)
    for odd in ({"size": 300}, {"level": 30}):
        with pytest.raises(DatasetError, match="no such tiles"):
            WmtsSource(f"{services.url}/wmts", **(given | {"size": 256} | odd)).plan()


def test_collected_tiles_are_a_stream_to_train_with_and_to_split_by_blocks_of_ground(services, tmp_path):
    two_items(services)
    gathered(stac(services, cloud=50), tmp_path / "out")
    dataset = CollectedDataset(tmp_path / "out", size=32)
    order = EpochSampler(len(dataset), batch=4, stop=2)
    for batch in together({"unlabelled": dataset}, {"unlabelled": order}, 0, torch.device("cpu"), None):
        assert batch["unlabelled"]["image"].shape == (4, 1, 32, 32)
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[Draw(0, 1, 2)]["image"], dataset[Draw(0, 1, 2)]["image"])
    assert not torch.equal(dataset[Draw(0, 1, 3)]["image"], dataset[Draw(0, 1, 2)]["image"])
    parts = by_block(dataset.rows, {"train": 1, "test": 1}, np.random.default_rng(0), side=1600)
    ground = {part: {dataset.rows[k].box for k in indices} for part, indices in parts.items()}
    assert not ground["train"] & ground["test"]
    assert sum(map(len, parts.values())) > 0
    part = Part(dataset, [3, 1])
    assert part[Draw(1, 5, 6)]["key"] == dataset.keys[1]
    assert torch.equal(part[Draw(1, 5, 6)]["image"], dataset[Draw(1, 5, 6)]["image"])


def test_a_dataset_that_was_cut_or_changed_is_refused(services, tmp_path):
    two_items(services)
    record = gathered(stac(services, cloud=10), tmp_path / "out")
    assert read_tiles(tmp_path / "out", record.index_sha256).num_rows == 4
    with pytest.raises(DatasetError, match="has no such band; expected red; found nir"):
        CollectedDataset(tmp_path / "out", bands=("nir",))
    with pytest.raises(DatasetError, match="sha256 is wrong"):
        read_tiles(tmp_path / "out", "0" * 64)
    tar = tmp_path / "out" / "shards" / "unlabelled-000000.tar"
    tar.write_bytes(tar.read_bytes()[:-512])
    with pytest.raises(DatasetError, match="missing, cut or was changed"):
        CollectedDataset(tmp_path / "out")
    manifest = tmp_path / "out" / "dataset.json"
    for text in ("{", "[]", json.dumps(json.loads(manifest.read_text()) | {"size": "large"})):
        manifest.write_text(text)
        with pytest.raises(DatasetError):
            CollectedDataset(tmp_path / "out")


def test_crops_of_a_cog_by_url_fetch_parts_of_it_alone(services):
    values = write_cog(services.files / "large.tif", noise(1, 1024, 1024, high=255, dtype=np.uint8))
    crops = RasterCrops(f"{services.url}/files/large.tif", size=64)
    assert len(crops) == 256
    crop = crops[17]["image"]
    assert (crop.numpy() == values[:, 64:128, 64:128]).all()
    sent = sum(length for path, _, length in services.asked if path.startswith("/files/large.tif"))
    assert 0 < sent < (services.files / "large.tif").stat().st_size / 2
    with pytest.raises(DatasetError, match="cannot be read"):
        RasterCrops(f"{services.url}/files/none.tif", size=64)


def test_an_area_is_a_box_or_polygons_of_a_file(tmp_path):
    path = tmp_path / "area.geojson"
    ring = [[3.0, 51.0], [3.1, 51.0], [3.1, 51.1], [3.0, 51.0]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "geometry": polygon, "properties": {}}
    for whole in (polygon, feature, {"type": "FeatureCollection", "features": [feature, feature]}):
        path.write_text(json.dumps(whole))
        assert file_area(path).area == pytest.approx(0.005)
    beyond = json.dumps({"type": "Polygon", "coordinates": [[[400, 0], [401, 0], [401, 1], [400, 0]]]})
    wrong = ['{"type": "Point", "coordinates": [1, 2]}', '{"type": "Polygon"}', "[" * 100_000, beyond]
    wrong += ['{"type": "FeatureCollection", "features": []}', '{"type": "Feature", "geometry": null}']
    for odd in ("{", "3", "[]", "null", *wrong):
        path.write_text(odd)
        with pytest.raises(DatasetError) as caught:
            file_area(path)
        assert str(path) in str(caught.value)
    for box in ((3, 51, 3, 52), (0, 0, 200, 1), (float("nan"), 0, 1, 1)):
        with pytest.raises(DatasetError, match="no area"):
            box_area(*box)
    with pytest.raises(DatasetError, match="too large an area"):
        tile_places(shapely.box(0, 0, 1e6, 1e6), 1.0)
    with pytest.raises(DatasetError, match="no such coordinate reference system"):
        on_map(AREA, "EPSG:none")


def test_places_of_tiles_are_those_that_meet_the_area():
    triangle = shapely.Polygon([(0, 0), (30, 0), (0, -30)])
    found = set(tile_places(triangle, 10.0))
    assert found == {(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 2)}


def test_the_command_collects_and_says_what_it_misses(services, tmp_path):
    two_items(services)
    words = ["collect", "--stac", f"{services.url}/stac", "--collection", "aerial", "--asset", "red", "--out"]
    words += [str(tmp_path / "out"), "--bbox", "2.9,51.3,3.1,51.5", "--size", "64", "--cloud", "50", "--delay", "0"]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    assert "6 tiles of 64 px, red; licence: CC-BY-4.0" in done.output
    assert len(CollectedDataset(tmp_path / "out")) == 6
    for odd, complaint in (
        (["--wms", "http://a"], "one service at a time"),
        (["--level", "3"], "--stac does not take this option; found --level"),
        (["--aoi", str(tmp_path / "a")], "one area"),
    ):
        with pytest.raises(MageError, match=complaint):
            CliRunner().invoke(cli.app, words + odd, catch_exceptions=False)
    some = ["collect", "--wms", "http://a", "--layer", "x", "--out", "o", "--bbox", "0,0,1,1"]
    with pytest.raises(MageError, match="--licence as the service's provider states it"):
        CliRunner().invoke(cli.app, some, catch_exceptions=False)
