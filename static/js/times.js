// Ages that stay true while a page is open, and exact times in the viewer's own zone.
const UNITS = [[31536000, "y"], [86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

const age = (seconds) => {
  for (const [length, unit] of UNITS) {
    if (Math.abs(seconds) >= length) {
      const count = `${Math.floor(Math.abs(seconds) / length)} ${unit}`;
      return seconds > 0 ? `${count} ago` : `in ${count}`;
    }
  }
  return "now";
};
const exact = (at) => at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
const two = (number) => String(number).padStart(2, "0");
const clock = (at) =>
  `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(Math.floor(at.getMilliseconds() / 10))}`;

const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

const localise = (root) => {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    element.title = exact(at);
    if ("clock" in element.dataset) write(element, clock(at));
  }
};
const tick = () => {
  const now = Date.now();
  for (const element of document.querySelectorAll("[data-ago]")) {
    write(element, age(Math.floor((now - new Date(element.dateTime)) / 1000)));
  }
  for (const element of document.querySelectorAll("[data-since]")) {
    const seconds = (now - new Date(element.dataset.since)) / 1000;
    write(element, `${Math.max(0, Math.floor(seconds))} s`);
  }
};

localise(document);
tick();
setInterval(tick, 1000);
document.addEventListener("htmx:afterSettle", () => { localise(document); tick(); });
