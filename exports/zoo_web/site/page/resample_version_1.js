// The arithmetic of image specifications of version 1, with which older models were trained.
//
// It reproduces that of OpenCV on x86. Averaging is in single precision, which `Math.fround` after every operation
// ensures; bilinear has weights of 11 bits and truncates. Both give exactly the values of OpenCV. Bicubic does not: OpenCV
// has several implementations, depending on the processor, which differ by one level.

const DOUBLE_EPSILON = 2 ** -52;
const CHANNELS = 3;
const f32 = Math.fround;

/**
 * @param {import("./resize.js").Picture} picture
 * @returns {import("./resize.js").Picture}
 */
export function resample(picture, height, width, interpolation) {
  if (interpolation === "bicubic") return interpolate(picture, height, width, bicubic);
  if (interpolation === "bilinear") return bilinearOrHalf(picture, height, width);
  if (interpolation === "area") {
    // Axes that shrink are resized first, because OpenCV does not average at all if one axis grows.
    const smaller = average(picture, Math.min(height, picture.height), Math.min(width, picture.width));
    return bilinearOrHalf(smaller, height, width);
  }
  throw new Error(`The interpolation "${interpolation}" is not supported.`);
}

// Averaging

function average(picture, height, width) {
  if (picture.height === height && picture.width === width) return picture;
  const ratioX = ratio(picture.width, width);
  const ratioY = ratio(picture.height, height);
  const [wholeX, wholeY] = [roundHalfEven(ratioX), roundHalfEven(ratioY)];
  const areWhole = Math.abs(ratioX - wholeX) < DOUBLE_EPSILON && Math.abs(ratioY - wholeY) < DOUBLE_EPSILON;
  return areWhole ? averageBlocks(picture, height, width, wholeY, wholeX) : averageCells(picture, height, width);
}

/** The ratio as OpenCV computes it: one divided by the inverse ratio. */
function ratio(from, to) {
  return 1 / (to / from);
}

function averageBlocks(picture, height, width, blockHeight, blockWidth) {
  const source = picture.data;
  const data = new Uint8Array(height * width * CHANNELS);
  const stride = picture.width * CHANNELS;
  const share = f32(1 / (blockHeight * blockWidth));
  const isHalf = blockHeight === 2 && blockWidth === 2;
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const corner = y * blockHeight * stride + x * blockWidth * CHANNELS;
      for (let channel = 0; channel < CHANNELS; channel++) {
        let sum = 0;
        for (let row = 0; row < blockHeight; row++) {
          const start = corner + row * stride + channel;
          for (let column = 0; column < blockWidth; column++) sum += source[start + column * CHANNELS];
        }
        data[at++] = isHalf ? (sum + 2) >> 2 : toByte(f32(sum * share));
      }
    }
  }
  return { data, width, height };
}

function averageCells(picture, height, width) {
  const columns = cells(picture.width, width);
  const rows = cells(picture.height, height);
  const source = picture.data;
  const length = width * CHANNELS;
  const data = new Uint8Array(height * length);
  const line = new Float32Array(length);
  const sum = new Float32Array(length);
  for (let entry = 0; entry < rows.from.length; entry++) {
    const start = rows.from[entry] * picture.width * CHANNELS;
    line.fill(0);
    for (let k = 0; k < columns.from.length; k++) {
      const share = columns.share[k];
      const s = start + columns.from[k] * CHANNELS;
      const d = columns.to[k] * CHANNELS;
      line[d] += f32(source[s] * share);
      line[d + 1] += f32(source[s + 1] * share);
      line[d + 2] += f32(source[s + 2] * share);
    }
    const share = rows.share[entry];
    const y = rows.to[entry];
    if (entry === 0 || rows.to[entry - 1] !== y) {
      for (let x = 0; x < length; x++) sum[x] = share * line[x];
    } else {
      for (let x = 0; x < length; x++) sum[x] += f32(share * line[x]);
    }
    if (entry === rows.to.length - 1 || rows.to[entry + 1] !== y) {
      for (let x = 0; x < length; x++) data[y * length + x] = toByte(sum[x]);
    }
  }
  return { data, width, height };
}

