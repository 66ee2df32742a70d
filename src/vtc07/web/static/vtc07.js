// What pages need beside themselves: parts that change while one looks, and forms that stay.
// Everything works without it, but a page then has to be loaded again to show what is new.

const policy = globalThis.trustedTypes?.createPolicy("vtc07", { createHTML: (html) => html });

/** So many lines of a stream are kept in the page. */
const MOST_LINES = 500;
/** How long to wait before trying again, in ms: each time twice as long, up to the last. */
const [FIRST_WAIT, LAST_WAIT] = [1000, 8000];

// --- what the server made, put into the page ------------------------------------------------------

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html; // from our server: the one place
  return template.content;
}

/**
 * Have an element hold HTML that our server made. What is there already stays and is changed, so
 * that focus, selected text, open details and what was typed survive; an element with `data-keep`
 * is left as it is.
 */
export function show(element, html) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  become(element, parsed(html));
  if (focused && !element.contains(document.activeElement)) {
    document.getElementById(focused)?.focus();
  }
}

/** What a node is, and of what: a button or a form of something else is never taken for this one. */
function nature(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
  const names = ["id", "name", "type", "href", "action", "formaction", "data-key"];
  const is = [node.nodeName, ...names.map((name) => node.getAttribute(name))];
  if (node.matches("button, option, [type=radio], [type=checkbox]")) is.push(node.value);
  if (node.localName === "form") {
    for (const each of node.querySelectorAll("input[type=hidden]")) {
      is.push(each.name, each.getAttribute("value"));
    }
  }
  return JSON.stringify(is);
}

/** Pairs of the places at which two lists have the same, as many and in the same order. */
function common(old, fresh) {
  const most = Array.from({ length: old.length + 1 }, () => new Uint16Array(fresh.length + 1));
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = fresh.length - 1; j >= 0; j--) {
      const both = old[i] === fresh[j] ? most[i + 1][j + 1] + 1 : 0;
      most[i][j] = Math.max(both, most[i + 1][j], most[i][j + 1]);
    }
  }
  const pairs = new Map();
  for (let i = 0, j = 0; i < old.length && j < fresh.length; ) {
    if (old[i] === fresh[j]) pairs.set(j++, i++);
    else if (most[i + 1][j] >= most[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

function become(element, fresh) {
  const [old, wanted] = [[...element.childNodes], [...fresh.childNodes]];
  const stays = common(old.map(nature), wanted.map(nature));
  const kept = new Set([...stays.values()].map((i) => old[i]));
  for (const node of old) if (!kept.has(node)) node.remove();
  wanted.forEach((node, j) => {
    const here = stays.has(j) ? old[stays.get(j)] : null;
    if (!here) element.insertBefore(node, element.childNodes[j] ?? null);
    else if (here.nodeType !== Node.ELEMENT_NODE) {
      if (here.nodeValue !== node.nodeValue) here.nodeValue = node.nodeValue;
    } else if (!here.isEqualNode(node) && !("keep" in here.dataset)) {
      dress(here, node);
      become(here, node);
    }
  });
}

function dress(here, fresh) {
  const own = ["open", "aria-busy"]; // what the reader or this script has set
  for (const { name, value } of fresh.attributes) {
    if (!own.includes(name) && here.getAttribute(name) !== value) here.setAttribute(name, value);
  }
  for (const { name } of [...here.attributes]) {
    if (!own.includes(name) && !fresh.hasAttribute(name)) here.removeAttribute(name);
  }
}

/** Add lines to a stream; whoever looks at its end goes on doing so. */
function add(element, html) {
  const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  element.append(parsed(html));
  while (element.childElementCount > MOST_LINES) element.firstElementChild.remove();
  if (isAtEnd) element.scrollTop = element.scrollHeight;
}

// --- what is wrong --------------------------------------------------------------------------------

function tell(id, words) {
  const place = document.getElementById(id);
  place.lastElementChild.textContent = words;
  place.hidden = !words;
}

/** Say why something was not done; empty: nothing is wrong any more. */
export const problem = (words) => tell("problem", words);

/** Say that the unit does not answer, in a place of its own; empty: it does. */
const lost = (words) => tell("lost", words);

// --- forms ----------------------------------------------------------------------------------------

/** Ask the server quietly; returns the answer, or null where it was refused, which is shown. */
export async function ask(path, fields) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers: { "X-vtc07": "quiet" },
    });
  } catch {
    lost(document.body.dataset.lost);
    return null;
  }
  if (answer.redirected) location.assign(answer.url);
  if (answer.ok) {
    problem("");
    return answer;
  }
  const words = await answer.text();
  try {
    problem(JSON.parse(words).said);
  } catch {
    problem(words.slice(0, 300));
  }
  return null;
}

