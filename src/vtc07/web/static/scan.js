// A camera that reads the code on a slip, where the browser can: else there is no button for it.

import { take } from "./deliver.js";

const PAUSE_MS = 150;

const button = document.getElementById("scan");
const dialog = document.getElementById("camera");
const video = dialog.querySelector("video");
const trouble = dialog.querySelector("[role=alert]");

let detector = null;
let stream = null;

async function offer() {
  if (!isSecureContext || !("BarcodeDetector" in globalThis)) return;
  if (!navigator.mediaDevices?.getUserMedia) return;
  const formats = await BarcodeDetector.getSupportedFormats().catch(() => []);
  if (!formats.length) return;
  detector = new BarcodeDetector({ formats });
  button.hidden = false;
}

function say(words) {
  trouble.lastElementChild.textContent = words;
  trouble.hidden = !words;
}

async function open() {
  say("");
  dialog.showModal();
  let fresh;
  try {
    fresh = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    say(dialog.dataset.refused);
    return;
  }
  if (!dialog.open) return end(fresh); // closed before the camera was there
  stream = fresh;
  video.srcObject = stream;
  await video.play().catch(() => {});
  look(stream);
}

/** Look for codes until one of them is a token, or the dialog is closed. */
async function look(mine) {
  const seen = new Set();
  while (stream === mine && dialog.open) {
    const codes = video.readyState < 2 ? [] : await detector.detect(video).catch(() => []);
    for (const { rawValue } of codes) {
      if (stream !== mine || seen.has(rawValue)) continue;
      seen.add(rawValue);
      if (await take(rawValue)) return dialog.close();
      say(document.getElementById("problem").lastElementChild.textContent);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function end(of) {
  for (const track of of?.getTracks() ?? []) track.stop();
}

function close() {
  end(stream);
  stream = null;
  video.srcObject = null;
}

dialog.addEventListener("close", close);
addEventListener("pagehide", close);
button.addEventListener("click", open);
offer();
