// Which of the two pages is shown: the samples found, or the one after # in the address.

import { Gallery } from "./gallery.js";
import { ask, find } from "./tools.js";
import { Viewer } from "./viewer.js";

async function start() {
  const dataset = await ask("/api/dataset");
  const gallery = new Gallery(dataset), viewer = new Viewer(dataset);
  let last = "", loaded = false, scrolled = 0;

  async function route() {
    const key = location.hash.slice(1);
    if (key && !find("gallery").hidden) scrolled = scrollY;
    find("gallery").hidden = Boolean(key);
    find("viewer").hidden = !key;
    if (key) {
      const fresh = !last;
      last = key;
      await viewer.open(key, gallery.query());
      if (fresh) find("key").focus({ preventScroll: true });
      return;
    }
    document.title = `${dataset.name} · MAGE`;
    if (!loaded) await gallery.load();
    loaded = true;
    scrollTo(0, scrolled);
    document.querySelector(`[data-key="${CSS.escape(last)}"]`)?.focus({ preventScroll: true });
    last = "";
  }

  addEventListener("hashchange", route);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox], [type=radio], [type=range]), select, textarea, dialog");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || find("viewer").hidden) return;
    if (event.key === "Escape") location.hash = "";
    else if (viewer.keydown(event)) event.preventDefault();
  });
  await route();
}

start().catch((error) => {
  find("gallery").hidden = false;
  find("found").textContent = error.message;
});
