"""The local server: what it answers, what it refuses, and that nothing makes it fall."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import cv2
import numpy as np
import pytest
import typer
from fake_dataset import HASH, fake_recipe, fake_sample, write_fake_dataset, write_sensed_dataset
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mage.scenes.commands import _open_page, register
from mage.scenes.dataset.browse import catalogue as catalogue_module
from mage.scenes.dataset.browse.server import BrowseServer
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.png import decode_png
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.errors import DatasetError, MageError

KEY = "testville-flood-000000"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("served") / "dataset"
    write_fake_dataset(root, count=4, size=64)
    return root


def serving(root):
    server = BrowseServer(root)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def server(root):
    server = serving(root)
    yield server
    server.shutdown()
    server.server_close()


def get(server, path, method="GET", host=None, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name in [f"127.0.0.1:{server.port}"] if host is None else host:
            connection.putheader("Host", name)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply, reply.read()
    finally:
        connection.close()


def told(server, path):
    reply, body = get(server, path)
    assert reply.status == 200, body
    return json.loads(body)


def raw(server, data):
    """What comes back for these very bytes; nothing where the server hung up while they were being sent."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection, suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            answer += part
    return answer


def test_the_page_comes_with_headers_that_keep_strangers_out(server):
    reply, body = get(server, "/")
    assert reply.status == 200
    assert body.startswith(b"<!doctype html>")
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_the_page_names_no_address_but_its_own_and_holds_no_script_or_style_of_its_own(server):
    _, page = get(server, "/")
    text = page.decode()
    for name in server.site._files:
        assert get(server, "/" if name == "index.html" else f"/page/{name}")[1] == server.site._files[name]
        content = server.site._files[name].decode().replace("http://www.w3.org/2000/svg", "")  # a name, not an address
        assert "//" not in content.replace("// ", "")
        assert "innerHTML" not in content
    assert "<style" not in text
    assert "style=" not in text
    assert "onclick" not in text
    assert text.count("<script") == text.count('<script type="module" src="/page/') == 1


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "host",
    [[], [""], ["evil.example"], ["127.0.0.1"], ["127.0.0.1:1"], ["localhost.evil.example"], ["[::1]"]],
    ids=str,
)
def test_any_other_host_is_refused(server, host):
    host = [name.replace(":1", f":{server.port + 1}") for name in host]
    for path in ("/", "/api/dataset", f"/picture/{KEY}/post.png"):
        reply, body = get(server, path, host=host)
        assert reply.status == 403
        assert b"flood" not in body


def test_two_hosts_are_refused_and_localhost_is_one_of_its_names(server):
    good = f"127.0.0.1:{server.port}"
    assert get(server, "/", host=[good, "evil.example"])[0].status == 403
    assert get(server, "/", host=["evil.example", good])[0].status == 403
    assert get(server, "/", host=[f"localhost:{server.port}"])[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_it_can_only_be_read(server, method):
    reply, body = get(server, "/api/dataset", method=method)
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, HEAD"
    assert "only be read" in json.loads(body)["error"]


def test_a_body_is_refused_and_never_taken_for_the_next_request(server):
    hidden = b"GET /api/dataset HTTP/1.1\r\nHost: x\r\n\r\n"
    for method in (b"GET", b"POST"):
        head = b"%s / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\n\r\n"
        answer = raw(server, head % (method, server.port, len(hidden)) + hidden)
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert b'"samples"' not in answer
    assert get(server, "/", headers={"Content-Length": "5"})[0].status == 400
    assert get(server, "/", headers={"Transfer-Encoding": "chunked"})[0].status == 400


def test_head_is_a_get_without_content(server):
    whole, body = get(server, "/api/dataset")
    reply, nothing = get(server, "/api/dataset", method="HEAD")
    assert (reply.status, nothing) == (200, b"")
    assert reply.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "path",
    [
        "/../dataset.json",
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/page/..%2fserver.py",
        "/page/index.html",
        "/page/server.py",
        "/page//etc/passwd",
        "/dataset.json",
        "/samples.parquet",
        "/shards/train-000000.tar",
        "//etc/passwd",
        "/picture/../../dataset.json",
        f"/picture/{KEY}/../post.png",
        f"/picture/{KEY}/json.png",
        f"/picture/{KEY}/post_nothing.png",
        f"/picture/{KEY}/post_drawn-2_red.png",
        f"/picture/{KEY}/post.png/",
        f"/picture/{KEY}%00/post.png",
        f"/picture/{KEY.upper()}/post.png",
        "/picture/nowhere-flood-000000/post.png",
        "/picture/" + "a" * 3000 + "/post.png",
        f"/thumbnail/{KEY}/post.png",
        f"/thumbnail/{KEY}/shards.jpg",
        f"/api/legend/{KEY}/post",
        f"/api/legend/{KEY}/json",
        f"/api/pixel/{KEY}/64/0",
        f"/api/pixel/{KEY}/0/-1",
        f"/api/pixel/{KEY}/0/99999999999",
        "/api/sample/nowhere",
        "/api/sample/",
        "/api",
        "http://evil.example/api/dataset",
        "*",
    ],
)
def test_what_is_not_listed_is_not_there(server, path):
    reply, body = get(server, path)
    assert reply.status == 404
    assert json.loads(body)["error"]
    assert b"root:" not in body


