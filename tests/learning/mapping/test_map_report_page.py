"""``report.html`` in a real browser: what is seen, by mouse, touch and keyboard, offline, in light and dark."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from found import found
from in_chromium import poor_contrast
from test_map_report import HOSTILE

from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.product.report import write_report

pytestmark = pytest.mark.long

RED, BLUE = (255, 0, 0), (0, 0, 255)
APART = "#stage, svg, [aria-hidden], .unseen, .skip, script"  # not read as text
MIDDLE = """(() => { const b = buildings[2].box, at = [b[0] + b[2], b[1] + b[3]].map((sum) => sum / 2);
  return [view.x + view.scale * at[0], view.y + view.scale * at[1], stage.clientWidth, stage.clientHeight]; })()"""
UNNAMED = """() => [...document.querySelectorAll('button, input, [role=slider], [role=group]')]
  .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
  .map((e) => e.outerHTML)"""
PINCH = """() => {
  const box = stage.getBoundingClientRect();
  const at = (id, type, x) => stage.dispatchEvent(new PointerEvent(type, { pointerId: id, pointerType: 'touch',
    clientX: box.left + x, clientY: box.top + 100, bubbles: true, button: 0 }));
  stage.setPointerCapture = () => {};  // of fingers that are not there
  at(1, 'pointerdown', 100);
  at(2, 'pointerdown', 200);
  at(2, 'pointermove', 300);
  at(1, 'pointerup', 100);
  at(2, 'pointerup', 300);
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Red before, blue after, and hostile names."""
    folder = tmp_path_factory.mktemp("report")
    plain = found(folder)
    pre, post = (
        ArrayPicture(np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, 96, 128)).copy(), plain.grid)
        for colour in (RED, BLUE)
    )
    names = np.array([*plain.buildings.name[:-2], HOSTILE, HOSTILE])
    return write_report(replace(plain, pre=pre, post=post, buildings=replace(plain.buildings, name=names)), folder)


@pytest.fixture
def visit(browser, page_file):
    """Opens the page; in the end nothing was asked for and nothing complained of."""
    contexts, complaints, asked = [], [], []

    def opened(**options):
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, "offline": True, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.wait_for_function("document.getElementById('scale').textContent !== ''")
        page.wait_for_timeout(100)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", page_file.as_uri()))] == []


def colour(page, x, y):
    """Of the stage at shares of its width and height."""
    image = cv2.imdecode(np.frombuffer(page.locator("#stage").screenshot(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    return image[int(y * image.shape[0]), int(x * image.shape[1])].astype(int)


def hide(page):
    """All layers off, so that the images alone are seen."""
    for box in page.locator("#layers input").all():
        box.uncheck()


def test_before_lies_left_of_the_divider_and_after_right_of_it(visit):
    page = visit()
    hide(page)
    assert colour(page, 0.4, 0.4)[0] > 200
    assert colour(page, 0.6, 0.4)[2] > 200
    divider = page.locator("#divider")
    divider.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    assert divider.get_attribute("aria-valuenow") == "80"
    assert colour(page, 0.6, 0.4)[0] > 200
    page.get_by_role("button", name="After", exact=True).click()
    assert colour(page, 0.4, 0.4)[2] > 200
    assert divider.get_attribute("aria-valuetext") == "0 % before"


def test_the_divider_is_dragged_by_mouse(visit):
    page = visit()
    hide(page)
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] * 0.2, y, steps=4)
    page.mouse.up()
    assert page.locator("#divider").get_attribute("aria-valuenow") == "70"
    assert colour(page, 0.6, 0.4)[0] > 200


def test_a_click_on_a_building_tells_its_probabilities(visit):
    page = visit()
    place = page.evaluate(MIDDLE)
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    assert "Destroyed" in page.locator("#tip").inner_text()
    page.mouse.click(box["x"] + place[0], box["y"] + place[1])
    facts = page.locator("#facts").inner_text()
    assert "way/103" in facts
    assert "90 %" in facts


def test_bars_of_probabilities_are_as_long_as_they_say_on_a_scale_that_can_be_read(visit):
    page = visit()
    page.locator(".doubts button").first.click()
    cells = page.locator("#facts td:has(> .bar)")
    assert cells.count() == 4
    for row in page.locator("#facts tr:has(.bar)").all():
        share = float(row.locator(".n").inner_text().split()[0]) / 100
        whole = row.locator("td:has(> .bar)").bounding_box()["width"] - 10  # of which 10 are padding
        assert whole > 100
        assert row.locator(".bar").bounding_box()["width"] == pytest.approx(max(share, 0.005) * whole, abs=2)


@pytest.mark.parametrize("width", [700, 1400])
def test_cards_lie_apart_from_each_other(visit, width):
    boxes = [card.bounding_box() for card in visit(viewport={"width": width, "height": 900}).locator(".card").all()]
    assert len(boxes) > 4
    for above in boxes:
        for below in boxes:
            beside = above["x"] + above["width"] <= below["x"] or below["x"] + below["width"] <= above["x"]
            if below["y"] > above["y"] and not beside:
                assert below["y"] - above["y"] - above["height"] > 15


def test_the_list_of_doubts_leads_to_a_building_by_keyboard(visit):
    page = visit()
    before = page.evaluate("view.scale")
    button = page.locator(".doubts button").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("view.scale") > before
    number = page.evaluate("chosen.id")
    assert number in page.locator("#facts").inner_text()
    assert page.evaluate("doubt => buildings[doubt].id", int(button.get_attribute("data-building"))) == number


def test_areas_and_search_move_the_map(visit):
    page = visit()
    page.locator("[data-area='0']").click()
    assert page.locator("#layer-areas").is_checked()
    page.locator("#sought").fill("volksschule")
    page.keyboard.press("Enter")
    assert "way/110" in page.locator("#facts").inner_text()
    page.locator("#sought").fill("no such thing")
    page.keyboard.press("Enter")
    assert "nothing" in page.locator("#where").inner_text()


def test_layers_are_switched_by_their_boxes(visit):
    page = visit()
    page.get_by_role("button", name="After", exact=True).click()
    x, y, width, height = page.evaluate(MIDDLE)
    at = x / width, y / height
    assert colour(page, *at)[0] > 50  # red over blue
    page.get_by_label("Buildings", exact=False).first.uncheck()
    assert colour(page, *at)[0] < 20


def test_the_map_is_moved_and_zoomed_by_keys(visit):
    page = visit()
    page.locator("#stage").focus()
    before = page.evaluate("({ ...view })")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    after = page.evaluate("({ ...view })")
    assert after["scale"] == pytest.approx(before["scale"] * 1.5)
    page.keyboard.press("0")
    assert page.evaluate("view.scale") == pytest.approx(before["scale"])
    page.keyboard.press("b")
    assert page.locator("#divider").get_attribute("aria-valuenow") == "100"


def test_two_fingers_zoom_on_a_telephone(visit):
    page = visit(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    before = page.evaluate("view.scale")
    page.evaluate(PINCH)
    assert page.evaluate("view.scale") == pytest.approx(2 * before)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_are_shown_and_do_nothing(visit):
    page = visit()
    title = page.title()
    page.evaluate("choose(buildings[10], true)")
    assert HOSTILE.split("\u2028")[0] in page.locator("#facts").inner_text()
    assert page.title() == title


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground_and_controls_have_names(visit, scheme):
    page = visit(color_scheme=scheme)
    page.evaluate("choose(buildings[2])")
    assert poor_contrast(page, APART) == []
    assert page.evaluate(UNNAMED) == []


def test_it_prints(visit):
    page = visit()
    page.emulate_media(media="print")
    assert page.pdf().startswith(b"%PDF-")
    assert not page.locator(".toolbar").is_visible()
