// Classifies the frames of a camera, one at a time, as fast as the model predicts.

import { $, element } from "./elements.js";

const REASONS = {
  NotAllowedError: "The camera was not allowed. You can allow it in the address bar of the browser.",
  NotFoundError: "There is no camera on this device.",
  NotReadableError: "The camera is used by another program.",
};

export class Camera {
  /**
   * @param {(frame: ImageBitmap) => Promise<object>} ask
   * @param {import("./answer.js").Answer} answer
   * @param {(message: string) => void} alarm
   */
  constructor(ask, answer, alarm) {
    Object.assign(this, { ask, answer, alarm, stream: null, turn: 0 });
    if (!navigator.mediaDevices?.getUserMedia) return; // not supported, or neither https nor localhost
    $("camera").hidden = false;
    $("camera").addEventListener("click", () => (this.stream ? this.close() : this.start({ facingMode: "environment" })));
    $("cameras").addEventListener("change", () => this.start({ deviceId: { exact: $("cameras").value } }));
  }

  async start(which) {
    this.stop();
    const turn = this.turn;
    this.alarm("");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { ...which, width: { ideal: 1280 } } });
      if (turn === this.turn) await this.show(stream);
      // While the browser asked for permission, the user chose a photo or another camera.
      else for (const track of stream.getTracks()) track.stop();
    } catch (error) {
      if (turn === this.turn) this.fail(REASONS[error.name] ?? `The camera did not start: ${error.message}`);
    }
  }

  async show(stream) {
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.stream === stream && this.fail("The camera was disconnected."));
    const video = $("video");
    video.srcObject = stream;
    const settings = track.getSettings();
    video.classList.toggle("mirrored", settings.facingMode === "user");
    video.hidden = false;
    $("photo").hidden = true;
    $("invitation").hidden = true;
    $("camera").textContent = "Stop the camera";
    await video.play();
    await this.list(settings.deviceId);
    this.run(stream, video);
  }

  /** Lists the cameras. Browsers reveal their names only after access to a camera was allowed. */
  async list(current) {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((device) => device.kind === "videoinput");
    $("cameras").replaceChildren(
      ...cameras.map(({ deviceId, label }, place) =>
        element("option", { value: deviceId }, label || `Camera ${place + 1}`),
      ),
    );
    $("cameras").value = current;
    $("cameras").hidden = cameras.length < 2;
  }

  async run(stream, video) {
    try {
      while (this.stream === stream) {
        const result = await this.ask(await createImageBitmap(video));
        if (this.stream === stream) this.answer.show(result);
        await new Promise(requestAnimationFrame);
      }
    } catch (error) {
      if (this.stream === stream) this.fail(error.message);
    }
  }

  fail(message) {
    this.close();
    this.alarm(message);
  }

  /** Stops the camera. The last prediction stays visible. */
  stop() {
    this.turn++;
    if (!this.stream) return;
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
    $("video").srcObject = null;
    $("video").hidden = true;
    $("cameras").hidden = true;
    $("camera").textContent = "Use the camera";
  }

  close() {
    this.stop();
    this.answer.clear();
  }
}
