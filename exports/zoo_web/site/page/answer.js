// Shows what the model says of a picture.

import { $, element, percent } from "./elements.js";

const MOST_BARS = 5;
const SPOKEN_EVERY_MS = 2000;

export class Answer {
  constructor(spec) {
    this.spec = spec;
    this.least = spec.min_confidence?.suggested ?? null;
    this.spokenAt = -SPOKEN_EVERY_MS;
    this.spoken = "";
    if (this.least === null) return;
    const { accuracy, coverage, images } = spec.min_confidence;
    $("threshold").hidden = false;
    $("threshold-text").textContent =
      `Say “unknown” below ${percent(this.least)}: of ${images} test photos it answered ${percent(coverage)} then, ` +
      `and was right on ${percent(accuracy)} of these.`;
    $("threshold-on").addEventListener("change", () => this.last && this.show(this.last));
  }

  /** A photo is on its way. */
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

  /** @param {{probabilities: Float32Array, pixels: object, times: object}} result */
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
        ? ["Perhaps ", element("bdi", {}, label), `, ${percent(probabilities[best])}: too unsure to say.`]
        : [`${percent(probabilities[best])} sure`]),
    );
    this.showBars(order.slice(0, MOST_BARS), probabilities);
    showTimes(result.times);
    showPixels(result.pixels);
    this.speak(isUnknown ? "Unknown" : `${label}, ${percent(probabilities[best])}`);
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

  /** Not every frame of a camera: only another answer, and not too often. */
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

function showPixels({ data, width, height }) {
  const canvas = $("seen");
  [canvas.width, canvas.height] = [width, height];
  const shown = new ImageData(width, height);
  for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
    shown.data[j] = data[i];
    shown.data[j + 1] = data[i + 1];
    shown.data[j + 2] = data[i + 2];
    shown.data[j + 3] = 255;
  }
  canvas.getContext("2d").putImageData(shown, 0, 0);
}
