// Shows the result of the self-test.

import { $, element } from "./elements.js";

const COLUMNS = ["", "Picture", "Pixels, largest", "Pixels, mean", "Probability", "From Keras", "Label"];

/** @param {object} found what `selftest` returns, or `{problem}` */
export function showSelftest(found) {
  const verdict = $("verdict");
  verdict.classList.toggle("failed", !found.passed);
  verdict.classList.toggle("passed", Boolean(found.passed));
  $("proof-details").hidden = Boolean(found.problem);
  if (found.problem) {
    verdict.textContent = `Failed: ${found.problem}`;
    return;
  }
  const { pictures, files, tolerance } = found;
  verdict.textContent = found.passed
    ? `Passed: on ${pictures.length} of ${pictures.length} pictures, the prediction in this browser is that of ` +
      "the trained model."
    : `Failed: ${faults(found).join(", ")}. Do not rely on the predictions of this page.`;
  if (!found.passed) $("proof-details").open = true;
  $("proof-files").textContent = `Files: ${files.found}`;
  $("proof-columns").replaceChildren(
    element("tr", {}, ...COLUMNS.map((name) => element("th", { scope: "col" }, name || hidden("Result")))),
  );
  $("proof-rows").replaceChildren(...pictures.map(row));
  $("proof-note").textContent =
    `All values are absolute differences. Allowed: ${tolerance.pixels} of 255 levels for a pixel, ` +
    `${tolerance.probabilities} for a probability${tolerance.map ? `, ${tolerance.map} of the strongest evidence for the map` : ""}. ` +
    "Pixels are decoded and resized by this page. The model predicts from the pixels in the bundle, so that an error in " +
    "the pixels does not appear as an error of the model.";
}

function faults({ files, pictures }) {
  const off = (part) => pictures.filter((picture) => !picture[part].passed).length;
  return [
    !files.passed && "files have changed",
    off("pixels") && `${off("pixels")} of ${pictures.length} pictures are decoded or resized differently`,
    off("probabilities") && `the model predicts differently on ${off("probabilities")} of ${pictures.length}`,
  ].filter(Boolean);
}

function row({ file, label, pixels, probabilities }) {
  const passed = pixels.passed && probabilities.passed;
  const mark = element("span", { class: passed ? "mark passed" : "mark failed", "aria-hidden": "true" }, passed ? "✓" : "✗");
  const cells = [
    element("td", {}, mark, hidden(passed ? "Passed" : "Failed")),
    element("th", { scope: "row" }, file),
    cell(pixels, () => short(pixels.max)),
    cell(pixels, () => short(pixels.mean)),
    cell(probabilities, () => short(probabilities.max)),
    cell(probabilities, () => short(probabilities.keras)),
    cell(probabilities, () =>
      probabilities.label === label ? label : `${probabilities.label}, expected ${label}`,
    ),
  ];
  return element("tr", {}, ...cells);
}

function cell(part, text) {
  const attributes = part.passed ? {} : { class: "failed" };
  return element("td", attributes, part.problem ?? text());
}

function hidden(text) {
  return element("span", { class: "spoken" }, text);
}

function short(value) {
  return value === 0 || value >= 0.001 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}
