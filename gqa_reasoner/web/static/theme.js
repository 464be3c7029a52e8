// Sets the colours before anything is drawn: the system's, unless the reader chose others.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("theme") ?? "system"; } catch { return "system"; }
  };
  const apply = () => {
    const theme = chosen();
    const dark = theme === "dark" || (theme === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  system.addEventListener("change", apply);
  const names = { system: "as the system", light: "light", dark: "dark" };
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const label = () => {
      button.setAttribute("aria-label", `Theme: ${names[chosen()]}`);
      button.title = `Theme: ${names[chosen()]}`;
    };
    label();
    button.addEventListener("click", () => {
      const order = system.matches ? ["system", "light", "dark"] : ["system", "dark", "light"];
      const next = order[(order.indexOf(chosen()) + 1) % order.length];
      try { localStorage.setItem("theme", next); } catch { /* private window: not kept */ }
      apply();
      label();
    });
  });
})();
