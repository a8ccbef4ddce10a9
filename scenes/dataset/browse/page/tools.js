// What every part uses: questions to the server, and elements. Text goes into the page as text only.

const NUMBER = new Intl.NumberFormat("en");

export const find = (id) => document.getElementById(id);
export const count = (n, noun) => `${NUMBER.format(n)} ${noun}${n === 1 ? "" : "s"}`;
export const number = (n) => NUMBER.format(n);
export const colour = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

// the JSON at an address, or an Error that can be shown
export async function ask(path) {
  let reply;
  try {
    reply = await fetch(path);
  } catch {
    throw new Error("No answer: has mage browse been ended?");
  }
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.error || reply.statusText);
  return body;
}

// an element: attributes by name, `on…` handlers as functions, false and null left out; children are nodes or text
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function swatch(rgb) {
  const element = make("i", { class: "swatch", "aria-hidden": "true" });
  element.style.backgroundColor = colour(rgb);
  return element;
}

// rows of [name, value] as a list of terms
export function terms(rows) {
  const shown = rows.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return make("dl", { class: "terms" }, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// a table whose first column names the rows
export function grid(heads, rows, caption) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([name, ...cells]) =>
    make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell ?? ""))));
  return make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, head), make("tbody", {}, ...body));
}
