// Sources of photos: dropped, chosen, pasted, or part of the bundle.

import { addressOf } from "./bundle.js";
import { $, element } from "./elements.js";

/** @param {(file: File) => void} take */
export function takeFiles(take) {
  const input = $("file");
  const choose = () => input.click();
  $("choose").addEventListener("click", choose);
  $("invitation").addEventListener("click", choose);
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0]);
    input.value = ""; // the same photo may be chosen again
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file);
  });
  let depth = 0; // number of nested elements under the dragged photo
  const hover = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  addEventListener("dragenter", (event) => event.dataTransfer?.types.includes("Files") && hover(1));
  addEventListener("dragleave", (event) => event.dataTransfer?.types.includes("Files") && hover(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    hover(-depth);
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
}

/** Buttons for the photos of the self-test. */
export async function showSamples(spec, take) {
  const response = await fetch(addressOf(spec, "golden/golden.json"));
  const { images } = await response.json();
  const photos = images.filter((image) => image.origin === "photo");
  for (const [place, { file }] of photos.entries()) {
    const address = addressOf(spec, `golden/${file}`);
    const picture = element("img", { src: address, alt: `Photo ${place + 1}` });
    const button = element("button", { type: "button" }, picture);
    button.addEventListener("click", async () => take(new File([await (await fetch(address)).blob()], file)));
    $("sample-list").append(element("li", {}, button));
  }
  $("samples").hidden = photos.length === 0;
}