def test_a_query_that_makes_no_sense_is_told(server):
    for query in ("colour=red", "grade=9", "limit=1000000", "text=" + "x" * 300, "city=%ff"):
        reply, body = get(server, f"/api/samples?{query}")
        assert reply.status == 400
        assert json.loads(body)["error"]


def test_a_huge_address_or_header_is_refused_and_the_server_goes_on(server):
    assert get(server, "/api/samples?text=" + "x" * 20_000)[0].status == 414
    for huge in (b"GET /" + b"x" * 100_000, b"GET / HTTP/1.1\r\nHost: " + b"x" * 100_000, b"x: y\r\n" * 50_000):
        assert b" 200 " not in raw(server, huge + b"\r\n\r\n")
    assert told(server, "/api/dataset")["samples"] == 4


@given(st.binary(max_size=200))
def test_whatever_is_sent_it_goes_on(server, data):
    raw(server, data)
    assert get(server, "/page/icon.svg")[0].status == 200


def test_many_ask_at_once_and_each_gets_its_own(server):
    keys = [row["key"] for row in told(server, "/api/samples")["rows"]]
    paths = [f"/{kind}" for key in keys for kind in (f"thumbnail/{key}/post.jpg", f"picture/{key}/post_class.png")]
    alone = {path: get(server, path)[1] for path in paths}
    with ThreadPoolExecutor(16) as pool:
        for path, (reply, body) in zip(paths * 8, pool.map(lambda p: get(server, p), paths * 8), strict=True):
            assert (reply.status, body) == (200, alone[path])


def test_samples_come_filtered_with_their_facets(server):
    answer = told(server, "/api/samples?sort=key&limit=2&offset=1")
    assert answer["total"] == 4
    assert [row["key"] for row in answer["rows"]] == [f"testville-flood-{k:06d}" for k in (1, 2)]
    assert answer["facets"]["city"] == {"values": [["testville", 4]], "more": 0}
    assert told(server, "/api/samples?city=elsewhere")["rows"] == []


def test_a_sample_knows_its_neighbours_in_the_list_that_it_was_found_in(server):
    sample = told(server, "/api/sample/testville-flood-000001?sort=key")
    assert (sample["position"], sample["total"]) == (1, 4)
    assert (sample["previous"], sample["next"]) == ("testville-flood-000000", "testville-flood-000002")
    assert sample["record"]["key"] == "testville-flood-000001"
    assert told(server, f"/api/sample/{KEY}?sort=key")["previous"] is None
    lost = told(server, f"/api/sample/{KEY}?split=val")
    assert (lost["position"], lost["previous"], lost["next"]) == (None, None, None)


def test_every_picture_that_a_sample_names_is_there_and_as_large_as_the_tile(server):
    sample = told(server, f"/api/sample/{KEY}")
    members = ["pre", "post", *(f"{d}_{layer['name']}" for layer in sample["layers"] for d in layer["meanings"])]
    assert len(members) == 2 + 22
    for member in members:
        reply, body = get(server, f"/picture/{KEY}/{member}.png")
        assert reply.headers["Content-Type"] == "image/png"
        assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED).shape[:2] == (64, 64)
        if member not in ("pre", "post"):
            assert told(server, f"/api/legend/{KEY}/{member}")["kind"] in ("classes", "scale", "instances")


