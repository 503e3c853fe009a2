// Sends requests to the worker and waits for its responses.

export class Worker {
  /** @param {(progress: {loaded: number, total: number}) => void} onProgress while the model is loaded */
  constructor(onProgress) {
    this.waiting = new Map();
    this.asked = 0;
    this.onProgress = onProgress;
    /** Resolves when `spec.json` is loaded. */
    this.spec = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    this.spec.catch(() => {}); // also reported to the caller of open
    this.worker = new globalThis.Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = (event) => this.fail(event.message || "A file of the page could not be loaded.");
  }

  ask(task, given, transfer = []) {
    const number = ++this.asked;
    const answered = new Promise((resolve, reject) => this.waiting.set(number, { resolve, reject }));
    this.worker.postMessage({ number, task, given }, transfer);
    return answered;
  }

  receive(data) {
    if (data.spec) this.settle.resolve(data);
    else if (data.total) this.onProgress(data);
    else {
      const asked = this.waiting.get(data.number);
      if (!asked) return; // already cancelled
      const { resolve, reject } = asked;
      this.waiting.delete(data.number);
      if (data.problem === undefined) return resolve(data.result);
      this.settle.reject(new Error(data.problem));
      reject(new Error(data.problem));
    }
  }

  fail(message) {
    const error = new Error(message);
    this.settle.reject(error);
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
