// Resizes with whole numbers, with the same values as `zoo.images.resample`.
//
// Along each axis, a pixel of the result is a sum of pixels of the source, each multiplied by a whole number. The sum over
// both axes is exact, because it stays below 2 ** 53, and is divided and rounded once, halves up.

const CHANNELS = 3;
const BILINEAR_ONE = 256;
const CUBIC_ONE = 2048;
const CUBIC_A = -0.75;

/**
 * @param {import("./resize.js").Picture} picture
 * @returns {import("./resize.js").Picture}
 */
export function resample(picture, height, width, interpolation) {
  if (interpolation === "bicubic") return sums(picture, height, width, bicubic);
  if (interpolation === "bilinear") return sums(picture, height, width, bilinear);
  if (interpolation === "area") {
    // An axis that shrinks is averaged first, then one that grows is interpolated.
    const smaller = sums(picture, Math.min(height, picture.height), Math.min(width, picture.width), mean);
    return sums(smaller, height, width, bilinear);
  }
  throw new Error(`The interpolation "${interpolation}" is not supported.`);
}

/**
 * @typedef {{first: number, weights: number[]}} Parts the pixels of the source that one pixel of the result is made of
 *
 * @param {(from: number, to: number) => {one: number, parts: Parts[]}} kernel
 */
function sums(picture, height, width, kernel) {
  if (picture.height === height && picture.width === width) return picture;
  const columns = kernel(picture.width, width);
  const rows = kernel(picture.height, height);
  const whole = columns.one * rows.one;
  const half = Math.floor(whole / 2);
  const length = width * CHANNELS;
  const data = new Uint8ClampedArray(height * length);
  const total = new Float64Array(length);
  const lines = new Map(); // lines of the source, already resized in width
  rows.parts.forEach(({ first, weights }, y) => {
    for (const known of lines.keys()) if (known < first) lines.delete(known);
    total.fill(half);
    weights.forEach((weight, place) => {
      const row = clamp(first + place, picture.height);
      if (!lines.has(row)) lines.set(row, widened(picture, row, columns.parts));
      const line = lines.get(row);
      for (let x = 0; x < length; x++) total[x] += weight * line[x];
    });
    for (let x = 0; x < length; x++) data[y * length + x] = Math.floor(total[x] / whole);
  });
  return { data: new Uint8Array(data.buffer), width, height };
}

function widened(picture, row, parts) {
  const line = new Float64Array(parts.length * CHANNELS);
  const start = row * picture.width * CHANNELS;
  parts.forEach(({ first, weights }, x) => {
    let [red, green, blue] = [0, 0, 0];
    for (let place = 0; place < weights.length; place++) {
      const at = start + clamp(first + place, picture.width) * CHANNELS;
      const weight = weights[place];
      red += weight * picture.data[at];
      green += weight * picture.data[at + 1];
      blue += weight * picture.data[at + 2];
    }
    line[x * CHANNELS] = red;
    line[x * CHANNELS + 1] = green;
    line[x * CHANNELS + 2] = blue;
  });
  return line;
}

/** Positions outside the picture use the outermost pixel. */
function clamp(place, length) {
  return Math.min(Math.max(place, 0), length - 1);
}

/** The pixels that each part of an axis covers, in units of one pixel divided by `to`. */
function mean(from, to) {
  const parts = axis(to, (x) => {
    const first = Math.floor((x * from) / to);
    const last = Math.ceil(((x + 1) * from) / to);
    const weights = axis(last - first, (place) => {
      const source = first + place;
      return Math.min((x + 1) * from, (source + 1) * to) - Math.max(x * from, source * to);
    });
    return { first, weights };
  });
  return { one: from, parts };
}

function bilinear(from, to) {
  const step = 1 / (to / from); // as OpenCV computes it
  const parts = axis(to, (x) => {
    const centre = (x + 0.5) * step - 0.5;
    const first = Math.floor(centre);
    const second = roundHalfEven((centre - first) * BILINEAR_ONE);
    return { first, weights: [BILINEAR_ONE - second, second] };
  });
  return { one: BILINEAR_ONE, parts };
}

function bicubic(from, to) {
  const parts = axis(to, (x) => {
    const centre = (2 * x + 1) * from - to; // in units of half a pixel divided by `to`
    const first = Math.floor(centre / (2 * to));
    const rest = (centre - first * 2 * to) / (2 * to);
    const weight = (share) => Math.floor(share * CUBIC_ONE + 0.5);
    const before = weight(CUBIC_A * rest * (1 - rest) * (1 - rest));
    const nearest = weight(((CUBIC_A + 2) * rest - (CUBIC_A + 3)) * rest * rest + 1);
    const last = weight(CUBIC_A * rest * rest * (1 - rest));
    return { first: first - 1, weights: [before, nearest, CUBIC_ONE - before - nearest - last, last] };
  });
  return { one: CUBIC_ONE, parts };
}

function axis(length, make) {
  return Array.from({ length }, (_, place) => make(place));
}

function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.floor(value + 0.5);
  return below % 2 === 0 ? below : below + 1;
}
