"""What tests of a page in a real browser share; the browser itself is a fixture of `conftest.py`."""

from __future__ import annotations

CONTRAST = """(apart) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest(apart)) continue;
    let ground = element;
    while (ground && rgba(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
    const a = light(rgba(getComputedStyle(element).color)), b = light(rgba(getComputedStyle(ground).backgroundColor));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([walk.currentNode.data, element.className, ratio.toFixed(2)]);
  }
  return poor;
}"""


def poor_contrast(page, apart):
    """Text of a contrast below 4.5 to what is behind it (WCAG 2.2, 1.4.3), but for elements that ``apart`` selects."""
    return page.evaluate(CONTRAST, apart)
