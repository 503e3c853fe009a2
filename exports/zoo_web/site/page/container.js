// Removes from a picture file what browsers handle differently: the orientation, which is read first, and colour profiles,
// which zoo does not apply. Files that `zoo.images` refuses are refused here, with the same messages.

/** The file is not a usable picture. The message tells the user why. */
export class PictureError extends Error {}

/**
 * @param {Uint8Array} bytes of the whole file; its name is not used
 * @returns {{format: string, bytes: Uint8Array, orientation: number, others?: Uint8Array[]}} orientation: as in
 *   EXIF, 1 to 8, which must still be applied; others: files that must show the same picture, because otherwise more than
 *   the end mark is missing
 */
export function openContainer(bytes) {
  const format = identify(bytes);
  try {
    const plain = { JPEG: plainJpeg, PNG: plainPng, WebP: plainWebp }[format] ?? asItIs;
    return { format, ...plain(bytes) };
  } catch (error) {
    if (error instanceof RangeError) throw new PictureError(`The file is a truncated ${format}.`);
    throw error;
  }
}

const asItIs = (bytes) => ({ bytes, orientation: 1 });

// File types

const SIGNATURES = [
  ["JPEG", 0, [0xff, 0xd8, 0xff]],
  ["PNG", 0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["GIF", 0, "GIF8"],
  ["WebP", 8, "WEBP"],
  ["BMP", 0, "BM"],
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["TIFF", 0, "II+\0"],
  ["TIFF", 0, "MM\0+"],
];
const OTHERS = [
  ["JPEG XL", 4, "JXL "],
  ["JPEG XL", 0, [0xff, 0x0a]],
  ["JPEG 2000", 4, "jP  "],
  ["Photoshop", 0, "8BPS"],
  ["PDF", 0, "%PDF"],
  ["ZIP", 0, "PK\x03\x04"],
  ["Matroska or WebM", 0, [0x1a, 0x45, 0xdf, 0xa3]],
];
export const HEAD_BYTES = 512;

const HEIF_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];
const READABLE = "Choose a JPEG, PNG, WebP, GIF, BMP or AVIF.";

/**
 * @param {Uint8Array} bytes the first `HEAD_BYTES` of a file, or all bytes
 * @returns {string} the format of a picture
 */
export function identify(bytes) {
  if (bytes.length === 0) throw new PictureError("The file is empty.");
  const starts = ([, at, signature]) =>
    Array.from(signature, (c) => (typeof c === "string" ? c.charCodeAt(0) : c)).every((c, i) => bytes[at + i] === c);
  const known = SIGNATURES.find(starts);
  if (known) return known[0];
  if (text(bytes, 4, 4) === "ftyp") return identifyMedia(bytes);
  const other = OTHERS.find(starts);
  throw new PictureError(other ? `This is a ${other[0]} file. ${READABLE}` : `This is not a picture. ${READABLE}`);
}

/** AVIF, HEIC and MP4 share one container; the brands tell them apart. */
function identifyMedia(bytes) {
  const size = Math.min(view(bytes).getUint32(0), bytes.length, HEAD_BYTES);
  const brands = [text(bytes, 8, 4)];
  for (let at = 16; at + 4 <= size; at += 4) brands.push(text(bytes, at, 4));
  if (brands.some((brand) => brand === "avif" || brand === "avis")) return "AVIF";
  if (brands.some((brand) => HEIF_BRANDS.includes(brand))) {
    throw new PictureError("This is a HEIC photo, which only a few browsers can read. Save it as JPEG first.");
  }
  throw new PictureError(`This is a video, not a picture. ${READABLE}`);
}

// JPEG

const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;
const [APP1, APP2] = [0xe1, 0xe2];
const WITHOUT_BODY = (marker) => marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd9);

function plainJpeg(bytes) {
  const data = view(bytes);
  const kept = [bytes.subarray(0, 2)];
  let exif = null;
  let at = 2;
  for (;;) {
    while (data.getUint8(at) !== 0xff || data.getUint8(at + 1) === 0xff) at++; // fill bytes and garbage
    const marker = data.getUint8(at + 1);
    const start = at;
    at += 2;
    if (WITHOUT_BODY(marker)) continue;
    const end = at + Math.max(data.getUint16(at), 2);
    if (end > bytes.length) throw new RangeError();
    if (marker === START_OF_SCAN) {
      const orientation = exif ? exifOrientation(exif) : 1;
      if (endsLater(bytes, end)) return { bytes: joined([...kept, bytes.subarray(start)]), orientation };
      const rest = withoutHalfMark(bytes.subarray(start));
      const whole = joined([...kept, rest, END_MARK]);
      if (rest.subarray(-16).every((byte) => byte === 0) || !hasEveryScan(whole)) throw new RangeError();
      return { bytes: whole, orientation, others: FILLERS.map((filler) => joined([...kept, rest, filler, END_MARK])) };
    }
    if (marker === APP1 && text(bytes, at + 2, 6) === "Exif\0\0") exif ??= bytes.subarray(at + 2, end);
    if (marker !== APP1 && marker !== APP2) kept.push(bytes.subarray(start, end));
    at = end;
  }
}

