// Shows the description of the model in the bundle.

import { $, element, percent } from "./elements.js";

export function showAbout(spec, runtime) {
  document.title = $("title").textContent = question(spec.labels);
  $("subtitle").textContent = `Predicted by ${spec.architecture} in this browser. The photo is not sent anywhere.`;
  const { image, files, model } = spec;
  const rows = [
    ["Classes", classList(spec.labels)],
    ["Tested", checked(spec.verification)],
    ["File", `${model}, ${spec.precision}, ${(files[model].bytes / 1e6).toFixed(1)} MB`],
    ["Exported from", spec.source],
    ["Input", `${image.width_px} × ${image.height_px} pixels, ${SHAPED[image.resize]}`],
    ["Runs on", `${runtime}, WebAssembly, one thread`],
  ];
  $("about").replaceChildren(
    ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

const SHAPED = {
  squash: "the photo stretched to fit",
  crop: "the middle of the photo",
  letterbox: "the whole photo, with bars around it",
};

const FEW_CLASSES = 4;
const MOST_CLASSES = 12;

function question(labels) {
  if (labels.length > FEW_CLASSES) return `Which of ${labels.length} classes is it?`;
  const question = `${new Intl.ListFormat("en", { type: "disjunction" }).format(labels)}?`;
  return question.charAt(0).toUpperCase() + question.slice(1);
}

function classList(labels) {
  const more = labels.length - MOST_CLASSES;
  return labels.slice(0, MOST_CLASSES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function checked(verification) {
  if (verification.status !== "verified")
    return "Not verified: this file was not compared with the model from which it was exported.";
  const { accuracy, agreement, evidence, n, warnings = [] } = verification;
  const thin = evidence === "thin" ? " With so few photos, this is thin evidence." : "";
  const doubts = warnings.length ? " The model itself may be unusable: see the warnings in README.md of the bundle." : "";
  return (
    `${percent(accuracy)} of ${n} ${verification.split ?? ""} photos are predicted correctly. On ${percent(agreement)}, the ` +
    `prediction is that of the trained model.${thin}${doubts}`
  );
}
