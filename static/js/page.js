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

// Fields that only count for one choice of another: data-shown-when="name=value".
const conditional = document.querySelectorAll("[data-shown-when]");
const show = () => {
  for (const part of conditional) {
    const [name, value] = part.dataset.shownWhen.split("=");
    const field = part.closest("form").elements[name];
    part.hidden = field.value !== value;
  }
};
if (conditional.length) {
  document.addEventListener("change", show);
  show();
}

// The list beside a preview: the node that is shown is marked for screen readers too.
document.addEventListener("shown.bs.tab", (event) => {
  event.target.setAttribute("aria-current", "true");
  event.relatedTarget?.removeAttribute("aria-current");
});
