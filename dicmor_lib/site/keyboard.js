// What the theme leaves out for readers who use a keyboard or a screen reader: toggles of the sidebar get a name, and a
// formula that is wider than the page can be reached with Tab and scrolled with the arrow keys.

function nameToggles() {
  for (const toggle of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
    const page = toggle.closest("li").querySelector("a").textContent.trim();
    toggle.setAttribute("aria-label", `Pages of ${page}`);
  }
}

function reachWideFormulas() {
  for (const formula of document.querySelectorAll("div.math")) {
    if (formula.scrollWidth > formula.clientWidth) {
      formula.tabIndex = 0;
    } else {
      formula.removeAttribute("tabindex");
    }
  }
}

document.addEventListener("DOMContentLoaded", nameToggles);
window.addEventListener("load", () => {
  window.MathJax?.startup?.promise.then(reachWideFormulas);
  window.addEventListener("resize", reachWideFormulas);
  document.addEventListener("toggle", reachWideFormulas, true); // a hint was opened; this event does not bubble
});
