// The page: sends photos to the worker, and shows its results.

import { showAbout } from "./about.js";
import { Answer } from "./answer.js";
import { Camera } from "./camera.js";
import { $ } from "./elements.js";
import { keepOffline } from "./offline.js";
import { showSelftest } from "./proof.js";
import { showSamples, takeFiles } from "./sources.js";
import { Worker } from "./worker_client.js";

$("not-started").remove();
$("main").hidden = false;

const worker = new Worker(showProgress);
let answer;

start().catch((error) => {
  $("loading")?.remove();
  $("bench").hidden = true;
  alarm(`The page cannot work: ${error.message}`);
  showSelftest({ problem: "there is no model to test." });
  document.body.dataset.selftest = "failed";
});

async function start() {
  const opened = worker.ask("open");
  const { spec, runtime } = await worker.spec;
  answer = new Answer(spec);
  showAbout(spec, runtime);
  await opened;
  $("loading").remove();
  const camera = new Camera((bitmap) => worker.ask("classify", bitmap, [bitmap]), answer, alarm);
  const take = (file) => {
    camera.stop();
    classify(file);
  };
  takeFiles(take);
  showSamples(spec, take).catch(() => {}); // missing golden vectors are reported by the self-test
  $("selftest").addEventListener("click", test);
  if (await test()) keepOffline(spec);
}

function showProgress({ loaded, total }) {
  $("progress").value = loaded / total;
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  $("loading-text").textContent =
    loaded < total ? `Loading the model: ${megabytes(loaded)} of ${megabytes(total)} MB` : "Starting the model";
}

let latest = 0;

async function classify(file) {
  const turn = ++latest;
  alarm("");
  answer.expect(file);
  try {
    const result = await worker.ask("classify", file);
    if (turn === latest) answer.show(result);
  } catch (error) {
    if (turn !== latest) return;
    answer.clear();
    alarm(error.message);
  }
}

/** Runs the self-test. Returns whether it passed. */
async function test() {
  $("selftest").disabled = true;
  document.body.dataset.selftest = "running";
  $("verdict").textContent = "Running …";
  try {
    const found = await worker.ask("selftest");
    showSelftest(found);
    document.body.dataset.selftest = found.passed ? "passed" : "failed";
    return found.passed;
  } catch (error) {
    showSelftest({ problem: error.message });
    document.body.dataset.selftest = "failed";
    return false;
  } finally {
    $("selftest").disabled = false;
  }
}

function alarm(message) {
  $("alarm").textContent = message;
  $("alarm").hidden = !message;
}
