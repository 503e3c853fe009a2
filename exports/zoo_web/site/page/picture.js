// Decodes a picture file or a camera frame to RGB pixels, like `zoo.images.decode` but with the browser's decoder.

import { HEAD_BYTES, PictureError, identify, openContainer } from "./container.js";

const STRIP_PIXELS = 2 ** 22;
const TYPES = { JPEG: "jpeg", PNG: "png", WebP: "webp", GIF: "gif", BMP: "bmp", AVIF: "avif", TIFF: "tiff" };

/** Pixels as they are stored in the file: no colour profile is applied, and transparent pixels keep their colours. */
const UNTOUCHED = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

/**
 * @param {Blob} file
 * @returns {Promise<import("./resize.js").Picture>} upright, transparency on white
 */
export async function decode(file) {
  identify(await read(file.slice(0, HEAD_BYTES))); // so that a video is not read completely
  const { format, bytes, orientation, others } = openContainer(await read(file));
  if (others) await refuseDifferent(bytes, others);
  let bitmap;
  try {
    bitmap = await bitmapOf(bytes, format);
  } catch {
    throw new PictureError(
      format === "TIFF"
        ? "This browser cannot read TIFF. Save the picture as JPEG or PNG."
        : `This browser cannot decode the file: a damaged, unusual or very large ${format}.`,
    );
  }
  try {
    return pixelsOf(bitmap, orientation);
  } finally {
    bitmap.close();
  }
}

function bitmapOf(bytes, format) {
  return createImageBitmap(new Blob([bytes], { type: `image/${TYPES[format]}` }), UNTOUCHED);
}

/** Throws an error unless all of these JPEG files show the same picture. */
async function refuseDifferent(bytes, others) {
  let expected;
  for (const one of [bytes, ...others]) {
    let data;
    try {
      const bitmap = await bitmapOf(one, "JPEG");
      ({ data } = pixelsOf(bitmap));
      bitmap.close();
    } catch {
      throw new PictureError("The file is a truncated JPEG.");
    }
    expected ??= data;
    if (data.some((value, place) => value !== expected[place])) throw new PictureError("The file is a truncated JPEG.");
  }
}

async function read(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} orientation as in EXIF, must still be applied
 * @returns {import("./resize.js").Picture}
 */
export function pixelsOf(bitmap, orientation = 1) {
  const { width, height } = bitmap;
  const turned = turn(width, height, orientation);
  const data = new Uint8Array(width * height * 3);
  // In strips, because the size of a canvas is limited, and a canvas needs a third more memory.
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, count);
    context.drawImage(bitmap, 0, -top);
    const rgba = context.getImageData(0, 0, width, count).data;
    for (let y = 0, from = 0; y < count; y++) {
      let to = turned.start + (top + y) * turned.down;
      for (let x = 0; x < width; x++, from += 4, to += turned.right) {
        data[to] = rgba[from];
        data[to + 1] = rgba[from + 1];
        data[to + 2] = rgba[from + 2];
      }
    }
  }
  return { data, width: turned.width, height: turned.height };
}

/** The index of the first pixel in the result, and the steps from a pixel to the ones on its right and below it. */
function turn(width, height, orientation) {
  const isOnSide = orientation >= 5;
  const [outWidth, outHeight] = isOnSide ? [height, width] : [width, height];
  // The sides of the result at which the first row and the first column are.
  const fromRight = [2, 3, 6, 7].includes(orientation);
  const fromBottom = [3, 4, 7, 8].includes(orientation);
  const across = fromRight ? -3 : 3;
  const along = (fromBottom ? -3 : 3) * outWidth;
  return {
    width: outWidth,
    height: outHeight,
    start: (fromRight ? (outWidth - 1) * 3 : 0) + (fromBottom ? (outHeight - 1) * outWidth * 3 : 0),
    right: isOnSide ? along : across,
    down: isOnSide ? across : along,
  };
}