function busy(form, button, is) {
  form.toggleAttribute("data-busy", is);
  button?.setAttribute("aria-busy", String(is));
}

document.addEventListener("submit", async (event) => {
  const [form, button] = [event.target, event.submitter];
  if (event.defaultPrevented || form.method === "dialog") return;
  if ("busy" in form.dataset) return event.preventDefault(); // pressed twice, meant once
  if (!("quiet" in form.dataset)) {
    // Another page follows, or a file; in the second case nobody says when.
    setTimeout(() => busy(form, button, true));
    setTimeout(() => busy(form, button, false), 3000);
    return;
  }
  event.preventDefault();
  const fields = new FormData(form, button);
  const path = button?.getAttribute("formaction") ?? form.getAttribute("action") ?? location.href;
  busy(form, button, true);
  const answer = await ask(path, fields);
  busy(form, button, false);
  if (answer) for (const each of form.querySelectorAll("[type=password]")) each.value = "";
  if (answer) form.dispatchEvent(new CustomEvent("vtc07:done", { detail: answer, bubbles: true }));
});

// --- what the server tells ------------------------------------------------------------------------

// A page that nobody looks at is told nothing: a browser has six connections to one host at most,
// for all its pages, and the one that is looked at needs some.
let source = null;
let wait = FIRST_WAIT;
let failures = 0;
let timer = 0;

function watch() {
  rest();
  if (document.hidden) return;
  const parts = new Set([...document.querySelectorAll("[data-part]")].map((e) => e.dataset.part));
  const streams = [...document.querySelectorAll("[data-stream]")];
  if (!parts.size && !streams.length) return;
  const query = new URLSearchParams(location.search);
  query.set("station", document.body.dataset.station);
  query.set("page", location.pathname);
  for (const name of parts) query.append("part", name);
  for (const each of streams) {
    query.append("stream", each.dataset.stream);
    query.append("after", each.dataset.after);
  }
  source = new EventSource(`/live?${query}`);
  source.addEventListener("open", () => {
    wait = FIRST_WAIT;
    failures = 0;
    lost("");
  });
  source.addEventListener("part", (event) => {
    const { name, html } = JSON.parse(event.data);
    for (const each of document.querySelectorAll(`[data-part="${CSS.escape(name)}"]`)) {
      show(each, html);
      each.dispatchEvent(new CustomEvent("vtc07:part", { detail: name, bubbles: true }));
    }
  });
  source.addEventListener("stream", (event) => {
    const { name, after, html } = JSON.parse(event.data);
    for (const each of document.querySelectorAll(`[data-stream="${CSS.escape(name)}"]`)) {
      each.dataset.after = after;
      add(each, html);
      each.dispatchEvent(new CustomEvent("vtc07:stream", { detail: name, bubbles: true }));
    }
  });
  source.addEventListener("error", () => {
    source?.close(); // its own new attempt would ask for lines that are here already
    if (failures++) lost(document.body.dataset.lost);
    timer = setTimeout(again, wait);
    wait = Math.min(2 * wait, LAST_WAIT);
  });
}

/** Look whether the server is there and knows this page, and listen to it again. */
async function again() {
  try {
    const answer = await fetch(location.href, { method: "HEAD" });
    if (answer.ok) return watch();
    lost(document.body.dataset.gone); // started anew: it knows neither us nor the place
  } catch {
    lost(document.body.dataset.lost);
    timer = setTimeout(again, wait);
  }
}

function rest() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

addEventListener("pagehide", rest);
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-busy]")) {
    for (const each of form.querySelectorAll("[aria-busy]")) busy(form, each, false);
    busy(form, null, false);
  }
  watch();
});
document.addEventListener("visibilitychange", () => (document.hidden ? rest() : watch()));

watch();
