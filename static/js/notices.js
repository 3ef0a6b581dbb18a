// What happened elsewhere (#notices): not asked for by a tab that nobody sees, and only so many at once.
const MOST = 4;
const notices = document.getElementById("notices");

notices.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});
notices.addEventListener("htmx:afterSettle", () => {
  const shown = [...notices.querySelectorAll("[data-notice]")];
  for (const old of shown.slice(0, -MOST)) old.remove();
});
// A dismissed one is taken out, so that no screen reader comes across it again.
notices.addEventListener("hidden.bs.toast", (event) => event.target.remove());