def test_images_are_sent_as_they_are_and_layers_in_the_colours_of_the_dataset(server):
    expected = fake_sample(0, 64)
    assert np.array_equal(decode_png(get(server, f"/picture/{KEY}/post.png")[1]), expected.images["post"])
    data = get(server, f"/picture/{KEY}/post_class.png")[1]
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    manifest = server.site.catalogue.manifest
    for name, value in manifest.classes.items():
        mine = shown[expected.labels["post_class"] == value]
        assert (mine == (*manifest.colours[name], 255)).all()


def test_a_pixel_is_told_in_words(server):
    labels = fake_sample(0, 64).labels
    row, column = np.argwhere((labels["post_depth"] > 30) & (labels["post_class"] == 8))[0]
    answer = told(server, f"/api/pixel/{KEY}/{column}/{row}")
    assert answer["post"]["depth"] == f"{labels['post_depth'][row, column] / 100:.2f} m"
    assert (answer["post"]["class"], answer["post"]["flood"]) == ("flood", "flood water")
    assert "depth" not in answer["pre"]
    row, column = np.argwhere(labels["post_damage"] > 0)[0]
    answer = told(server, f"/api/pixel/{KEY}/{column}/{row}")["post"]
    assert answer["building"] == f"#{labels['post_building'][row, column]}"
    names = ("no-damage", "minor-damage", "major-damage", "destroyed")
    assert answer["damage"] == names[labels["post_damage"][row, column] - 1]


def test_bands_of_further_sensors_are_stretched_alike_at_both_dates(tmp_path):
    write_sensed_dataset(tmp_path, count=1)
    server = serving(tmp_path)
    try:
        bands = told(server, f"/api/sample/{KEY}")["bands"]
        assert [(band["sensor"], band["band"], band["columns"]) for band in bands] == [
            ("drawn-2", "red", 21),
            ("drawn-2", "red-edge", 10),
        ]
        shown = decode_png(get(server, f"/picture/{KEY}/post_drawn-2_red.png")[1])
        assert shown.shape == (21, 21)
        assert (shown[:, 0] == 0).all()
        assert (shown[:, -1] == 255).all()
        assert told(server, f"/api/legend/{KEY}/pre_drawn-2_red") == {"kind": "band", "low": 0.0, "high": 2000.0}
        # column 40 at 0.5 m lies in column 13 of 1.5 m; 63 of 64 columns beyond the last whole one has no value
        assert told(server, f"/api/pixel/{KEY}/40/0")["pre"]["drawn-2 red"] == "1300"
        assert told(server, f"/api/pixel/{KEY}/63/0")["pre"]["drawn-2 red"] == ""
    finally:
        server.shutdown()
        server.server_close()


def damage(root, old, new):
    """Overwrite bytes inside the first shard, whose length stays."""
    path = root / "shards" / "train-000000.tar"
    data = path.read_bytes()
    place = data.index(old) if isinstance(old, bytes) else old
    path.write_bytes(data[:place] + new + data[place + len(new) :])


def test_a_damaged_raster_is_told_and_the_others_of_its_sample_are_shown(tmp_path):
    write_fake_dataset(tmp_path, count=2, size=64)
    path = tmp_path / "shards" / "train-000000.tar"
    place = path.read_bytes().index(f"{KEY}.post_damage.png".encode()) + 512 + 60
    damage(tmp_path, place, b"\0\0\0\0")
    server = serving(tmp_path)
    try:
        for address in (
            f"/picture/{KEY}/post_damage.png",
            f"/thumbnail/{KEY}/damage.jpg",
            f"/api/legend/{KEY}/post_damage",
        ):
            reply, body = get(server, address)
            assert reply.status == 422
            assert "checksum" in json.loads(body)["error"]
        assert get(server, f"/picture/{KEY}/post.png")[0].status == 200
        assert told(server, f"/api/pixel/{KEY}/3/3")["post"]["damage"] == "damaged"
        assert told(server, f"/api/pixel/{KEY}/3/3")["post"]["depth"] == "0.00 m"
    finally:
        server.shutdown()
        server.server_close()


