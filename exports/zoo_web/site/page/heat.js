// Draws the evidence for a class on the input of the model.

const OPACITY = 0.8;

/** Nine colours of "inferno", which look evenly spaced, from no evidence to the most. */
const COLOURS = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
];

/**
 * @param {{data: Uint8Array, width: number, height: number}} pixels RGB
 * @param {{data: Float32Array, dims: number[]}} map 1 x height x width x classes
 * @param {number} place of the class
 * @returns {Uint8ClampedArray} RGBA: the pixels in gray with the evidence in colour
 */
export function overlay({ data, width, height }, map, place) {
  const sample = sampler(map, place);
  const shown = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, i = 0, j = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i += 3, j += 4) {
      const gray = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
      const heat = sample((x + 0.5) / width, (y + 0.5) / height);
      const share = OPACITY * heat;
      const colour = colourOf(heat);
      for (let channel = 0; channel < 3; channel++) {
        shown[j + channel] = gray * (1 - share) + colour[channel] * share;
      }
      shown[j + 3] = 255;
    }
  }
  return shown;
}

/** The position of the strongest evidence in words. Empty if there is no evidence. */
export function strongest(map, place) {
  const [, rows, columns, classes] = map.dims;
  let best = -1;
  let most = 0;
  for (let cell = 0; cell < rows * columns; cell++) {
    const value = map.data[cell * classes + place];
    if (value > most) [best, most] = [cell, value];
  }
  if (best < 0) return "";
  const third = (at, count) => Math.floor((3 * (at + 0.5)) / count);
  const row = ["top", "", "bottom"][third(Math.floor(best / columns), rows)];
  const column = ["left", "", "right"][third(best % columns, columns)];
  const words = [row, column].filter(Boolean).join(" ");
  return words ? `at the ${words}` : "in the middle";
}

/**
 * A function that interpolates the evidence, as a share (0 to 1) of the strongest, at a position in shares (0 to 1) of
 * width and height.
 */
function sampler({ data, dims }, place) {
  const [, rows, columns, classes] = dims;
  const at = (row, column) => Math.max(data[(row * columns + column) * classes + place], 0);
  let most = 0;
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) most = Math.max(most, at(row, column));
  const between = (share, count) => {
    const where = Math.min(Math.max(share * count - 0.5, 0), count - 1);
    const first = Math.floor(where);
    return [first, Math.min(first + 1, count - 1), where - first];
  };
  return (across, down) => {
    if (!most) return 0;
    const [top, bottom, low] = between(down, rows);
    const [left, right, far] = between(across, columns);
    const above = at(top, left) * (1 - far) + at(top, right) * far;
    const below = at(bottom, left) * (1 - far) + at(bottom, right) * far;
    return (above * (1 - low) + below * low) / most;
  };
}

function colourOf(heat) {
  const where = Math.min(Math.max(heat, 0), 1) * (COLOURS.length - 1);
  const first = Math.min(Math.floor(where), COLOURS.length - 2);
  const rest = where - first;
  return COLOURS[first].map((value, channel) => value * (1 - rest) + COLOURS[first + 1][channel] * rest);
}
