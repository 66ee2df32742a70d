// The field for a token: its digits in groups while one types, what the server says of them, whole
// tokens that are pasted or that a scanner types. What a token is, only the server knows.

import { ask, show } from "./vtc07.js";

const LENGTH = 20;
const GROUP = 4;
/** A scanner types faster than anybody: so many ms at most lie between two of its keys. */
const GAP_MS = 70;
/** Outside of a field nobody types digits, so that a slow scanner is known there, too. */
const SLOW_GAP_MS = 1000;
/** So many digits in such haste come from no person. */
const FEWEST = 8;

const entry = document.getElementById("entry");
const field = document.getElementById("token");
const place = document.getElementById("check");
/** What a screen reader says of itself: not at every digit, which would drown the digits. */
const heard = document.getElementById("heard");

/** What is said of the tokens that are gathered. */
const list = () => document.querySelector("[data-part=gathered] h2");

function digits(text) {
  return text.replace(/[^0-9]/g, "");
}

/** Put the digits into groups; the cursor stays behind the digit behind which it was. */
function regroup() {
  const kept = digits(field.value).slice(0, LENGTH);
  const before = Math.min(digits(field.value.slice(0, field.selectionStart)).length, kept.length);
  const text = kept.replace(/(.{4})(?=.)/g, "$1 ");
  if (text !== field.value) {
    field.value = text;
    const cursor = before + Math.max(0, Math.floor((before - 1) / GROUP));
    field.setSelectionRange(cursor, cursor);
  }
}

let asking = false;
let stale = false;

/** Show what the server says of what stands in the field now. */
async function judge() {
  stale = true;
  if (asking) return;
  asking = true;
  while (stale) {
    stale = false;
    const answer = await ask(entry.dataset.check, { token: field.value });
    const html = answer ? await answer.text() : "";
    if (stale) continue;
    show(place, html);
    const count = digits(field.value).length;
    const what = count ? place.querySelector(".said > :last-child") : list();
    const words = (count % GROUP === 0 && what?.textContent) || "";
    if (heard.textContent !== words) heard.textContent = words;
  }
  asking = false;
}

/** Hand a text over in which tokens stand; one of them comes back to be looked at. */
export async function take(text) {
  const answer = await ask(entry.dataset.take, { text });
  if (!answer) return false;
  hold(await answer.json());
  return true;
}

/** Put into the field what is left to be looked at; the list may be another one by now. */
function hold({ field: text, draft }) {
  field.value = text;
  field.setSelectionRange(text.length, text.length);
  field.removeAttribute("aria-invalid");
  field.focus();
  const number = document.querySelector("input[name=draft][form=entry]");
  if (draft && number) number.value = draft;
  judge();
}

field.addEventListener("input", () => {
  regroup();
  field.removeAttribute("aria-invalid");
  judge();
});

field.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text") ?? "";
  if (digits(text).length < LENGTH) return; // a piece of a token goes where the cursor is
  event.preventDefault();
  take(text);
});

// "One more token", and Enter, keep the page; sending leads to what becomes of it.
entry.addEventListener("submit", async (event) => {
  if (event.submitter && event.submitter.id !== "more") return;
  event.preventDefault();
  if (!field.value && document.querySelector(".tokens")) {
    document.getElementById("send").focus();
    return;
  }
  const answer = await ask(document.getElementById("more").formAction, new FormData(entry));
  if (answer) hold(await answer.json());
  else field.setAttribute("aria-invalid", "true");
});

// --- a scanner that types ------------------------------------------------------------------------

let burst = "";
let last = 0;

document.addEventListener(
  "keydown",
  (event) => {
    const gap = event.target instanceof HTMLInputElement ? GAP_MS : SLOW_GAP_MS;
    const quick = event.timeStamp - last < gap;
    last = event.timeStamp;
    if (event.key === "Shift") return;
    const typed = quick ? burst : "";
    burst = "";
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.key === "Enter") {
      if (digits(typed).length < FEWEST || entry.hidden) return;
      event.preventDefault(); // it is looked at, and sent by a person
      event.stopImmediatePropagation();
      take(typed);
    } else if (event.key.length === 1) {
      burst = typed + event.key;
    }
  },
  true,
);

// --- what other pages do --------------------------------------------------------------------------

document.addEventListener("vtc07:part", (event) => {
  if (event.detail === "delivery") {
    const was = entry.hidden;
    entry.hidden = Boolean(document.querySelector("[data-sent]"));
    if (was && !entry.hidden) {
      field.value = "";
      field.focus();
    }
  }
  if (event.detail === "gathered" && !entry.hidden) judge();
});
