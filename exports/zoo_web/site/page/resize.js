// Resizes a picture to an image specification, with the same values as `zoo.images.resize`.

import { resample } from "./resample.js";
import { resample as resampleVersion1 } from "./resample_version_1.js";

const PAD_VALUE = 114;
const CROP_MARGIN = [256, 224];
const LONGEST_BEFORE_CROP = 4;
const CHANNELS = 3;
const RESAMPLE = { 1: resampleVersion1, 2: resample };

/**
 * @typedef {{data: Uint8Array, width: number, height: number}} Picture RGB, row by row.
 *
 * @param {Picture} picture of any size from 1 x 1
 * @param {{height_px: number, width_px: number, resize: string, interpolation: string, version: number}} rule
 * @returns {Picture} of the rule's size
 */
export function resize(picture, rule) {
  const { height_px: height, width_px: width } = rule;
  const version = RESAMPLE[rule.version];
  if (!version) throw new Error(`Version ${rule.version} of the image specification is not supported.`);
  const scale = (part, toHeight, toWidth) => version(part, toHeight, toWidth, rule.interpolation);
  if (rule.resize === "crop") return crop(picture, height, width, scale);
  if (rule.resize === "letterbox") return letterbox(picture, height, width, scale);
  if (rule.resize === "squash") return scale(picture, height, width);
  throw new Error(`The resize rule "${rule.resize}" is not supported.`);
}

function crop(picture, height, width, scale) {
  let coverHeight = scaled(height, ...CROP_MARGIN);
  let coverWidth = scaled(width, ...CROP_MARGIN);
  const trimmed = trim(picture, coverHeight, coverWidth);
  if (coverHeight * trimmed.width >= coverWidth * trimmed.height) {
    coverWidth = scaled(trimmed.width, coverHeight, trimmed.height);
  } else {
    coverHeight = scaled(trimmed.height, coverWidth, trimmed.width);
  }
  return centre(scale(trimmed, coverHeight, coverWidth), height, width);
}

function trim(picture, coverHeight, coverWidth) {
  const { width, height } = picture;
  const longestWidth = Math.max(Math.floor((height * coverWidth * LONGEST_BEFORE_CROP) / coverHeight), 1);
  const longestHeight = Math.max(Math.floor((width * coverHeight * LONGEST_BEFORE_CROP) / coverWidth), 1);
  // An even number of pixels is trimmed, so that the centre does not move.
  const keepHeight = height <= longestHeight ? height : longestHeight + ((height - longestHeight) % 2);
  const keepWidth = width <= longestWidth ? width : longestWidth + ((width - longestWidth) % 2);
  return centre(picture, keepHeight, keepWidth);
}

function letterbox(picture, height, width, scale) {
  let innerHeight = height;
  let innerWidth = width;
  if (height * picture.width >= width * picture.height) {
    innerHeight = scaled(picture.height, width, picture.width);
  } else {
    innerWidth = scaled(picture.width, height, picture.height);
  }
  const inner = scale(picture, innerHeight, innerWidth);
  const data = new Uint8Array(height * width * CHANNELS).fill(PAD_VALUE);
  const top = Math.floor((height - innerHeight) / 2);
  const left = Math.floor((width - innerWidth) / 2);
  const row = innerWidth * CHANNELS;
  for (let y = 0; y < innerHeight; y++) {
    data.set(inner.data.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * CHANNELS);
  }
  return { data, width, height };
}

/** `length * numerator / denominator` to the nearest pixel, halves up, at least 1. */
function scaled(length, numerator, denominator) {
  return Math.max(Math.floor((2 * length * numerator + denominator) / (2 * denominator)), 1);
}

function centre(picture, height, width) {
  if (picture.height === height && picture.width === width) return picture;
  const top = Math.floor((picture.height - height) / 2);
  const left = Math.floor((picture.width - width) / 2);
  const row = width * CHANNELS;
  const data = new Uint8Array(height * row);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * picture.width + left) * CHANNELS;
    data.set(picture.data.subarray(start, start + row), y * row);
  }
  return { data, width, height };
}
