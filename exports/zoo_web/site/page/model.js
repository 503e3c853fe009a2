// Runs the model on one thread of WebAssembly, which every browser supports without special headers of the server.

import * as ort from "../onnxruntime-web/ort.wasm.bundle.min.js";

import { problemOf, readFile } from "./bundle.js";

const WASM = "onnxruntime-web/ort-wasm-simd-threaded.wasm";
const TENSORS = { float32: Float32Array, uint8: Uint8Array };

export const RUNTIME = `onnxruntime-web ${ort.env.versions.web}`;

/** A model that is ready to predict. */
export class Model {
  /** @param {(loaded: number, total: number) => void} progress in bytes */
  static async open(spec, progress) {
    const names = [WASM, spec.model];
    const total = names.reduce((sum, name) => sum + spec.files[name].bytes, 0);
    let loaded = 0;
    const count = (bytes) => progress((loaded += bytes), total);
    const [wasm, file] = await Promise.all(names.map((name) => readFile(spec, name, count)));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = wasm;
    ort.env.logLevel = "error";
    try {
      const session = await ort.InferenceSession.create(new Uint8Array(file), { executionProviders: ["wasm"] });
      return new Model(session, spec);
    } catch (error) {
      const problems = await Promise.all([problemOf(spec, WASM, wasm), problemOf(spec, spec.model, file)]);
      throw new Error(problems.find(Boolean) || `onnxruntime-web cannot load ${spec.model}: ${error.message}`);
    }
  }

  constructor(session, spec) {
    this.session = session;
    this.input = spec.input;
    this.output = spec.output;
    this.map = spec.map; // only if the file was exported with a map
    this.shape = [1, spec.image.height_px, spec.image.width_px, 3];
    this.Values = TENSORS[spec.input.dtype];
    if (!this.Values) throw new Error(`The model takes ${spec.input.dtype}, which this page does not support.`);
  }

  /**
   * @param {Uint8Array} pixels RGB in the size of the image specification
   * @returns {Promise<Float32Array>} the probability of every class
   */
  async predict(pixels) {
    return (await this.explain(pixels)).probabilities;
  }

  /**
   * @param {Uint8Array} pixels as above
   * @returns {Promise<{probabilities: Float32Array, map: ?{data: Float32Array, dims: number[]}}>} with the evidence at
   *   every position for every class, 1 x height x width x classes, if the file has a map
   */
  async explain(pixels) {
    const tensor = new ort.Tensor(this.input.dtype, new this.Values(pixels), this.shape);
    const outputs = await this.session.run({ [this.input.name]: tensor });
    const probabilities = Float32Array.from(outputs[this.output.name].data);
    if (!probabilities.every(Number.isFinite)) throw new Error("The model returns values that are not numbers.");
    const map = this.map && outputs[this.map.name];
    return { probabilities, map: map ? { data: Float32Array.from(map.data), dims: [...map.dims] } : null };
  }
}

/** The index of the largest probability. The first index if several are equal. */
export function likeliest(probabilities) {
  return probabilities.reduce((best, value, place) => (value > probabilities[best] ? place : best), 0);
}
