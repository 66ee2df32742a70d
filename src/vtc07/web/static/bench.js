// The bench: a keypad under the keyboard, sliders that send while they move, the line as it is.
// Everything is at the server; without this file the forms of the page do the same.

import { ask } from "./vtc07.js";

for (const each of document.querySelectorAll("#pause")) each.hidden = false;
document.documentElement.classList.add("scripted-page");

// --- the keypad ----------------------------------------------------------------------------------

const still = matchMedia("(prefers-reduced-motion: reduce)");
const keypad = document.getElementById("keypad");
const keys = keypad.querySelector("form");
const KEYS = { Backspace: "back", Delete: "clear", Escape: "clear", Enter: "enter" };
let typing = Promise.resolve();

/** Press a key when those before it have arrived: their order is what counts. */
function press(key) {
  typing = typing.then(() => ask(keys.action, { key }));
}

// Before anything else of the page: a scanner that types goes where the focus is.
addEventListener("keydown", (event) => {
  if (!keypad.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
  const key = /^[0-9]$/.test(event.key) ? event.key : KEYS[event.key];
  // Enter on a button is that button's; anywhere else on the keypad it is the meter's.
  if (!key || (event.key === "Enter" && event.target !== keypad)) return;
  event.preventDefault();
  event.stopPropagation();
  press(key);
}, true);

// Capturing: before the page's own way of sending forms, which does not wait for the key before.
keypad.addEventListener("submit", (event) => {
  event.preventDefault();
  event.stopPropagation();
  press(event.submitter.value);
});

/** Show which key went down, whoever pressed it. */
let pressed = document.querySelector("[data-pressed]")?.dataset.pressed;
function flash() {
  const display = document.querySelector("[data-pressed]");
  if (!display || display.dataset.pressed === pressed) return;
  pressed = display.dataset.pressed;
  const key = keypad.querySelector(`[value="${CSS.escape(display.dataset.key)}"]`);
  key?.classList.add("down");
  setTimeout(() => key?.classList.remove("down"), 110);
}

// --- sliders -------------------------------------------------------------------------------------

const EVERY_MS = 120;
const moved = new Map(); // slider -> when it was moved last, by a hand

function say(slider) {
  slider.setAttribute("aria-valuetext", `${slider.value} ${slider.dataset.unit}`);
}

function sends(slider) {
  let waiting = null;
  const send = async () => {
    const form = slider.form;
    slider.dataset.sent = slider.value;
    await ask(form.action, new FormData(form));
    waiting = null;
    if (slider.dataset.sent !== slider.value) later();
  };
  const later = () => {
    waiting ??= setTimeout(send, EVERY_MS);
  };
  slider.addEventListener("input", () => {
    moved.set(slider, performance.now());
    say(slider);
    later();
  });
}

/** Take the server's values, but for what is under a hand just now. */
function follow() {
  for (const each of document.querySelectorAll("[data-load]")) {
    const slider = document.getElementById(`load-${each.dataset.load}`);
    if (!slider || performance.now() - (moved.get(slider) ?? -Infinity) < 600) continue;
    if (slider.value !== each.dataset.wanted) {
      slider.value = slider.dataset.sent = each.dataset.wanted;
      say(slider);
    }
  }
}

for (const slider of document.querySelectorAll(".load input[type=range]")) sends(slider);
setInterval(follow, 500);

document.addEventListener("vtc07:part", (event) => {
  if (event.detail === "bench_display") flash();
  if (event.detail === "bench_loads") follow();
});

// --- the unit ------------------------------------------------------------------------------------

// Sending stays on this page; where the unit has to ask first, its own page does.
const entry = document.getElementById("entry");
entry.addEventListener("submit", async (event) => {
  const asSet = document.getElementById("as-set");
  if (event.submitter?.id !== "send" || (asSet && !asSet.checked)) return;
  event.preventDefault();
  const sent = new FormData(entry, event.submitter);
  if (await ask(entry.action, sent)) document.getElementById("token").value = "";
});

// Tokens are seen where they go: at the meter that they are typed into, in the unit's list.
document.addEventListener("vtc07:done", (event) => {
  const to = event.target.getAttribute("action");
  const where = to.endsWith("/type") ? ".case" : to.endsWith("/to-unit") ? ".unit-case" : null;
  if (!where) return;
  document.querySelector(where).scrollIntoView({
    block: "nearest",
    behavior: still.matches ? "auto" : "smooth",
  });
});

// --- tokens that are copied ----------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const token = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(token.textContent.trim());
    button.textContent = button.dataset.copied;
  } catch {
    getSelection().selectAllChildren(token); // at least it can be copied by hand
  }
});

// --- the line ------------------------------------------------------------------------------------

const line = document.getElementById("line");
const tape = document.getElementById("tape");
const rows = tape.querySelector("ol");
const pause = document.getElementById("pause");
const messages = line.querySelector("[data-stream]");
const words = line.dataset;

const NAMES = [
  "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO",
  "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS",
  "GS", "RS", "US",
];
const MOST_ROWS = 120;
const NEW_ROW_US = 400_000; // so long a silence begins a row of its own
const isTurned = document.documentElement.dir === "rtl"; // the meter stands where lines begin
let paused = false;
let held = []; // what came while the picture stood still
let last = null; // the character before

const name = (code) =>
  code < 32 ? NAMES[code] : code === 127 ? "DEL" : code === 32 ? "␣" : code > 127 ? "?" : String.fromCharCode(code);
const isNamed = (code) => code < 32 || code === 127;

