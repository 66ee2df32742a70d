// A value is checked as it is typed: by the server, which knows the register.
import { ask } from "./vtc07.js";

const form = document.querySelector("form[data-check]");
const field = form?.elements.namedItem("value");
const place = document.getElementById("checked");
let asked = 0;
let timer = 0;

async function check() {
  const number = ++asked;
  if (!field.value) {
    place.hidden = true;
    field.removeAttribute("aria-invalid");
    return;
  }
  const answer = await ask(form.dataset.check, {
    address: form.elements.namedItem("address").value,
    value: field.value,
  });
  if (!answer) return;
  const { said, mood, sign } = await answer.json();
  if (number !== asked) return; // something else is typed by now
  place.className = `said ${mood}`;
  place.firstElementChild.textContent = sign;
  place.lastElementChild.textContent = said;
  place.hidden = false;
  field.setAttribute("aria-invalid", String(mood === "bad"));
}

field?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(check, 150);
});
if (field?.value) check(); // it was typed before anybody listened
