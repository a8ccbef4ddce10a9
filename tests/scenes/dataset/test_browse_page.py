"""The page in a real browser: what is seen, by mouse, touch and keyboard, and that it stays on this machine."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from fake_dataset import HASH, SENSOR, fake_recipe, fake_sample, with_sensor, with_tents, write_fake_dataset
from in_chromium import poor_contrast

from mage.scenes.dataset.browse.server import BrowseServer
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.grades import JDS_NAMES

pytestmark = pytest.mark.long

RED, BLUE = (255, 0, 0), (0, 0, 255)
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
SOURCES = [{"name": "drawn", "format": "none", "licence": "CC0-1.0", "sha256": None}]
# what a person operates, as the browser tells assistive technology
CONTROLS = {
    "button",
    "checkbox",
    "combobox",
    "link",
    "radio",
    "searchbox",
    "slider",
    "spinbutton",
    "textbox",
    "listbox",
}
APART = "#stage, [aria-hidden], :disabled, [aria-disabled=true], .unseen, option"  # not read as text


def painted(sample):
    """The sample with an image before that is red, after blue, so that a screenshot tells which of them it shows."""
    shape = sample.images["pre"].shape
    images = {date: np.full(shape, colour, np.uint8) for date, colour in (("pre", RED), ("post", BLUE))}
    return Sample(sample.record, images, sample.labels, sample.bands)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All with bands: the first painted, the second with tents and a hostile name of its city, two of another city."""
    root = tmp_path_factory.mktemp("page") / "dataset"
    samples = [fake_sample(index, 64) for index in range(2)]
    evil = with_tents(samples[1])
    evil = Sample(evil.record.model_copy(update={"city": HOSTILE, "event": "odd-camp-0"}), evil.images, evil.labels)
    val = [fake_sample(index, 64, seed=3, split="val", city="harbour") for index in range(2)]
    parts = {"train-000000.tar": [painted(samples[0])], "train-000001.tar": [evil], "val-000000.tar": val}
    store = LocalStore(root)
    shards = [write_shard(store, name, map(with_sensor, part), HASH) for name, part in parts.items()]
    finish_dataset(root, fake_recipe(4, 64), shards, {"mage-eo": "0"}, SOURCES, [SENSOR])
    return root


PAINTED, TENTS = (f"testville-flood-{index:06d}" for index in range(2))


@contextmanager
def served(root):
    with BrowseServer(root) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def server(root):
    with served(root) as server:
        yield server


