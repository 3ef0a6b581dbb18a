// Where the keyboard is: the first wrong field after an error, the first field of a fresh form.
const wrong = document.querySelector(".is-invalid, [aria-invalid=true]");
const first = document.querySelector("[data-focus-first] :is(input:not([type=hidden]), select, textarea)");
(wrong || first)?.focus();

// A form that is on its way is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "true";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Fields that only count for some choices of another: data-shown-when="name=value|value".
const conditional = document.querySelectorAll("[data-shown-when]");
const show = () => {
  for (const part of conditional) {
    const [name, values] = part.dataset.shownWhen.split("=");
    const field = part.closest("form").elements[name];
    part.hidden = !values.split("|").includes(field.value);
  }
};
if (conditional.length) {
  document.addEventListener("change", show);
  show();
}

// A file that comes leaves the page as it was: a cookie of the same answer says where to read on.
document.addEventListener("submit", ({ target: form }) => {
  if (!("readOn" in form.dataset)) return;
  const name = `issued-${form.elements.once.value}=`;
  const timer = setInterval(() => {
    const cookie = document.cookie.split("; ").find((each) => each.startsWith(name));
    if (!cookie) return;
    clearInterval(timer);
    location.assign(`${form.dataset.readOn}${cookie.slice(name.length)}/`);
  }, 200);
});

// The list beside a preview: the node that is shown is marked for screen readers too.
document.addEventListener("shown.bs.tab", (event) => {
  event.target.setAttribute("aria-current", "true");
  event.relatedTarget?.removeAttribute("aria-current");
});
