// Reads `.npy`, NumPy's format for one array: a short header, then the plain values.

const MAGIC = "\x93NUMPY";
const TYPES = { "|u1": Uint8Array, "<f4": Float32Array };

/**
 * @param {ArrayBuffer} buffer of the file
 * @returns {{shape: number[], data: Uint8Array | Float32Array}}
 */
export function readNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== MAGIC || bytes.length < 12) throw new Error("not a NumPy array");
  const isFirstVersion = bytes[6] === 1;
  const view = new DataView(buffer);
  const start = isFirstVersion ? 10 : 12;
  const length = isFirstVersion ? view.getUint16(8, true) : view.getUint32(8, true);
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const Type = TYPES[/'descr': '([^']+)'/.exec(header)?.[1]];
  const shape = /'shape': \(([\d, ]*)\)/.exec(header)?.[1].split(",").filter((side) => side.trim()).map(Number);
  if (!Type || !shape || !/'fortran_order': False/.test(header)) throw new Error(`an unsupported array: ${header}`);
  const count = shape.reduce((product, side) => product * side, 1);
  const values = buffer.slice(start + length);
  if (values.byteLength !== count * Type.BYTES_PER_ELEMENT) throw new Error("an incomplete array");
  return { shape, data: new Type(values) };
}
