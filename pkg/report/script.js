"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    const compare = (a, b) => {
      const [left, right] = [a.cells[n], b.cells[n]];
      if (left.dataset.raw !== undefined) return left.dataset.raw - right.dataset.raw;
      return left.textContent.trim().localeCompare(right.textContent.trim(), "en", { numeric: true });
    };
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
    });
  });
  const filter = document.createElement("input");
  filter.type = "search";
  filter.placeholder = "Filter these rows";
  filter.setAttribute("aria-label", "Filter the rows of the table");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  table.parentElement.before(filter);
}