/** Which source pixels of an axis are averaged to which pixels, with their shares. Shares below 0.001 are left out. */
function cells(from, to) {
  const step = ratio(from, to);
  const table = { from: [], to: [], share: [] };
  const add = (source, target, share) => {
    table.from.push(source);
    table.to.push(target);
    table.share.push(f32(share));
  };
  for (let target = 0; target < to; target++) {
    const start = target * step;
    const end = start + step;
    const size = Math.min(step, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    if (first - start > 1e-3) add(first - 1, target, (first - start) / size);
    for (let source = first; source < last; source++) add(source, target, 1 / size);
    if (end - last > 1e-3) add(last, target, Math.min(Math.min(end - last, 1), size) / size);
  }
  return { from: Int32Array.from(table.from), to: Int32Array.from(table.to), share: Float32Array.from(table.share) };
}

// Interpolation

function bilinearOrHalf(picture, height, width) {
  // If the size is exactly halved in both directions, OpenCV always averages.
  if (ratio(picture.width, width) === 2 && ratio(picture.height, height) === 2) return average(picture, height, width);
  return interpolate(picture, height, width, bilinear);
}

const WEIGHT_ONE = 2048;
const bilinear = {
  reach: 2,
  stopsAtEdge: true,
  position: f32,
  line: Int32Array,
  weights: (x) => [f32(1 - x), x].map((weight) => roundHalfEven(weight * WEIGHT_ONE)),
  blend: (lines, weights, x) =>
    (((weights[0] * (lines[0][x] >> 4)) >> 16) + ((weights[1] * (lines[1][x] >> 4)) >> 16) + 2) >> 2,
};

const CUBIC_A = -0.75;
const bicubic = {
  reach: 4,
  stopsAtEdge: false,
  position: Number,
  line: Float32Array,
  weights: (x) => {
    const inner = (t) => ((CUBIC_A + 2) * t - (CUBIC_A + 3)) * t * t + 1;
    const outer = (t) => ((CUBIC_A * t - 5 * CUBIC_A) * t + 8 * CUBIC_A) * t - 4 * CUBIC_A;
    const weights = [outer(x + 1), inner(x), inner(1 - x)];
    return [...weights, 1 - weights[0] - weights[1] - weights[2]];
  },
  blend: (lines, weights, x) =>
    roundHalfEven(
      lines[0][x] * weights[0] + lines[1][x] * weights[1] + lines[2][x] * weights[2] + lines[3][x] * weights[3],
    ),
};

function interpolate(picture, height, width, kernel) {
  if (picture.height === height && picture.width === width) return picture;
  const { reach } = kernel;
  const columns = taps(picture.width, width, kernel, kernel.stopsAtEdge);
  const rows = taps(picture.height, height, kernel, false);
  const length = width * CHANNELS;
  const data = new Uint8ClampedArray(height * length);
  const lines = new Map(); // lines of the source, already resized in width
  for (let y = 0; y < height; y++) {
    const wanted = rows.at.subarray(y * reach, (y + 1) * reach);
    for (const known of lines.keys()) if (known < wanted[0]) lines.delete(known);
    for (const row of wanted) if (!lines.has(row)) lines.set(row, widened(picture, row, columns, width, kernel));
    const used = Array.from(wanted, (row) => lines.get(row));
    const weights = rows.weight.subarray(y * reach, (y + 1) * reach);
    for (let x = 0; x < length; x++) data[y * length + x] = kernel.blend(used, weights, x);
  }
  return { data: new Uint8Array(data.buffer), width, height };
}

function widened(picture, row, columns, width, { reach, line: Line }) {
  const line = new Line(width * CHANNELS);
  const start = row * picture.width * CHANNELS;
  for (let x = 0; x < width; x++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      let sum = 0;
      for (let tap = x * reach; tap < (x + 1) * reach; tap++) {
        sum += picture.data[start + columns.at[tap] * CHANNELS + channel] * columns.weight[tap];
      }
      line[x * CHANNELS + channel] = sum;
    }
  }
  return line;
}

/**
 * For every pixel of an axis, the source pixels from which it is computed, and their weights.
 *
 * Positions outside the picture use the outermost pixel. For columns, OpenCV gives this pixel the whole weight at once
 * (`stopsAtEdge`), which differs only by rounding.
 */
function taps(from, to, { reach, position, weights }, stopsAtEdge) {
  const step = ratio(from, to);
  const at = new Int32Array(to * reach);
  const weight = new Float64Array(to * reach);
  for (let target = 0; target < to; target++) {
    const centre = position((target + 0.5) * step - 0.5);
    let first = Math.floor(centre);
    let rest = position(centre - first);
    if (stopsAtEdge && first < 0) [first, rest] = [0, 0];
    if (stopsAtEdge && first >= from - 1) [first, rest] = [from - 1, 0];
    weights(rest).forEach((value, tap) => {
      const place = first + tap - (reach / 2 - 1);
      at[target * reach + tap] = Math.min(Math.max(place, 0), from - 1);
      weight[target * reach + tap] = value;
    });
  }
  return { at, weight };
}

function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.floor(value + 0.5);
  return below % 2 === 0 ? below : below + 1;
}

function toByte(value) {
  return Math.min(Math.max(roundHalfEven(value), 0), 255);
}
