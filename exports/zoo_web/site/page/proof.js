// Shows what the self-test found.

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
    ? `Passed: on ${pictures.length} of ${pictures.length} pictures this browser answers as the trained model did.`
    : `Failed: ${faults(found).join(", ")}. Do not rely on the answers of this page.`;
  if (!found.passed) $("proof-details").open = true;
  $("proof-files").textContent = `Files: ${files.found}`;
  $("proof-columns").replaceChildren(
    element("tr", {}, ...COLUMNS.map((name) => element("th", { scope: "col" }, name || hidden("Result")))),
  );
  $("proof-rows").replaceChildren(...pictures.map(row));
  $("proof-note").textContent =
    `All are absolute differences. Allowed: ${tolerance.pixels} of 255 levels for a pixel, ${tolerance.probabilities} for a ` +
    `probability${tolerance.map ? `, ${tolerance.map} of the strongest evidence for a place of the map` : ""}. ` +
    "Pixels are those that this page makes of the file by itself. The model is asked about the pixels in the bundle, so " +
    "that one fault does not look like two.";
}

function faults({ files, pictures }) {
  const off = (part) => pictures.filter((picture) => !picture[part].passed).length;
  return [
    !files.passed && "files are not as they were made",
    off("pixels") && `${off("pixels")} of ${pictures.length} pictures are decoded or resized otherwise`,
    off("probabilities") && `the model answers otherwise on ${off("probabilities")} of ${pictures.length}`,
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
