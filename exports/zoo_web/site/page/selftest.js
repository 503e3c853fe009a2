// Checks whether this browser predicts like the machine that exported the file: first the files, then decoding and
// resizing, then the model. Each step gets the expected result of the step before, so that only the faulty one fails.

import { isServed, problemOf, readFile } from "./bundle.js";
import { likeliest } from "./model.js";
import { readNpy } from "./npy.js";
import { decode } from "./picture.js";
import { resize } from "./resize.js";

const VERSION = 1;

/**
 * @returns {Promise<object>} `passed`; `files`: `{passed, found}`; `tolerance`; `pictures`: for each its `file`, `label`,
 *   `pixels` (`{max, mean, passed}`, or `{problem}`) and `probabilities` (`{max, keras, label, passed}`, or `{problem}`)
 */
export async function selftest(spec, model) {
  const files = await checkFiles(spec);
  const golden = await readGolden(spec);
  const pictures = [];
  for (const [place, image] of golden.images.entries()) {
    const pixels = await checkPixels(spec, golden, place, image);
    const probabilities = await checkModel(spec, model, golden, place, image);
    pictures.push({ file: image.file, label: image.answer, pixels, probabilities });
  }
  const passed = files.passed && pictures.every(({ pixels, probabilities }) => pixels.passed && probabilities.passed);
  return { passed, files, tolerance: golden.tolerance, pictures };
}

async function checkFiles(spec) {
  const names = Object.keys(spec.files).filter((name) => isServed(spec, name));
  let unchecked = 0;
  const problems = [];
  for (const name of names) {
    try {
      const problem = await problemOf(spec, name, await readFile(spec, name));
      if (problem === null) unchecked++;
      else if (problem) problems.push(problem);
    } catch (error) {
      problems.push(error.message);
    }
  }
  if (problems.length) return { passed: false, found: problems.join(" ") };
  const found = unchecked
    ? `All ${names.length} have the right size. Browsers compute checksums only for https and localhost.`
    : `All ${names.length} are unchanged.`;
  return { passed: true, found };
}

async function readGolden(spec) {
  const file = (name) => readFile(spec, `golden/${name}`);
  const golden = JSON.parse(new TextDecoder().decode(await file("golden.json")));
  if (golden.version !== VERSION) throw new Error(`Version ${golden.version} of the golden vectors is not supported.`);
  const { height_px: height, width_px: width } = spec.image;
  const count = golden.images.length;
  const shapes = {
    pixels: [count, height, width, 3],
    probabilities: [count, spec.labels.length],
    keras: [count, spec.labels.length],
  };
  if (spec.map) shapes.map = [count, ...spec.map.shape.slice(1, 3)];
  const arrays = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const array = readNpy(await file(golden.arrays[name]));
    if (String(array.shape) !== String(shape)) throw new Error(`golden/${golden.arrays[name]} has the shape ${array.shape}.`);
    const size = array.data.length / count;
    arrays[name] = (place) => array.data.subarray(place * size, (place + 1) * size);
  }
  return { ...golden, arrays };
}

async function checkPixels(spec, golden, place, image) {
  try {
    const file = new Blob([await readFile(spec, `golden/${image.file}`)]);
    const made = resize(await decode(file), spec.image).data;
    const difference = compare(made, golden.arrays.pixels(place));
    return { ...difference, passed: difference.max <= golden.tolerance.pixels };
  } catch (error) {
    return { problem: error.message, passed: false };
  }
}

async function checkModel(spec, model, golden, place, image) {
  try {
    const { probabilities: made, map } = await model.explain(golden.arrays.pixels(place));
    const { max } = compare(made, golden.arrays.probabilities(place));
    const label = spec.labels[likeliest(made)];
    // A drawn picture has no correct class, and two classes may be so close that they change places within the tolerance.
    const isSame = label === image.answer || image.origin === "drawn";
    const keras = compare(made, golden.arrays.keras(place)).max;
    const mapped = map ? compareMap(map, likeliest(golden.arrays.probabilities(place)), golden.arrays.map(place)) : 0;
    const isMapped = !map || mapped <= golden.tolerance.map;
    return { max, keras, label, map: mapped, passed: max <= golden.tolerance.probabilities && isSame && isMapped };
  } catch (error) {
    return { problem: error.message, passed: false };
  }
}

/** The largest difference at a position of the map of a class, as a share of the strongest evidence. */
function compareMap({ data, dims }, place, expected) {
  const made = Float32Array.from(expected, (_, cell) => data[cell * dims[3] + place]);
  const strongest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  return compare(made, expected).max / strongest;
}

/** The largest and the mean absolute difference. */
function compare(made, expected) {
  let max = 0;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(made[i] - expected[i]);
    sum += difference;
    if (difference > max) max = difference;
  }
  return { max, mean: sum / expected.length };
}