function element(kind, classes, text) {
  const made = document.createElement(kind);
  made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Write one character at the end of the tape. */
function write({ sender, sent, arrived, at }) {
  if (!last || last.sender !== sender || at - last.at > NEW_ROW_US) {
    const row = element("li", `row ${sender}`);
    row.append(element("span", "who", `${words[sender]} ${(sender === "client") === isTurned ? "→" : "←"}`));
    row.append(element("span", "chars"));
    rows.append(row);
    while (rows.children.length > MOST_ROWS) rows.firstChild.remove();
  }
  last = { sender, at };
  const into = rows.lastChild.lastChild;
  const fate = arrived === null ? "lost" : arrived === sent ? "" : "damaged";
  const shown = element("span", `char ${isNamed(sent) ? "control" : ""} ${fate}`, name(sent));
  if (fate) {
    const what = arrived === null ? words.lost
      : arrived > 127 ? words.damaged : `${words.became} ${name(arrived)}`;
    shown.title = what;
    shown.append(element("span", "visually-hidden", ` (${what})`));
  }
  into.append(shown);
}

// Flying characters: drawn where they would be if a character took FLIGHT_MS from end to end.
const canvas = document.getElementById("track");
const pen = canvas.getContext("2d");
const FLIGHT_MS = 900;
const DELAY_MS = 150; // what comes in lumps is shown evenly
let flying = [];
let offset = null; // from the clock of the line to that of the page, in ms
let frame = 0;

function launch(character) {
  const now = performance.now();
  const due = character.at / 1000;
  if (offset === null || due + offset < now - 300 || due + offset > now + 2000) {
    offset = now + DELAY_MS - due;
  }
  flying.push({ ...character, from: due + offset });
  if (flying.length > 2000) flying.splice(0, 500);
  if (!frame) frame = requestAnimationFrame(draw);
}

function colours() {
  const found = getComputedStyle(line);
  const get = (what) => found.getPropertyValue(what).trim();
  return { client: get("--main"), server: get("--good"), bad: get("--bad"), ground: get("--card"), mono: get("--mono") };
}

function fit() {
  const box = canvas.getBoundingClientRect();
  const scale = devicePixelRatio || 1;
  const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  return box;
}

function draw(now) {
  const { width, height } = fit();
  const look = colours();
  pen.clearRect(0, 0, width, height);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  flying = flying.filter((each) => now - each.from < FLIGHT_MS);
  for (const each of flying) {
    const way = (now - each.from) / FLIGHT_MS;
    if (way < 0) continue;
    // The meter stands where lines begin, the unit where they end.
    const fromStart = each.sender === "server" ? way : 1 - way;
    const x = (isTurned ? 1 - fromStart : fromStart) * width;
    const y = each.sender === "client" ? height * 0.26 : height * 0.74;
    const isLost = each.arrived === null;
    if (isLost && way > 0.55) continue; // it falls off in the middle
    const isWrong = isLost || each.arrived !== each.sent;
    const shown = isWrong && !isLost && way > 0.5 ? each.arrived : each.sent;
    pen.fillStyle = isWrong && way > 0.4 ? look.bad : look[each.sender];
    const fall = isLost && way > 0.4 ? (way - 0.4) * height * 1.2 : 0;
    if (each.gap < 9) {
      pen.fillRect(x - 1, y - 9 + fall, isWrong ? 4 : 2, 18);
      continue;
    }
    const label = name(shown);
    pen.font = `${label.length > 1 ? 9 : 15}px ${look.mono}`;
    pen.fillText(label, x, y + fall);
  }
  frame = flying.length && !paused ? requestAnimationFrame(draw) : 0;
  if (!frame) pen.clearRect(0, 0, width, height);
}

function take(characters) {
  if (paused) {
    held.push(...characters);
    if (held.length > 5000) held.splice(0, held.length - 5000);
    return;
  }
  if (!characters.length) return;
  const isAtEnd = tape.scrollHeight - tape.scrollTop - tape.clientHeight < 40;
  document.getElementById("tape-empty")?.remove();
  const now = performance.now();
  for (const each of characters) {
    write(each);
    if (!still.matches && !document.hidden && now - opened > 400) launch(each);
  }
  if (isAtEnd) tape.scrollTop = tape.scrollHeight;
}

let after = Number(words.after);
let source = null;
let wait = 1000;
let timer = 0;
let opened = performance.now();

function watch() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource(`${words.at}?after=${after}`);
  opened = performance.now();
  source.addEventListener("characters", (event) => {
    const told = JSON.parse(event.data).characters;
    const width = canvas.clientWidth || 300;
    take(told.map(([number, sender, sent, arrived, at, speed]) => {
      after = Math.max(after, number);
      return { sender, sent, arrived, at, gap: (width / FLIGHT_MS) * (10_000 / speed) };
    }));
  });
  source.addEventListener("open", () => { wait = 1000; });
  source.addEventListener("error", () => {
    source.close();
    clearTimeout(timer);
    timer = setTimeout(watch, wait);
    wait = Math.min(2 * wait, 60_000); // started anew, it will never know this page again
  });
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  if (paused) return;
  const waiting = held;
  held = [];
  opened = performance.now(); // what came meanwhile is written, and does not fly
  take(waiting);
  for (const each of messages.children) each.hidden = false;
});

messages.addEventListener("vtc07:stream", () => {
  if (!paused) return;
  for (const each of [...messages.children].slice(seen)) each.hidden = true;
});
let seen = Infinity;
pause.addEventListener("click", () => {
  seen = paused ? messages.children.length : Infinity;
});

// A page that nobody sees needs no characters; a browser has few connections to a place.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) source?.close();
  else {
    wait = 1000;
    watch();
  }
});

watch();
