// Shows the prediction for a picture.

import { $, element, percent } from "./elements.js";
import { overlay, strongest } from "./heat.js";

const MOST_BARS = 5;
const SPOKEN_EVERY_MS = 2000;

export class Answer {
  constructor(spec) {
    this.spec = spec;
    this.least = spec.min_confidence?.suggested ?? null;
    this.spokenAt = -SPOKEN_EVERY_MS;
    this.spoken = "";
    if (spec.map) {
      $("evidence").hidden = false;
      $("evidence-on").addEventListener("change", () => this.last && this.show(this.last));
    }
    if (this.least === null) return;
    const { accuracy, coverage, images } = spec.min_confidence;
    $("threshold").hidden = false;
    $("threshold-text").textContent =
      `Show “unknown” below ${percent(this.least)}. ${percent(coverage)} of ${images} test photos reach this confidence, ` +
      `and ${percent(accuracy)} of these are predicted correctly.`;
    $("threshold-on").addEventListener("change", () => this.last && this.show(this.last));
  }

  /** Called when a photo will be classified. */
  expect(file) {
    const photo = $("photo");
    URL.revokeObjectURL(photo.src);
    photo.src = URL.createObjectURL(file);
    photo.alt = file.name ? `The photo ${file.name}` : "The photo";
    photo.hidden = false;
    $("invitation").hidden = true;
    document.body.classList.add("busy");
  }

  clear() {
    this.last = null;
    document.body.classList.remove("busy");
    $("photo").hidden = true;
    $("invitation").hidden = false;
    $("result").hidden = true;
    $("waiting").hidden = false;
  }

  /** @param {{probabilities: Float32Array, map: ?object, pixels: object, times: object}} result */
  show(result) {
    this.last = result;
    document.body.classList.remove("busy");
    const { probabilities } = result;
    const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    const best = order[0];
    const isUnknown = this.least !== null && $("threshold-on").checked && probabilities[best] < this.least;
    const label = this.spec.labels[best];
    $("waiting").hidden = true;
    $("result").hidden = false;
    $("result").classList.toggle("unknown", isUnknown);
    $("label").replaceChildren(element("bdi", {}, isUnknown ? "Unknown" : label));
    $("note").replaceChildren(
      ...(isUnknown
        ? ["Most probable: ", element("bdi", {}, label), `, with a confidence of ${percent(probabilities[best])}`]
        : [`Confidence: ${percent(probabilities[best])}`]),
    );
    this.showBars(order.slice(0, MOST_BARS), probabilities);
    showTimes(result.times);
    this.showSeen(result, best);
    this.speak(isUnknown ? "Unknown" : `${label}, ${percent(probabilities[best])}`);
  }

  /** Shows the input of the model, and the evidence for the most probable class in it. */
  showSeen({ pixels, map }, best) {
    const explained = Boolean(map) && $("evidence-on").checked;
    $("seen-box").classList.toggle("explained", explained);
    $("ramp").hidden = !explained;
    showPixels(pixels, explained ? overlay(pixels, map, best) : opaque(pixels));
    const where = explained ? strongest(map, best) : "";
    const said = where ? `it is strongest ${where}` : "there is none in this photo";
    $("seen").setAttribute(
      "aria-label",
      explained ? `Input of the model, with the evidence for ${this.spec.labels[best]} in colour: ${said}` : "Input of the model",
    );
  }

  showBars(order, probabilities) {
    const bars = $("bars");
    while (bars.children.length < order.length) {
      bars.append(element("li", {}, element("bdi"), element("span"), element("i", { "aria-hidden": "true" })));
    }
    order.forEach((place, row) => {
      const [name, share, bar] = bars.children[row].children;
      name.textContent = this.spec.labels[place];
      share.textContent = percent(probabilities[place]);
      bar.style.setProperty("--share", probabilities[place]);
    });
  }

  /** Announces a prediction. For a camera, only changed predictions are announced, and not too often. */
  speak(text) {
    const now = performance.now();
    const isFrame = !$("video").hidden;
    if (isFrame && (now - this.spokenAt < SPOKEN_EVERY_MS || text.split(",")[0] === this.spoken.split(",")[0])) return;
    [this.spokenAt, this.spoken] = [now, text];
    $("spoken").textContent = text;
  }
}

function showTimes(times) {
  const rows = { Model: times.model, Decode: times.decode, Resize: times.resize };
  const milliseconds = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
  $("times").replaceChildren(
    ...Object.entries(rows).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, `${milliseconds(value)} ms`)),
    ),
  );
}

function showPixels({ width, height }, shown) {
  const canvas = $("seen");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(shown, width, height), 0, 0);
}

/** Converts RGB to RGBA. */
function opaque({ data, width, height }) {
  const shown = new Uint8ClampedArray(width * height * 4);
  for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
    shown[j] = data[i];
    shown[j + 1] = data[i + 1];
    shown[j + 2] = data[i + 2];
    shown[j + 3] = 255;
  }
  return shown;
}
