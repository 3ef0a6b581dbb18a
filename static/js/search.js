// The search field in the top bar: Ctrl-K, the list below it, and the keys that move in it.
const form = document.querySelector("[data-search]");
const field = form.querySelector("input");
const list = form.querySelector("[role=listbox]");
const hits = () => [...list.querySelectorAll("a[role=option]")];

const choose = (hit) => {
  for (const each of hits()) each.setAttribute("aria-selected", String(each === hit));
  if (!hit) return field.removeAttribute("aria-activedescendant");
  field.setAttribute("aria-activedescendant", hit.id);
  hit.scrollIntoView({ block: "nearest" });
};
const open = (on) => {
  list.hidden = !on;
  field.setAttribute("aria-expanded", String(on));
  if (!on) choose(null);
};
const move = (step) => {
  const all = hits();
  const at = all.findIndex((hit) => hit.getAttribute("aria-selected") === "true");
  if (list.hidden) open(all.length > 0);
  // From the field itself: down to the first, up to the last.
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length;
  choose(all[next]);
};

list.addEventListener("htmx:afterSwap", () => {
  open(list.childElementCount > 0 && document.activeElement === field);
});
field.addEventListener("focus", () => open(list.childElementCount > 0));
form.addEventListener("focusout", (event) => {
  if (!form.contains(event.relatedTarget)) open(false);
});
// A press on a hit must not take the focus first: the list would close under it.
list.addEventListener("mousedown", (event) => event.preventDefault());

const keys = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  Escape: () => (list.hidden ? field.blur() : open(false)),
};
field.addEventListener("keydown", (event) => {
  const chosen = list.hidden ? null : list.querySelector("[aria-selected=true]");
  if (event.key === "Enter" && chosen) {
    event.preventDefault();
    location.assign(chosen.href);
  } else if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  const seen = [field, document.querySelector("main [type=search]")].find((each) => each?.checkVisibility());
  // On a narrow screen the top bar has no field: search is a page of its own there.
  if (!seen) return location.assign(form.action);
  seen.focus();
  seen.select();
});
