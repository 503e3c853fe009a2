// Elements of the page. Names of classes and files are untrusted, and are only inserted as text.

/** @returns {HTMLElement} */
export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A share as a percentage, as zoo/figures.py writes it: rounding never makes 100 or 0 of what is not. */
export function percent(share) {
  const rounded = (100 * share).toFixed(1);
  if (rounded === "100.0" && share < 1) return "99.9 %";
  if (rounded === "0.0" && share > 0) return "0.1 %";
  return `${rounded} %`;
}
