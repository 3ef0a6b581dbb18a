// Runs before the page is drawn, so that no page flashes in the wrong colours.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("redoubt-theme") || "auto"; } catch { return "auto"; }
  };
  const apply = () => {
    const choice = chosen();
    const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    document.documentElement.setAttribute("data-bs-theme", theme);
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      const on = button.dataset.themeChoice === choice;
      button.classList.toggle("active", on);
      button.setAttribute("aria-pressed", String(on));
    }
  };
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try { localStorage.setItem("redoubt-theme", button.dataset.themeChoice); } catch { /* private mode */ }
    apply();
  });
  apply();
})();