def test_a_damaged_record_or_a_lost_shard_is_told_and_other_samples_are_shown(tmp_path):
    write_fake_dataset(tmp_path, count=4, size=64, shard_size=2)
    place = (tmp_path / "shards" / "train-000000.tar").read_bytes().index(f"{KEY}.json".encode()) + 512
    damage(tmp_path, place, b"nonsense")
    (tmp_path / "shards" / "train-000001.tar").unlink()
    server = serving(tmp_path)
    try:
        for key, reason in ((KEY, "not the record of a sample"), ("testville-flood-000002", "no such shard")):
            for address in (f"/api/sample/{key}", f"/picture/{key}/post.png", f"/thumbnail/{key}/post.jpg"):
                reply, body = get(server, address)
                assert reply.status == 422
                assert reason in json.loads(body)["error"]
        assert told(server, "/api/sample/testville-flood-000001")["record"]["split"] == "train"
        assert told(server, "/api/samples")["total"] == 4
    finally:
        server.shutdown()
        server.server_close()


def test_a_record_of_another_size_than_its_pictures_is_told(tmp_path):
    sample = fake_sample(0, 64)
    shard = write_shard(LocalStore(tmp_path), "train-000000.tar", [sample], HASH)
    finish_dataset(tmp_path, fake_recipe(1, 64), [shard], {}, [])
    damage(tmp_path, b'"rows":64', b'"rows":63')
    server = serving(tmp_path)
    try:
        reply, body = get(server, f"/picture/{KEY}/post_class.png")
        assert reply.status == 422
        assert "does not fit" in json.loads(body)["error"]
    finally:
        server.shutdown()
        server.server_close()


def test_a_fault_of_its_own_is_told_to_the_page_and_the_server_goes_on(server, monkeypatch):
    monkeypatch.setattr(catalogue_module.Catalogue, "facets", lambda *_: 1 / 0)
    reply, body = get(server, "/api/samples")
    assert reply.status == 500
    assert "ZeroDivisionError" in json.loads(body)["error"]
    assert get(server, "/api/dataset")[0].status == 200


def test_a_port_that_is_taken_is_told(server, root):
    with pytest.raises(MageError, match=f"port {server.port} cannot be had"):
        BrowseServer(root, server.port)


def browse(*words):
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, ["browse", *map(str, words)])


def test_a_folder_without_a_finished_dataset_is_told(tmp_path, root):
    assert isinstance(browse(tmp_path).exception, DatasetError)
    assert "generation did not finish" in str(browse(tmp_path).exception)
    assert "no such folder" in str(browse(tmp_path / "nowhere").exception)
    assert browse(root, "--port", 70000).exit_code == 2


def test_a_browser_is_opened_unless_it_would_take_over_the_terminal(monkeypatch):
    opened = []

    class Window(webbrowser.BackgroundBrowser):
        def open(self, url, new=0, autoraise=True):
            opened.append(url)

    monkeypatch.setattr(webbrowser, "get", lambda: Window("firefox"))
    _open_page("http://127.0.0.1:1/")
    terminal = webbrowser.GenericBrowser("lynx")
    monkeypatch.setattr(terminal, "open", opened.append, raising=False)
    monkeypatch.setattr(webbrowser, "get", lambda: terminal)
    _open_page("http://127.0.0.1:2/")
    monkeypatch.setattr(webbrowser, "get", lambda: (_ for _ in ()).throw(webbrowser.Error("none")))
    _open_page("http://127.0.0.1:3/")
    assert opened == ["http://127.0.0.1:1/"]


def test_ctrl_c_ends_it_quietly(root):
    code = "from mage.scenes.cli import main; main()"
    words = [sys.executable, "-c", code, "browse", str(root), "--no-open"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            port = int(child.stdout.readline().strip().strip("/").rsplit(":", 1)[1])
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
                connection.request("GET", "/api/dataset")
                assert json.loads(connection.getresponse().read())["samples"] == 4
                child.send_signal(signal.SIGINT)  # while the connection is still open, as a browser's is
                _, errors = child.communicate(timeout=60)
            assert child.returncode == 0
            assert errors == "fake: Ctrl-C ends the page\n"
        finally:
            child.kill()