class Visit:
    """A page that remembers what it asked for and complained of."""

    def __init__(self, browser, server, **options):
        self.server = server
        options = {"viewport": {"width": 1400, "height": 900}, **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints, self.asked = [], []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def gallery(self, query=""):
        self.page.goto(self.server.url + query)
        self.page.wait_for_selector("#grid li")
        return self.page

    def sample(self, key):
        self.page.goto(f"{self.server.url}#{key}")
        self.page.wait_for_selector(".pane[data-date=pre] svg", state="attached")
        self.settle()
        return self.page

    def settle(self):
        """Until every picture is drawn."""
        self.page.wait_for_function("() => [...document.querySelectorAll('.world img')].every((i) => i.complete)")
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def shot(self):
        """The stage as it is seen, uint8 (rows, columns, 3) RGB."""
        self.settle()
        data = self.page.locator("#stage").screenshot()
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    def at(self, share_x, share_y=0.5):
        """A place of the stage on the screen."""
        box = self.page.locator("#stage").bounding_box()
        return box["x"] + box["width"] * share_x, box["y"] + box["height"] * share_y

    def place(self, column, row):
        """The middle of a pixel of the tile on the screen."""
        box = self.page.locator(".pane[data-date=post] .world").bounding_box()
        return box["x"] + box["width"] * (column + 0.5) / 64, box["y"] + box["height"] * (row + 0.5) / 64


@pytest.fixture
def visit(browser, server):
    """A visit after which nothing was complained of and nothing asked of anyone else."""
    visit = Visit(browser, server)
    yield visit
    visit.context.close()
    assert visit.complaints == []
    assert [url for url in visit.asked if not url.startswith(server.url)] == []


def seen(shot, share_x, share_y=0.6):
    return tuple(int(v) for v in shot[int(shot.shape[0] * share_y), int(shot.shape[1] * share_x)])


def differ(shot, other):
    """Whether more than a pixel of the tile differs; letters and rims are drawn anew, never quite alike."""
    return int((np.abs(shot.astype(int) - other) > 24).any(-1).sum()) > 120


def bare(visit):
    """The painted sample without vectors over it."""
    page = visit.sample(PAINTED)
    page.keyboard.press("v")
    return page


def test_filters_narrow_the_samples_and_stay_in_the_address(visit):
    page = visit.gallery()
    assert page.locator("#grid a").count() == 4
    page.select_option("select[name=city]", "harbour")
    page.wait_for_function("() => document.querySelectorAll('#grid a').length === 2")
    assert page.inner_text("#found") == "2 of 4 samples"
    assert page.url.endswith("?city=harbour")
    page.reload()
    page.wait_for_selector("#grid a")
    assert page.locator("#grid a").count() == 2
    assert page.input_value("select[name=city]") == "harbour"
    page.click("#reset")
    page.wait_for_function("() => document.querySelectorAll('#grid a').length === 4")
    page.fill("input[name=text]", "000001")
    page.select_option("select[name=split]", "val")
    page.wait_for_function("() => document.querySelectorAll('#grid a').length === 1")
    assert page.get_attribute("#grid a", "href") == "#harbour-flood-000001"
    page.fill("input[name=text]", "nothing like it")
    page.wait_for_selector(".empty")


def test_orders_and_thumbnails_follow_what_is_chosen(visit, server):
    page = visit.gallery("?city=harbour")
    page.select_option("select[name=sort]", "damaged")
    page.wait_for_url("**sort=damaged*")
    rows = {r["key"]: r["damaged"] for r in server.site.catalogue.table.to_pylist() if r["city"] == "harbour"}
    expected = sorted(rows, key=lambda key: -rows[key])
    page.wait_for_function("key => document.querySelector('#grid a').dataset.key === key", arg=expected[0])
    for kind in ("pre", "damage", "post"):
        page.check(f"input[value={kind}]", force=True)
        assert page.get_attribute("#grid img", "src") == f"/thumbnail/{expected[0]}/{kind}.jpg"
        page.wait_for_function(
            "() => [...document.querySelectorAll('#grid img')].every((i) => i.complete && i.naturalWidth)"
        )


def test_the_divider_shows_before_to_its_left_and_after_to_its_right(visit):
    page = bare(visit)
    shot = visit.shot()
    assert (seen(shot, 0.4), seen(shot, 0.6)) == (RED, BLUE)
    page.mouse.move(*visit.at(0.5))
    page.mouse.down()
    page.mouse.move(*visit.at(0.3), steps=5)
    page.mouse.up()
    shot = visit.shot()
    assert (seen(shot, 0.25), seen(shot, 0.4), seen(shot, 0.6)) == (RED, BLUE, BLUE)
    assert page.get_attribute("#divider", "aria-valuenow") == "30"
    page.focus("#divider")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    shot = visit.shot()
    assert (seen(shot, 0.6), seen(shot, 0.8)) == (RED, BLUE)
    page.keyboard.press("End")
    assert seen(visit.shot(), 0.9) == RED
    page.keyboard.press("Home")
    assert seen(visit.shot(), 0.1) == BLUE
    for key, left, right in (("b", RED, RED), ("a", BLUE, BLUE), ("s", RED, BLUE)):
        page.keyboard.press(key)
        shot = visit.shot()
        assert (seen(shot, 0.3), seen(shot, 0.7)) == (left, right)


def test_a_finger_drags_the_divider_and_two_fingers_zoom(browser, server):
    visit = Visit(browser, server, has_touch=True, viewport={"width": 390, "height": 844})
    page = bare(visit)
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", visit.at(0.5))
    for share in (0.45, 0.35, 0.25):
        fingers("touchMove", visit.at(share))
    fingers("touchEnd")
    shot = visit.shot()
    assert (seen(shot, 0.2), seen(shot, 0.4)) == (RED, BLUE)
    before = page.locator(".world").first.bounding_box()["width"]
    fingers("touchStart", visit.at(0.55, 0.6), visit.at(0.65, 0.6))
    for share in (0.05, 0.1, 0.15):
        fingers("touchMove", visit.at(0.55 - share, 0.6), visit.at(0.65 + share, 0.6))
    fingers("touchEnd")
    assert page.locator(".world").first.bounding_box()["width"] > before * 2
    visit.context.close()
    assert visit.complaints == []


def test_zoomed_pixels_stay_crisp_and_the_picture_moves_with_the_mouse(visit, server):
    page = visit.sample("harbour-flood-000000")
    page.keyboard.press("v")
    page.keyboard.press("b")
    image = fake_sample(0, 64, seed=3, city="harbour").images["pre"]
    page.mouse.move(*visit.at(0.5))
    for _ in range(6):
        page.mouse.wheel(0, -300)
    visit.settle()
    box = page.locator(".pane[data-date=pre] .world").bounding_box()
    assert box["width"] > 64 * 30
    middle = visit.shot()[300:400, 400:500].reshape(-1, 3)
    colours = {tuple(colour) for colour in image.reshape(-1, 3)}
    assert {tuple(colour) for colour in middle} <= colours  # none that blends two pixels
    page.mouse.down()
    page.mouse.move(*visit.at(0.6), steps=4)
    page.mouse.up()
    moved = page.locator(".pane[data-date=pre] .world").bounding_box()
    assert moved["x"] == pytest.approx(box["x"] + 0.1 * page.locator("#stage").bounding_box()["width"], abs=2)
    metres = float(page.inner_text("#scale").removesuffix(" m"))
    bar = page.locator("#scale").bounding_box()["width"]
    assert bar == pytest.approx(box["width"] * metres / 32, rel=0.01)  # the tile is 32 m wide
    page.keyboard.press("0")
    stage = page.locator("#stage").bounding_box()
    fitted = page.locator(".pane[data-date=pre] .world").bounding_box()
    assert min(stage["width"], stage["height"]) == pytest.approx(fitted["width"], abs=2)
    page.keyboard.press("1")
    assert page.locator(".pane[data-date=pre] .world").bounding_box()["width"] == pytest.approx(64)


def test_every_label_layer_can_be_shown_with_what_its_colours_mean(visit, server):
    page = bare(visit)
    labels = fake_sample(0, 64).labels
    plain = visit.shot()
    names = page.eval_on_selector_all(
        "#both input[type=checkbox], #after input[type=checkbox]", "all => all.map((i) => i.name)"
    )
    assert sorted(names) == sorted({member.split("_", 1)[1] for member in labels})
    for name in names:
        dates = [date for date in ("pre", "post") if f"{date}_{name}" in labels]
        page.check(f"#both input[name={name}], #after input[name={name}]")
        page.wait_for_selector(f".choice:has(input[name={name}]) .legend input[type=range]")
        for date in dates:
            assert page.locator(f".pane[data-date={date}] .layer[data-name={name}]").count() == 1
        filled = any(
            labels[f"{date}_{name}"][:, half].any()
            for date, half in (("pre", slice(0, 32)), ("post", slice(32, 64)))
            if date in dates
        )
        assert differ(visit.shot(), plain) == filled, name
        page.uncheck(f"#both input[name={name}], #after input[name={name}]")
        assert page.locator(".layer").count() == 0
    assert not differ(visit.shot(), plain)


def test_a_layer_has_the_colours_of_the_dataset_and_the_opacity_that_is_chosen(visit, server):
    page = bare(visit)
    page.check("#both input[name=class]")
    slider = page.locator(".choice:has(input[name=class]) input[type=range]")
    slider.fill("100")
    row, column = np.argwhere(fake_sample(0, 64).labels["post_class"][:, 40:] == 1)[0] + (0, 40)
    manifest = server.site.catalogue.manifest
    x, y = visit.place(column, row)
    box = page.locator("#stage").bounding_box()
    shot = visit.shot()
    assert tuple(shot[int(y - box["y"]), int(x - box["x"])]) == tuple(manifest.colours["building"])
    slider.fill("0")
    assert tuple(visit.shot()[int(y - box["y"]), int(x - box["x"])]) == BLUE
    legend = page.inner_text(".choice:has(input[name=class]) .legend")
    assert "building" in legend
    assert "%" in legend


def test_a_layer_stays_on_from_sample_to_sample(visit):
    page = bare(visit)
    page.check("#after input[name=damage]")
    page.keyboard.press("n")
    page.wait_for_selector(f".layer[src='/picture/{TENTS}/post_damage.png']", state="attached")
    assert page.is_checked("#after input[name=damage]")
    page.keyboard.press("l")
    assert page.locator(".layer").count() == 0
    page.keyboard.press("l")
    assert page.locator(".layer").count() == 1


def test_vectors_are_drawn_and_tell_what_they_are(visit, server):
    page = visit.sample(TENTS)
    record = server.site.shelf.record(TENTS)
    for kind, number in (("buildings", len(record.buildings)), ("roads", 2), ("tents", 2)):
        assert page.locator(f".pane[data-date=post] g[data-kind={kind}] path").count() == number
    assert page.locator(".pane[data-date=pre] g[data-kind=tents] path").count() == 0
    page.keyboard.press("a")
    house = next(b for b in record.buildings if b.jds)
    (left, top), (right, bottom) = (np.array(house.polygons_px[0][0]).min(0), np.array(house.polygons_px[0][0]).max(0))
    middle = visit.place((left + right - 1) / 2, (top + bottom - 1) / 2)
    page.mouse.move(*middle)
    page.wait_for_selector("#tip", state="visible")
    tip = page.inner_text("#tip")
    for part in (f"building {house.id}", JDS_NAMES[house.jds], "flood", f"water {house.depth_at_image:.2f} m"):
        assert part in tip
    page.mouse.click(*middle)
    shown = page.inner_text("#object")
    for part in (house.occupancy, f"{house.wet_share:.3f}".rstrip("0"), "p grade"):
        assert part in shown
    page.click("#object summary")
    assert house.source_id in page.inner_text("#object pre")
    assert page.locator(".pane[data-date=post] path.picked").count() == 1
    page.uncheck("#vectors input[name=buildings]")
    assert not page.is_visible("g[data-kind=buildings] path >> nth=0")


def test_the_pixel_under_the_cursor_is_read(visit):
    page = bare(visit)
    labels = fake_sample(0, 64).labels
    row, column = np.argwhere(labels["post_depth"] > 50)[0]
    page.mouse.move(*visit.place(column, row))
    page.wait_for_selector("#pixel table")
    rows = {r.split("\t")[0]: r.split("\t")[1:] for r in page.inner_text("#pixel table").splitlines()}
    assert rows["depth"][1] == f"{labels['post_depth'][row, column] / 100:.2f} m"
    assert rows["colour"] == ["255 0 0", "0 0 255"]
    assert rows["drawn-2 red"][0] == str(int((column + 0.5) / 3) * 100)
    assert page.inner_text("#where").startswith(f"column {column}, row {row} ")


def test_a_band_of_another_sensor_lies_under_the_layers(visit):
    page = bare(visit)
    page.select_option("#base", "drawn-2_red")
    visit.settle()
    page.wait_for_function("() => document.querySelector('#stretch').textContent.includes('white')")
    image, world = (page.locator(f".pane[data-date=pre] {s}").bounding_box() for s in (".base", ".world"))
    assert image["width"] / world["width"] == pytest.approx(21 * 1.5 / 32, abs=0.01)  # what its whole pixels cover
    shot = visit.shot()
    assert seen(shot, 0.6)[0] == seen(shot, 0.6)[2]  # grey
    assert seen(shot, 0.3)[0] < seen(shot, 0.6)[0]
    page.select_option("#base", "")
    assert seen(visit.shot(), 0.6) == BLUE


def test_facts_of_the_sample_name_dates_parameters_and_licences(visit):
    page = visit.sample(PAINTED)
    text = page.text_content("#sample")
    for part in ("2023-06-14", "2023-07-02", "EPSG:28992", "64 × 64 px at 0.5 m", "stage", "1.5", "CC0-1.0", HASH):
        assert part in text


def test_a_deep_link_opens_its_sample_and_a_wrong_one_says_so(browser, server):
    visit = Visit(browser, server)
    page = visit.sample("harbour-flood-000001")
    assert page.text_content("#key") == "harbour-flood-000001"
    for wrong in ("nowhere", "../../etc/passwd", "%E0%A4%A", "<b>"):
        page.goto(f"{server.url}#{wrong}")
        page.wait_for_selector("#fault", state="visible")
        assert "no such" in page.inner_text("#fault")
    page.goto(f"{server.url}#{PAINTED}")
    page.wait_for_selector("#fault", state="hidden")
    visit.settle()
    page.keyboard.press("Escape")
    page.wait_for_selector("#grid a")
    visit.context.close()
    # the browser itself notes replies of 404; the page adds nothing
    assert all("404" in complaint for complaint in visit.complaints)


def test_a_damaged_sample_shows_its_error_and_what_is_left_of_it(browser, tmp_path):
    write_fake_dataset(tmp_path, count=2, size=64)
    path = tmp_path / "shards" / "train-000000.tar"
    data = bytearray(path.read_bytes())
    place = data.index(f"{PAINTED}.post.png".encode()) + 512 + 60
    data[place : place + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    with served(tmp_path) as server:
        visit = Visit(browser, server)
        page = visit.gallery()
        page.wait_for_selector(".broken")
        assert page.locator(".broken").count() == 1
        assert "checksum" in page.inner_text(".broken")
        page.click(f"a[data-key={PAINTED}]")
        page.wait_for_selector("#fault", state="visible")
        assert "checksum" in page.inner_text("#fault")
        page.check("#after input[name=depth]")
        page.wait_for_selector(".choice:has(input[name=depth]) .ramp")
        page.keyboard.press("n")
        page.wait_for_selector("#fault", state="hidden")
        visit.context.close()
    # the browser itself notes replies of 422; the page adds nothing
    assert visit.complaints
    assert all("422" in complaint for complaint in visit.complaints)


def test_names_from_a_dataset_are_text_and_never_markup(visit):
    page = visit.gallery()
    assert HOSTILE in page.locator("select[name=city]").text_content()
    visit.sample(TENTS)
    assert HOSTILE in page.inner_text("#tags")
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == f"{TENTS} · fake"


def test_all_can_be_done_by_keyboard_alone(visit):
    page = visit.gallery()
    focused = "document.activeElement"

    def tab_to(selector, most=80):
        for _ in range(most):
            if page.evaluate(f"{focused}?.matches({selector!r}) ?? false"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached")

    tab_to("select[name=city]")
    page.keyboard.type("harbour")
    page.wait_for_function("() => document.querySelectorAll('#grid a').length === 2")
    tab_to("#grid a")
    page.keyboard.press("Enter")
    page.wait_for_selector(".pane[data-date=pre] svg", state="attached")
    assert page.evaluate(f"{focused}.id") == "key"
    tab_to("#stage")
    for key in ("+", "+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    page.wait_for_selector("#cross", state="visible")
    page.wait_for_selector("#pixel table")
    tab_to("#divider")
    page.keyboard.press("PageUp")
    assert page.get_attribute("#divider", "aria-valuenow") == "60"
    tab_to("#after input[name=damage]")
    page.keyboard.press("Space")
    page.wait_for_selector(".layer[data-name=damage]", state="attached")
    tab_to(".legend input[type=range]")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".layer[data-name=damage]").evaluate("(i) => i.style.opacity") == "0.69"
    tab_to("#objects")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#object dl")
    page.focus("#key")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys[open]", state="detached")
    assert page.is_visible("#viewer")  # that Escape closed the list alone
    page.keyboard.press("Escape")
    page.wait_for_selector("#grid a")
    assert page.evaluate(f"{focused}.dataset.key") == "harbour-flood-000000"  # where one came from


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_every_text_contrast(browser, server, scheme):
    visit = Visit(browser, server, color_scheme=scheme)
    for page in (visit.gallery("?city=harbour"), None):
        page = page or visit.sample(TENTS)
        if page.is_visible("#viewer"):
            for name in ("class", "height", "damage", "building"):
                page.check(f"#both input[name={name}], #after input[name={name}]")
            page.mouse.click(*visit.at(0.6, 0.6))
            page.wait_for_selector("#pixel table")
            page.wait_for_selector(".ramp")
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        controls = [n for n in tree if not n.get("ignored") and n.get("role", {}).get("value") in CONTROLS]
        assert len(controls) > 8
        assert [n["role"]["value"] for n in controls if not n.get("name", {}).get("value", "").strip()] == []
        assert poor_contrast(page, APART) == []
        assert page.locator("main:visible").count() == page.locator("main:visible h1").count() == 1
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(244, 245, 246)",
            "dark": "rgb(17, 19, 21)",
        }[scheme]
    )
    visit.context.close()
    assert visit.complaints == []


@pytest.mark.parametrize("width", [320, 390, 768, 1100])
def test_nothing_reaches_beyond_the_side_of_a_screen(browser, server, width):
    visit = Visit(browser, server, viewport={"width": width, "height": 800})
    for page in (visit.gallery("?city=harbour"), None):
        page = page or visit.sample(TENTS)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#stage").bounding_box()["width"] >= min(width, 320)
    visit.context.close()


def test_pages_are_turned(browser, tmp_path):
    store = LocalStore(tmp_path)
    shard = write_shard(store, "train-000000.tar", (fake_sample(k, 48) for k in range(61)), HASH)
    finish_dataset(tmp_path, fake_recipe(61, 48), [shard], {}, SOURCES)
    with served(tmp_path) as server:
        visit = Visit(browser, server)
        page = visit.gallery()
        assert page.locator("#grid a").count() == 60
        asked = [url for url in visit.asked if "/thumbnail/" in url]
        assert len(asked) < 60  # only those in view
        page.click("#later")
        page.wait_for_function("() => document.querySelectorAll('#grid a').length === 1")
        assert page.inner_text("#pages") == "of 2"
        assert page.url.endswith("?page=2")
        page.click("#grid a")
        page.wait_for_selector(".pane[data-date=pre] svg", state="attached")
        assert page.inner_text("#position") == "61 of 61"
        page.keyboard.press("p")
        page.wait_for_function("() => document.querySelector('#position').textContent === '60 of 61'")
        visit.context.close()
    assert visit.complaints == []
