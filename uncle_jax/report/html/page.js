"use strict";
// The number that a cell begins with; what has none goes last.
function worth(cell) {
  const found = cell.textContent.match(/[-+]?\d+(\.\d+)?/);
  return found === null ? Infinity : Number(found[0]);
}
function sort(button) {
  const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
  const column = head.cellIndex, down = head.getAttribute("aria-sort") === "ascending";
  const rows = [...body.rows], words = rows.every((row) => worth(row.cells[column]) === Infinity);
  const first = column === 0 || words;
  rows.sort((a, b) => {
    const [x, y] = [a.cells[column], b.cells[column]];
    if (first) return x.textContent.localeCompare(y.textContent) * (down ? -1 : 1);
    const [p, q] = [worth(x), worth(y)];
    if (p === q) return 0;
    if (p === Infinity || q === Infinity) return p === Infinity ? 1 : -1;
    return (p - q) * (down ? -1 : 1);
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows);
}
for (const button of document.querySelectorAll(".sortable th button")) {
  button.addEventListener("click", () => sort(button));
}
for (const cell of document.querySelectorAll("td")) {
  if (cell.textContent.length > 40) cell.classList.add("long");
}
// A link to where a row comes from opens it; what is printed is open.
function open() {
  const target = document.getElementById(location.hash.slice(1));
  if (target !== null && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", open);
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
open();
document.documentElement.dataset.ready = "yes";
