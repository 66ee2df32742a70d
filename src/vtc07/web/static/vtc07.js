// What pages need beside themselves: parts that change while one looks, and forms that stay.
// Everything works without it, but a page then has to be loaded again to show what is new.

const policy = globalThis.trustedTypes?.createPolicy("vtc07", { createHTML: (html) => html });

/** Put HTML that our server made into an element; whatever has the focus keeps it. */
export function show(element, html) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.innerHTML = policy ? policy.createHTML(html) : html;
  if (focused) document.getElementById(focused)?.focus();
}

function add(element, html) {
  const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  element.append(template.content);
  if (isAtEnd) element.scrollTop = element.scrollHeight;
}

/** Say why something was not done; empty: nothing is wrong any more. */
export function problem(words) {
  const place = document.getElementById("problem");
  place.textContent = words;
  place.hidden = !words;
}

/** Ask the server quietly; returns the answer, or null where it was refused, which is shown. */
export async function ask(path, fields) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      body: fields instanceof FormData ? new URLSearchParams(fields) : new URLSearchParams(fields),
      headers: { "X-vtc07": "quiet" },
    });
  } catch {
    problem(document.body.dataset.lost);
    return null;
  }
  if (answer.ok) {
    problem("");
    return answer;
  }
  const document_ = await answer.json().catch(() => ({ said: answer.statusText }));
  problem(document_.said);
  return null;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("quiet" in form.dataset)) return;
  event.preventDefault();
  const fields = new FormData(form, event.submitter);
  const answer = await ask(form.action, fields);
  if (answer) form.dispatchEvent(new CustomEvent("vtc07:done", { detail: answer, bubbles: true }));
});

function watch() {
  const parts = [...document.querySelectorAll("[data-part]")];
  const streams = [...document.querySelectorAll("[data-stream]")];
  if (!parts.length && !streams.length) return;
  const query = new URLSearchParams(location.search);
  query.set("station", document.body.dataset.station);
  for (const each of parts) query.append("part", each.dataset.part);
  for (const each of streams) {
    query.append("stream", each.dataset.stream);
    query.append("after", each.dataset.after);
  }
  const source = new EventSource(`/live?${query}`);
  source.addEventListener("open", () => problem(""));
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
    source.close(); // its own new attempt would ask for lines that are here already
    problem(document.body.dataset.lost);
    setTimeout(watch, 1000);
  });
}

watch();
