// All slow work is done here, so that the page stays responsive. Requests and responses are matched by number.

import { readSpec } from "./bundle.js";
import { Model, RUNTIME } from "./model.js";
import { decode, pixelsOf } from "./picture.js";
import { resize } from "./resize.js";
import { selftest } from "./selftest.js";

let spec;
let model;

const TASKS = {
  async open() {
    spec = await readSpec();
    postMessage({ spec, runtime: RUNTIME });
    model = await Model.open(spec, (loaded, total) => postMessage({ loaded, total }));
    await model.predict(new Uint8Array(spec.image.height_px * spec.image.width_px * 3)); // the first prediction is slower
  },

  /** Classifies a file or a camera frame. */
  async classify(picture) {
    const begun = performance.now();
    const decoded = picture instanceof Blob ? await decode(picture) : frame(picture);
    const seen = performance.now();
    const pixels = resize(decoded, spec.image);
    const resized = performance.now();
    const { probabilities, map } = await model.explain(pixels.data);
    const times = { decode: seen - begun, resize: resized - seen, model: performance.now() - resized };
    return { probabilities, map, pixels, times };
  },

  selftest: () => selftest(spec, model),
};

function frame(bitmap) {
  const decoded = pixelsOf(bitmap);
  bitmap.close();
  return decoded;
}

async function carryOut({ number, task, given }) {
  try {
    postMessage({ number, result: await TASKS[task](given) });
  } catch (error) {
    postMessage({ number, problem: error.message || String(error) });
  }
}

// Requests are handled one at a time, because there is only one model.
let before = Promise.resolve();
self.onmessage = ({ data }) => (before = before.then(() => carryOut(data)));
