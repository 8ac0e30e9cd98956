"use strict";
// Everything here is convenience: without it the page has the same figures, native tooltips and unsorted tables.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);

for (const title of document.querySelectorAll("figure svg :not(svg) > title")) {
  const mark = title.parentElement;
  const words = title.textContent;
  title.remove(); // or the browser shows its own beside ours
  mark.addEventListener("pointermove", (event) => {
    tip.textContent = words;
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY + 18 + tip.offsetHeight > innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
  });
  mark.addEventListener("pointerleave", () => { tip.hidden = true; });
}

const value = (row, column) => {
  const cell = row.cells[column];
  const number = cell.dataset.v;
  if (number !== undefined) return Number(number);
  return cell.textContent === "–" ? undefined : cell.textContent;
};

const sort = (table, column, head) => {
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].sort((first, second) => {
    const a = value(first, column);
    const b = value(second, column);
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined); // dashes stay last
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  });
  table.tBodies[0].append(...rows);
};

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 3) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(table, column, head));
  });
}

addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