/** Within a scan, FF is followed only by 00 or a restart marker, so the first end marker is that of the picture. */
function endsLater(bytes, from) {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === END_OF_IMAGE) return true;
  }
  return false;
}

// Only the end mark is missing if different fillers in the place of the missing part give the same picture. Decoders fill
// in missing parts, so decoding once is not sufficient.
const END_MARK = Uint8Array.of(0xff, END_OF_IMAGE);
const FILLERS = [
  new Uint8Array(64).fill(0x55),
  new Uint8Array(64).fill(0xaa),
  Uint8Array.from({ length: 64 }, (_, place) => (place % 2 ? 0 : 0xff)),
  joined(Array.from({ length: 8 }, (_, number) => [Uint8Array.of(0xff, 0xd0 + number), new Uint8Array(64).fill(0x5a)]).flat()),
];

function withoutHalfMark(bytes) {
  return bytes.at(-1) === 0xff ? bytes.subarray(0, -1) : bytes;
}

/** Whether the scans of a progressive file bring each coefficient of each component to its last bit. */
function hasEveryScan(bytes) {
  const data = view(bytes);
  const lacking = new Set();
  for (let at = 2; at + 4 < bytes.length; ) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === 0xff || WITHOUT_BODY(marker)) {
      at++;
      continue;
    }
    const body = at + 4;
    if ([0xc0, 0xc1, 0xc9].includes(marker)) return true;
    if ([0xc2, 0xca].includes(marker)) {
      for (let component = 0; component < bytes[body + 5]; component++) {
        for (let place = 0; place < 64; place++) lacking.add(`${bytes[body + 6 + 3 * component]} ${place}`);
      }
    }
    if (marker === START_OF_SCAN) {
      const count = bytes[body];
      const [first, last, bits] = bytes.subarray(body + 1 + 2 * count, body + 4 + 2 * count);
      for (let place = first; place <= last && (bits & 15) === 0; place++) {
        for (let one = 0; one < count; one++) lacking.delete(`${bytes[body + 1 + 2 * one]} ${place}`);
      }
    }
    at += 2 + Math.max(data.getUint16(at + 2), 2);
  }
  return lacking.size === 0;
}

// PNG

const MAKE_PIXELS = ["IHDR", "PLTE", "tRNS", "IDAT", "IEND"];

function plainPng(bytes) {
  const data = view(bytes);
  const kept = [bytes.subarray(0, 8)];
  let orientation = 1;
  for (let at = 8, kind = ""; kind !== "IEND"; ) {
    const end = at + 12 + data.getUint32(at);
    kind = text(bytes, at + 4, 4);
    if (end > bytes.length) throw new RangeError();
    if (kind === "eXIf") orientation = exifOrientation(bytes.subarray(at + 8, end - 4));
    if (MAKE_PIXELS.includes(kind)) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return { bytes: joined(kept), orientation };
}

// WebP

const [HAS_PROFILE, HAS_EXIF, HAS_XMP] = [0x20, 0x08, 0x04];

function plainWebp(bytes) {
  const data = view(bytes);
  const end = 8 + data.getUint32(4, true);
  if (end > bytes.length) throw new RangeError();
  if (text(bytes, 12, 4) !== "VP8X") return asItIs(bytes);
  const hasExif = (data.getUint8(20) & HAS_EXIF) !== 0;
  const kept = [bytes.slice(0, 12)];
  let exif = null;
  for (let at = 12; at + 8 <= end; ) {
    const kind = text(bytes, at, 4);
    const size = data.getUint32(at + 4, true);
    if (kind === "EXIF" && hasExif) exif ??= bytes.subarray(at + 8, at + 8 + size);
    const next = at + 8 + size + (size % 2);
    if (!["ICCP", "EXIF", "XMP "].includes(kind)) kept.push(bytes.slice(at, next));
    at = next;
  }
  kept[1][8] &= ~(HAS_PROFILE | HAS_EXIF | HAS_XMP);
  const plain = joined(kept);
  view(plain).setUint32(4, plain.length - 8, true);
  return { bytes: plain, orientation: exif ? exifOrientation(exif) : 1 };
}

// EXIF

const ORIENTATION = 274;

/** The orientation, 1 to 8. It is 1 (upright) if the block is damaged, or the tag is missing or has an invalid value. */
function exifOrientation(block) {
  const exif = text(block, 0, 6) === "Exif\0\0" ? block.subarray(6) : block;
  const data = view(exif);
  try {
    const isLittle = { "II*\0": true, "MM\0*": false }[text(exif, 0, 4)];
    if (isLittle === undefined) return 1;
    const directory = data.getUint32(4, isLittle);
    for (let entry = 0; entry < data.getUint16(directory, isLittle); entry++) {
      const at = directory + 2 + 12 * entry;
      if (data.getUint16(at, isLittle) !== ORIENTATION) continue;
      const type = data.getUint16(at + 2, isLittle);
      const read = { 1: () => data.getUint8(at + 8), 3: () => data.getUint16(at + 8, isLittle) }[type];
      const value = read ? read() : type === 4 ? data.getUint32(at + 8, isLittle) : 1;
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function text(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
