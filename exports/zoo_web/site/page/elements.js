// Elements of the page. Names of classes and files are untrusted, and are only inserted as text.

/** @returns {HTMLElement} */
export const $ = (id) => document.getElementById(id);

/** Creates an element with attributes and children. Strings become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A share as a percentage, as zoo/figures.py writes it: only 1 and 0 are shown as 100 and 0. */
export function percent(share) {
  const rounded = (100 * share).toFixed(1);
  if (rounded === "100.0" && share < 1) return "99.9 %";
  if (rounded === "0.0" && share > 0) return "0.1 %";
  return `${rounded} %`;
}
